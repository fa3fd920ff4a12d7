"""What does an .npz file hold, and how is one written?"""

from __future__ import annotations

import math
import os
import uuid
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np

from hpsearch.data.files import DAMAGED, Array, bad, check_claim, listed, opened, reading


def read(path: Path, *names: str, text: Collection[str] = ()) -> list[Array]:
    """Arrays of an .npz file by name, each of integers or floats of at most 8 bytes.

    Those named in ``text`` may be of text, too.
    """
    with reading(path), opened(path) as raw:
        if not zipfile.is_zipfile(raw):
            raise bad(path, "is no .npz file (not a zip archive)", "write it with numpy.savez")
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
        raise bad(path, f"{name} is compressed in an unusual way", "write it with numpy.savez")
    packed = info.compress_type == zipfile.ZIP_DEFLATED
    check_claim(path, info.file_size, min(info.compress_size, size), packed)
    with archive.open(info) as member:
        shape, dtype = _header(path, name, member)
        if dtype.hasobject:
            problem = f"{name} is an array of pickled Python objects"
            raise bad(path, problem, "save plain numbers, nothing is ever unpickled")
        number = dtype.kind in "uif" and dtype.itemsize <= 8
        if not number and not (text and dtype.kind in "US"):
            what = "text" if dtype.kind in "US" else dtype.name
            raise bad(path, f"{name} is {what}, not numbers", "save integers or floats")
        claimed, held = math.prod(shape) * dtype.itemsize, info.file_size - member.tell()
        if claimed != held:
            problem = f"{name} claims {claimed} bytes (shape {shape}, {dtype}) but holds {held}"
            raise bad(path, problem, "write the file again")
    with archive.open(info) as member:
        array: Array = np.lib.format.read_array(member, allow_pickle=False)
        return array


def _header(path: Path, name: str, member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
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
