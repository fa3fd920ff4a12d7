"""A folder of IDX files is read as a person means it, or refused in one line."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hpsearch.data.datasets import load
from tests.hpsearch.data.sources import (
    IMAGES,
    LABELS,
    RNG,
    X,
    idx_bytes,
    refusal,
    write_pair,
)


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


@pytest.mark.parametrize("part", ["t10k", "test", "TEST"])
def test_the_test_pair_may_be_called_either(tmp_path: Path, part: str) -> None:
    """``test-…`` is the sealed part just as ``t10k-…`` is, and never ignored."""
    write_pair(tmp_path)
    write_pair(tmp_path, part, images=idx_bytes(IMAGES[:4]), labels=idx_bytes(LABELS[:4]))
    found = load(f"idx:{tmp_path}")
    assert (len(found.x), found.test_start) == (16, 12)


def rename(folder: Path, change: Callable[[str], str]) -> None:
    """Give every file of a folder another name."""
    for path in list(folder.iterdir()):
        path.rename(folder / change(path.name))


@pytest.mark.parametrize(
    "change",
    [
        str.upper,
        lambda name: name.replace("-", "."),
        lambda name: name.replace("-", "_"),
        lambda name: f"emnist-letters-{name}",
        lambda name: f"QMNIST_{name}",
    ],
    ids=["upper case", "dots", "underscores", "emnist", "qmnist"],
)
def test_names_as_they_are_found(tmp_path: Path, change: Callable[[str], str]) -> None:
    """Upper case, dots, and one set's name in front all give the same examples."""
    write_pair(write_pair(tmp_path), "t10k")
    plain = load(f"idx:{tmp_path}").digest
    rename(tmp_path, change)
    assert plain == load(f"idx:{tmp_path}").digest


@pytest.mark.parametrize("inside", ["raw", "MNIST/raw", "KMNIST/raw"])
def test_a_parent_folder_is_looked_into(tmp_path: Path, inside: str) -> None:
    """The folder that another library downloads to may be named, too."""
    (tmp_path / inside).mkdir(parents=True)
    write_pair(tmp_path / inside)
    assert X.tolist() == load(f"idx:{tmp_path}").x.tolist()


