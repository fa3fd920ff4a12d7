"""May this file be read, and what is said when it cannot be?

A file is read only after its claims were held against its real size, so that a few bytes cannot
ask for all of the memory; and whatever is wrong with it becomes one line of ``DataError``.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hpsearch.errors import DataError
from hpsearch.text import short

Array = NDArray[Any]

MAX_BYTES = 4 * 2**30
DEFLATE_RATIO = 1032
"""No deflate stream unpacks to more than this many times its length."""
DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error)
GZIP = b"\x1f\x8b"


def bad(where: object, problem: str, remedy: str) -> DataError:
    """The error that says in one line where, what, and what to do."""
    line = f"{short(str(where), 300)}: {problem}; {remedy}"
    return DataError("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line))


def listed(names: Iterable[str], most: int = 8) -> str:
    """Names as a person reads them, the first few of many, long ones shortened in the middle."""
    names = list(names)
    shown = [name if len(name) <= 40 else f"{name[:19]}…{name[-20:]}" for name in names[:most]]
    return ", ".join(shown) + (", …" if len(names) > most else "")


def check_claim(path: Path, claimed: int, size: int, packed: bool) -> None:
    """Refuse, before anything is allocated, what a file of ``size`` bytes cannot hold."""
    if claimed > size * (DEFLATE_RATIO if packed else 1):
        problem = f"its sizes do not match its length ({claimed} bytes claimed, {size} stored)"
        raise bad(path, problem, "get a new copy of the file")
    check_size(path, claimed)


def check_size(path: Path, size: int) -> None:
    """Refuse what is larger than the memory that one dataset may take."""
    if size > MAX_BYTES:
        raise bad(path, f"holds {size} bytes, more than {MAX_BYTES}", "use part of it")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """A regular file, open for reading."""
    if path.exists() and not path.is_file():  # a pipe would block for ever
        what = "is a folder" if path.is_dir() else "is not a regular file"
        raise bad(path, f"{what}, not a file", "name the file itself")
    with path.open("rb") as stream:
        yield stream


def content(path: Path) -> bytes:
    """All bytes of a file, unpacked if it is gzipped."""
    with reading(path), opened(path) as raw:
        packed = raw.peek(2)[:2] == GZIP
        if not packed:
            check_size(path, os.fstat(raw.fileno()).st_size)
        data = (gzip.GzipFile(fileobj=raw) if packed else raw).read(MAX_BYTES + 1)
    check_size(path, len(data))
    return data


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the system and the archive libraries raise into one line."""
    try:
        yield
    except FileNotFoundError as error:
        raise bad(path, "no such file", "check the path in data.dataset") from error
    except PermissionError as error:
        raise bad(path, "permission denied", "give this user permission to read it") from error
    except EOFError as error:
        raise bad(path, "is truncated", "get a new copy of the file") from error
    except OSError as error:
        packed = isinstance(error, gzip.BadGzipFile)
        reason = error.strerror or ("damaged gzip data" if packed else "damaged")
        raise bad(path, f"cannot be read ({reason})", "get a new copy of the file") from error
    except (*DAMAGED, ValueError, ArithmeticError, RuntimeError) as error:
        raise bad(path, "is damaged", "get a new copy of the file") from error
