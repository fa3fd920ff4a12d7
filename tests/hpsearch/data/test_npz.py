"""An .npz file is read whole or refused in one line."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.data.datasets import load
from hpsearch.data.splits import split
from tests.hpsearch.data.sources import (
    IMAGES,
    LABELS,
    X,
    npy_bytes,
    npy_header,
    refusal,
    write_members,
    write_npz,
)


@pytest.mark.parametrize("dtype", ["u1", "<i8", ">i4", "<f2", ">f4", "<f8", ">f8"])
def test_npz_takes_all_real_numbers(tmp_path: Path, dtype: str) -> None:
    """x may be of any integer or float type and shape, y of whole floats; both are flattened."""
    path = write_npz(tmp_path / "d.npz", x=IMAGES.astype(dtype), y=LABELS.astype(">f4"))
    found = load(f"npz:{path}")
    assert X.tolist() == found.x.tolist()
    assert found.x.flags.c_contiguous
    assert LABELS.tolist() == found.y.tolist()
    assert np.int64 == found.y.dtype


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
        ({"y": with_label(0.5)}, "example 5 has the label 0.5"),
        ({"y": with_label(np.nan)}, "example 5 has the label nan"),
        ({"y": with_label(np.inf)}, "class labels must be text or integers of at most 64 bits"),
        ({"y": with_label(2.0**63)}, "example 5 has the label 9.223372036854776e+18"),
        ({"y": np.full(12, 2**64 - 1, np.uint64)}, "has the label 18446744073709551615"),
        ({"y": [1] * 12}, "every label is 1"),
        ({"y": np.eye(12)}, "y one label per example"),
        ({"y": np.int64(3)}, "y one label per example"),
        ({"x": np.float64(3)}, "x must have one row per example"),
        ({"x": with_value(np.inf)}, "example 3 has the value inf (feature 4)"),
        ({"x": with_value(-1e39)}, "example 3 has the value -1e+39 (feature 4)"),
        ({"x": with_value(-np.inf).astype("f2")}, "example 3 has the value -inf (feature 4)"),
        ({"x": X[:0], "y": LABELS[:0]}, "contains no examples"),
        ({"x": X[:, :0]}, "contains no examples (x has shape (12, 0))"),
        ({"x": X.astype(str)}, "x is text, not numbers"),
        ({"y": [""] * 5 + ["a"] * 7}, "example 0 has no label"),
        ({"y": [b"\xff"] * 12}, "its labels are not UTF-8"),
        ({"y": ["a"] * 12}, "every label is a"),
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
        ("empty", "is not an .npz file (not a zip archive)"),
        ("npy", "is not an .npz file (not a zip archive)"),
        ("names", "no array x and y in it (there: x_train, y_train)"),
        ("no y", "no array y in it (there: x)"),
        ("nothing", "no array x and y in it (there: nothing)"),
        ("claims", "x claims 34359738368 bytes (shape (65536, 65536), float64) but holds 0"),
        ("negative", "the header of x is damaged"),
        ("header", "the header of x is damaged"),
        ("no header", "the header of x is damaged"),
        ("directory claims", "its sizes do not match its length (4294967294 bytes claimed"),
        ("bomb", "x is compressed in an unusual way"),
        ("truncated", "is not an .npz file"),
        ("flipped", "is damaged"),
        ("encrypted", "is damaged"),
    ],
)
def test_a_bad_npz_file_gets_one_line(tmp_path: Path, case: str, problem: str) -> None:
    """Each way in which an .npz file can be wrong is named, with the file."""
    message = refusal(f"npz:{bad_npz(tmp_path / 'd.npz', case)}")
    assert problem in message
    assert str(tmp_path / "d.npz") in message
