"""What do the IDX files of a folder hold? The format of MNIST and of those made after it.

A file is known by its name: ``[SET-]PART-KIND-idxN-TYPE[.gz]``, in upper or lower case, with
dashes, dots or underscores. PART is ``train``, ``test`` or ``t10k``; KIND is ``images`` or
``labels``. What is in it is said by its own header.
"""

from __future__ import annotations

import gzip
import math
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpsearch.data.files import GZIP, Array, bad, check_claim, listed, opened, reading

NAME = re.compile(
    r"(?:(?P<set>.+?)[-._])?(?P<part>train|test|t10k)[-._](?P<kind>images|labels)"
    r"[-._]idx\d[-._][a-z]+(?:\.gz)?",
    re.IGNORECASE,
)
TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""NumPy's name of each type that the third byte of a file may stand for."""
DIMENSIONS = {"images": (2, 3, 4), "labels": (1, 2)}
QMNIST_COLUMNS = 8
"""Of QMNIST's labels, of which the first column is the class."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    set: str
    """What stands before the part's name, such as ``emnist-letters``; often nothing."""
    part: str
    kind: str


def read(path: Path) -> tuple[Array, Array, int | None]:
    """Images (n, …), labels (n,) and the first row of the test part, None where there is none.

    The test pair stands last. A pair that is there alone is the whole data. ``path`` is a folder,
    or ``FOLDER/SET`` where the folder holds several sets, as EMNIST's does. A folder without such
    files may have them in ``raw/`` or in ``NAME/raw/``.

    Raises ``DataError`` also where the files leave a choice.
    """
    with reading(path):
        files = _files(path)
        pairs = [pair for part in ("train", "test") if (pair := _pair(path, files, part))]
    if len(pairs) == 1:
        return *pairs[0], None
    (x, y), (test_x, test_y) = pairs
    if x.shape[1:] != test_x.shape[1:]:
        sizes = " and ".join("x".join(map(str, part.shape[1:])) for part in (x, test_x))
        raise bad(
            path,
            f"train and test images differ in size ({sizes})",
            "keep the files of one dataset only",
        )
    if x.dtype != test_x.dtype:
        types = f"{x.dtype.name} and {test_x.dtype.name}"
        raise bad(
            path,
            f"train and test images differ in type ({types})",
            "keep the files of one dataset only",
        )
    return np.concatenate([x, test_x]), np.concatenate([y, test_y]), len(x)


def _files(path: Path) -> list[_File]:
    """The IDX files of the one set that is meant."""
    if path.exists() and not path.is_dir():
        raise bad(
            path, "is not a folder", "idx:FOLDER needs the folder that contains the IDX files"
        )
    if not path.is_dir():
        files = _inside(path.parent) if path.parent.is_dir() else []
        sets = sorted({file.set for file in files} - {""})
        files = [file for file in files if file.set == path.name.lower()]
        if not files:
            there = f" and no such set (there: {listed(sets)})" if sets else ""
            raise bad(path, f"no such folder{there}", "name the folder that contains the IDX files")
        return files
    files = _inside(path)
    sets = sorted({file.set for file in files})
    if len(sets) > 1:
        names = listed(name or "one without a name" for name in sets)
        remedy = f"name one as idx:{path.name}/{sets[-1]}, or put each in its own folder"
        raise bad(path, f"holds {len(sets)} sets ({names})", remedy)
    if not files:
        there = listed(sorted(entry.name for entry in path.iterdir()))
        problem = f"no IDX files in this folder ({f'there: {there}' if there else 'it is empty'})"
        raise bad(path, problem, "use names such as train-images-idx3-ubyte.gz")
    return files


def _inside(folder: Path) -> list[_File]:
    """The IDX files in a folder, or else in the ``raw`` folder within it."""
    places = [folder, folder / "raw", *sorted(folder.glob("*/raw"))]
    found = {place: files for place in places if (files := _directly(place))}
    if folder in found:
        return found[folder]
    if len(found) > 1:
        names = listed(str(place.relative_to(folder)) for place in found)
        raise bad(folder, f"IDX files in {len(found)} folders ({names})", "name one of them")
    return next(iter(found.values()), [])


def _directly(folder: Path) -> list[_File]:
    if not folder.is_dir():
        return []
    matches = [(path, NAME.fullmatch(path.name)) for path in sorted(folder.iterdir())]
    return [
        _File(
            path,
            (match["set"] or "").lower(),
            "train" if match["part"].lower() == "train" else "test",
            match["kind"].lower(),
        )
        for path, match in matches
        if match
    ]


def _pair(folder: Path, files: list[_File], part: str) -> tuple[Array, Array] | None:
    paths = {
        kind: [file.path for file in files if (file.part, file.kind) == (part, kind)]
        for kind in ("images", "labels")
    }
    if not any(paths.values()):
        return None
    for kind, found in paths.items():
        if not found:
            raise bad(folder, f"the {part} {kind} are missing", "put both files of the pair there")
    x, y = (_only(kind, found) for kind, found in paths.items())
    if y.ndim == 2:
        if y.shape[1] not in (1, QMNIST_COLUMNS):
            problem = f"{y.shape[1]} labels per example"
            raise bad(
                paths["labels"][0], problem, "use a file with one label per example, or QMNIST's"
            )
        y = y[:, 0]
    if len(x) != len(y):
        counts = f"{len(x)} images but {len(y)} labels in {paths['labels'][0].name}"
        raise bad(paths["images"][0], counts, "use the two files of one pair")
    return x, y


def _only(kind: str, paths: list[Path]) -> Array:
    """What these files hold: where they are several, they must all hold the same."""
    array = _array(kind, paths[0])
    for other in paths[1:]:
        if not np.array_equal(array, _array(kind, other)):
            problem = f"{paths[0].name} and {other.name} hold different {kind}"
            raise bad(other.parent, problem, "keep the right one")
    return array


def _array(kind: str, path: Path) -> Array:
    """The numbers of one IDX file, plain or gzipped."""
    with reading(path), opened(path) as raw:
        packed = raw.peek(2)[:2] == GZIP
        file = gzip.GzipFile(fileobj=raw) if packed else raw
        magic = file.read(4)
        if not magic:
            raise bad(path, "is empty", "get a new copy of the file")
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES:
            problem = f"is not an IDX file (it begins with 0x{magic.hex()})"
            raise bad(path, problem, "replace it with a valid file")
        dtype, ndim = np.dtype(TYPES[magic[2]]), magic[3]
        if ndim not in DIMENSIONS[kind]:
            wanted = " or ".join(map(str, DIMENSIONS[kind]))
            problem = f"has {ndim} dimension{'s' if ndim != 1 else ''}, and {kind} have {wanted}"
            raise bad(path, problem, "check that its name matches its content")
        header = file.read(4 * ndim)
        if len(header) < 4 * ndim:
            raise bad(path, "ends within its header", "get a new copy of the file")
        shape = struct.unpack(f">{ndim}I", header)
        if 0 in shape:
            raise bad(
                path, f"contains no examples (sizes {shape})", "use a file that contains some"
            )
        claimed = math.prod(shape) * dtype.itemsize
        check_claim(path, claimed, os.fstat(raw.fileno()).st_size, packed)
        body = file.read(claimed + 1)  # one more, so that the end is seen and the CRC compared
    if len(body) != claimed:
        held = f"{len(body)}" if len(body) < claimed else "more"
        raise bad(
            path,
            f"its sizes {shape} do not match its length ({claimed} bytes claimed, {held} there)",
            "get a new copy of the file",
        )
    return np.frombuffer(body, dtype).reshape(shape)