def test_the_folder_itself_goes_before_what_is_in_it(tmp_path: Path) -> None:
    """Where a folder has IDX files of its own, those within it are not looked for."""
    write_pair(tmp_path)
    write_pair(tmp_path / "raw", images=idx_bytes(IMAGES // 2))
    assert X.tolist() == load(f"idx:{tmp_path}").x.tolist()


def emnist(folder: Path) -> Path:
    """A folder of two sets, as EMNIST is downloaded."""
    for number, name in enumerate(("letters", "balanced")):
        write_pair(folder, f"emnist-{name}-train", images=idx_bytes(IMAGES // (number + 1)))
        write_pair(folder, f"emnist-{name}-test")
    return folder


@pytest.mark.parametrize("inside", ["", "raw"])
def test_one_set_of_several_is_named(tmp_path: Path, inside: str) -> None:
    """``idx:FOLDER/SET`` is the set of that name, whatever else is in the folder."""
    emnist(tmp_path / inside)
    found = load(f"idx:{tmp_path}/emnist-letters")
    assert X.tolist() == found.x[:12].tolist()
    assert found.test_start == 12


def choice(folder: Path, case: str) -> None:
    folder.mkdir()
    if case == "sets" or case == "no such set":
        emnist(folder)
    elif case == "a set beside one without a name":
        write_pair(write_pair(folder), "emnist-letters-train")
    elif case == "folders":
        for name in ("MNIST", "KMNIST"):
            (folder / name).mkdir()
            write_pair(folder / name / "raw")
    elif case == "test and t10k":
        write_pair(write_pair(folder), "t10k")
        write_pair(folder, "test", images=idx_bytes(IMAGES // 2))
    elif case == "packed and not":
        write_pair(folder)
        write_pair(folder, packed=True, labels=idx_bytes(LABELS[::-1]))


@pytest.mark.parametrize(
    ("case", "name", "problem"),
    [
        ("sets", "", "holds 2 sets (emnist-balanced, emnist-letters); name one as idx:d/emnist"),
        ("no such set", "/emnist-digits", "no such set (there: emnist-balanced, emnist-letters)"),
        ("a set beside one without a name", "", "(one without a name, emnist-letters)"),
        ("folders", "", "IDX files in 2 folders (KMNIST/raw, MNIST/raw); name one of them"),
        ("test and t10k", "", "t10k-images-idx3-ubyte and test-images-idx3-ubyte hold different"),
        ("packed and not", "", "train-labels-idx1-ubyte.gz hold different labels"),
    ],
)
def test_a_choice_is_not_made_silently(tmp_path: Path, case: str, name: str, problem: str) -> None:
    """Where files allow two readings that differ, neither is taken."""
    choice(tmp_path / "d", case)
    assert problem in refusal(f"idx:{tmp_path / 'd'}{name}")


def test_a_choice_that_does_not_matter_is_made(tmp_path: Path) -> None:
    """The same file packed and unpacked, or under two names, is one file."""
    write_pair(write_pair(tmp_path), packed=True)
    write_pair(write_pair(tmp_path, "t10k"), "test", mark=".")
    assert (len(load(f"idx:{tmp_path}").x), load(f"idx:{tmp_path}").test_start) == (24, 12)


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
def test_idx_of_every_type(tmp_path: Path, dtype: str) -> None:
    """Images and labels may be of any type that the format has."""
    images = IMAGES // 2
    write_pair(tmp_path, images=idx_bytes(images, dtype), labels=idx_bytes(LABELS, dtype))
    found = load(f"idx:{tmp_path}")
    assert (X // 2).tolist() == found.x.tolist()
    assert (dtype, LABELS.tolist()) == (found.x.dtype.str[1:], found.y.tolist())


@pytest.mark.parametrize("shape", [(12, 6), (12, 3, 2), (12, 1, 2, 3)])
def test_idx_of_two_to_four_dimensions(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Rows of features, images, and images of several colours are flattened alike."""
    write_pair(tmp_path, images=idx_bytes(IMAGES.reshape(shape)))
    found = load(f"idx:{tmp_path}")
    assert (X.tolist(), shape[1:]) == (found.x.tolist(), found.shape)


def test_the_first_column_of_qmnists_labels_is_the_class(tmp_path: Path) -> None:
    """QMNIST's eight numbers an example are the class, and where it comes from."""
    columns = RNG.integers(-5, 5000, (12, 8))
    columns[:, 0] = LABELS
    write_pair(tmp_path, labels=idx_bytes(columns, "i4"))
    (tmp_path / "train-labels-idx1-ubyte").rename(tmp_path / "train-labels-idx2-int")
    assert LABELS.tolist() == load(f"idx:{tmp_path}").y.tolist()


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
    elif case == "others":
        folder.mkdir()
        for name in ("notes.txt", "emnist.zip", "train-images-idx3-ubyte.xz"):
            (folder / name).write_text("")
    elif case == "no magic":
        write_pair(folder, images=b"PK\x03\x04" + images)
    elif case == "a type":
        write_pair(folder, images=images[:2] + b"\x07" + images[3:])
    elif case == "test half":
        write_pair(write_pair(folder), "test")
        (folder / "test-labels-idx1-ubyte").unlink()
    elif case == "five dimensions":
        write_pair(folder, images=idx_bytes(IMAGES[..., None, None]))
    elif case == "many labels":
        write_pair(folder, labels=idx_bytes(np.repeat(LABELS[:, None], 4, axis=1)))
    elif case == "half a label":
        write_pair(folder, labels=idx_bytes(LABELS + 0.5, "f4"))
    elif case == "part types":
        write_pair(write_pair(folder), "t10k", images=idx_bytes(IMAGES, "i2"))
    elif case == "parts":
        write_pair(folder)
        write_pair(folder, "t10k", images=idx_bytes(IMAGES[:, :2]))
    return folder


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ("missing", "no such folder"),
        ("file", "is not a folder"),
        ("none", "no IDX files in this folder (it is empty); use names such as train-images-idx3"),
        ("others", "no IDX files in this folder (there: emnist.zip, notes.txt, train-images"),
        ("no magic", "is not an IDX file (it begins with 0x504b0304)"),
        ("a type", "is not an IDX file (it begins with 0x00000703)"),
        ("test half", "the test labels are missing"),
        ("five dimensions", "has 5 dimensions, and images have 2 or 3 or 4"),
        ("many labels", "4 labels per example"),
        ("half a label", "example 0 has the label 0.5"),
        ("part types", "train and test images differ in type (uint8 and int16)"),
        ("half", "the train labels are missing"),
        ("directory", "is a folder, not a file"),
        ("pipe", "is not a regular file"),
        ("swapped", "has 1 dimension, and images have 2 or 3 or 4"),
        ("empty", "train-images-idx3-ubyte: is empty"),
        ("header", "ends within its header"),
        ("short", "do not match its length (72 bytes claimed, 71 there)"),
        ("short inside", "do not match its length (72 bytes claimed, 71 there)"),
        ("long", "do not match its length (72 bytes claimed, more there)"),
        ("long inside", "do not match its length (72 bytes claimed, more there)"),
        ("truncated", "is truncated"),
        ("checksum", "cannot be read (damaged gzip data)"),
        ("claims", "(34359738368 bytes claimed, 128 stored)"),
        ("claims inside", "(34359738368 bytes claimed"),
        ("no examples", "contains no examples"),
        ("no test examples", "t10k-images-idx3-ubyte: contains no examples"),
        ("counts", "12 images but 11 labels in train-labels-idx1-ubyte"),
        ("one class", "every label is 0"),
        ("parts", "train and test images differ in size (3x2 and 2x2)"),
    ],
)
def test_a_bad_idx_folder_gets_one_line(tmp_path: Path, case: str, problem: str) -> None:
    """Each way in which a folder of IDX files can be wrong is named, with the place."""
    message = refusal(f"idx:{bad_idx(tmp_path / 'd', case)}")
    assert problem in message
    assert str(tmp_path / "d") in message
