"""Small sources of data for tests, written as other programs write them."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.data.datasets import Dataset, checked, load
from hpsearch.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 3, 2), dtype=np.uint8)
LABELS = np.arange(12, dtype=np.uint8) % 3
X = IMAGES.reshape(12, 6)


def idx_bytes(array: np.ndarray[Any, Any], dtype: str = "u1") -> bytes:
    """The IDX form of an array, as numbers of this type."""
    number = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}[dtype]
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, number, array.ndim]) + sizes + array.astype(f">{dtype}").tobytes()


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
    return checked("made", "made", np.array(x), np.array(y), test_start)


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
