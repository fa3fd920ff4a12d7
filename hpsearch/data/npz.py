"""What does an .npz file hold, and how is one written?"""

from __future__ import annotations

import math
import os
import re
import uuid
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from hpsearch.data.files import Array, bad, check_claim, listed, opened, reading
from hpsearch.text import short

LONGEST_HEADER = 10_000
"""Bytes, as NumPy itself has it."""
_FIELDS = [
    re.compile(rb"'descr'\s*:\s*('[<>|=]?[?biufcSUVOMm]\d{0,9}(?:\[\w+\])?'|\[)"),
    re.compile(rb"'fortran_order'\s*:\s*(True|False)\s*[,}]"),
    re.compile(rb"'shape'\s*:\s*\(([\d\s,L]*)\)"),
]


def read(path: Path, *names: str, text: Collection[str] = ()) -> list[Array]:
    """Arrays of an .npz file by name, each of integers or floats of at most 8 bytes.

    Those named in ``text`` may be of text, too.
    """
    with reading(path), opened(path) as raw:
        if not zipfile.is_zipfile(raw):
            raise bad(path, "is not an .npz file (not a zip archive)", "save it with numpy.savez")
        with zipfile.ZipFile(raw) as archive:
            there = [name.removesuffix(".npy") for name in archive.namelist()]
            missing = [name for name in names if f"{name}.npy" not in archive.namelist()]
            if missing:
                held = listed(there) or "nothing"
                problem = f"no array {' and '.join(missing)} in it (there: {held})"
                raise bad(path, problem, f"save it with the arrays {' and '.join(names)}")
            size = os.fstat(raw.fileno()).st_size
            return [_array(path, archive, name, size, name in text) for name in names]


def write(path: Path, **arrays: Array) -> None:
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


def _array(path: Path, archive: zipfile.ZipFile, name: str, size: int, text: bool) -> Array:
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise bad(path, f"{name} is compressed in an unusual way", "save it with numpy.savez")
    packed = info.compress_type == zipfile.ZIP_DEFLATED
    check_claim(path, info.file_size, min(info.compress_size, size), packed)
    with archive.open(info) as member:
        shape, order, dtype = _header(path, name, member)
        if dtype.hasobject:
            problem = f"{name} is an array of pickled Python objects"
            raise bad(path, problem, "save plain numbers; hpsearch never unpickles anything")
        number = dtype.kind in "uif" and dtype.itemsize <= 8
        if not number and not (text and dtype.kind in "US"):
            what = "text" if dtype.kind in "US" else dtype.name
            raise bad(path, f"{name} is {what}, not numbers", "save integers or floats")
        claimed, held = math.prod(shape) * dtype.itemsize, info.file_size - member.tell()
        if claimed != held:
            what = f"shape {short(str(shape))}, {dtype}"
            problem = f"{name} claims {claimed} bytes ({what}) but holds {held}"
            raise bad(path, problem, "save the file again")
        body = member.read()  # to its end, where its checksum is compared
    array: Array = np.frombuffer(body, dtype).reshape(shape, order=order)
    return array


def _header(
    path: Path, name: str, member: IO[bytes]
) -> tuple[tuple[int, ...], Literal["C", "F"], np.dtype[Any]]:
    """Shape, order and type of an array, read as text: NumPy would have Python parse it."""
    damaged = bad(path, f"the header of {name} is damaged", "save the file again")
    magic = member.read(8)
    size = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}.get(magic[6:], 0)
    length = int.from_bytes(member.read(size), "little")
    if magic[:6] != b"\x93NUMPY" or not size or length > LONGEST_HEADER:
        raise damaged
    text = member.read(length).replace(b'"', b"'")
    descr, fortran, shape = (field.search(text) for field in _FIELDS)
    if not (descr and fortran and shape):
        raise damaged
    if descr[1].startswith(b"["):
        raise bad(path, f"{name} contains records, not numbers", "save integers or floats")
    try:
        dtype = np.dtype(descr[1].strip(b"'").decode())
    except (TypeError, ValueError):
        raise damaged from None
    sizes = tuple(map(int, re.findall(rb"\d+", shape[1])))
    return sizes, "F" if fortran[1] == b"True" else "C", dtype
