"""Which datasets are there, and what is one?

A name says where a dataset comes from. Whatever its source, it becomes the same: examples that a
network can be trained on, with a digest of their content.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import importlib.metadata
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpsearch.data import idx, labels, npz
from hpsearch.data.builtin import BUILT_IN
from hpsearch.data.files import Array, bad
from hpsearch.errors import DataError

LARGEST = np.float64(np.finfo(np.float32).max)
KINDS = {"idx": "idx:FOLDER", "npz": "npz:FILE"}


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """All examples of a source, as stored and not yet scaled; the arrays are read-only."""

    x: Array
    """(n, features), integers or floats: one example a row, all finite within float32."""
    y: NDArray[np.int64]
    """(n,), labels in 0 … classes - 1."""
    names: tuple[str, ...]
    """What the source calls each class."""
    shape: tuple[int, ...]
    """Of an example in the source: two sizes or more are an image's."""
    source: str
    """The name it was loaded by, such as ``mnist5k``."""
    test_start: int | None
    """First row of the dataset's own test part; None when it has none."""
    digest: str
    """SHA-256 over dtype, shape and bytes of x and of the labels, whatever the source is called."""

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.names)


def load(spec: str, *, cache: Path | None = None) -> Dataset:
    """The dataset called ``mnist5k``, ``digits``, ``idx:FOLDER`` or ``npz:FILE``.

    Relative paths are relative to the current folder. The first two come with libraries that are
    slow to import or to parse: with ``cache``, a folder, their arrays are kept there.

    Raises ``DataError`` when the name is unknown, or the data missing or malformed.
    """
    if spec in BUILT_IN:
        return _built_in(spec, cache)
    kind, _, name = spec.partition(":")
    path = Path(os.path.expanduser(name))
    if kind == "idx" and name:
        return checked(spec, path, *idx.read(path))
    if kind == "npz" and name:
        x, y = npz.read(path, "x", "y", text="y")
        return checked(spec, path, x, y)
    known = {**{name: name for name in BUILT_IN}, **KINDS}
    near = difflib.get_close_matches(kind, known, n=1)
    remedy = f"did you mean {known[near[0]]}?" if near else "set data.dataset to one of them"
    raise bad(f"unknown dataset {spec!r}", f"known are {', '.join(known.values())}", remedy)


def _built_in(name: str, cache: Path | None) -> Dataset:
    known = BUILT_IN[name]
    if cache is None:
        return checked(name, name, *known.read(), shape=known.shape)
    file = cache / f"{name}-{importlib.metadata.version(known.distribution)}.npz"
    with contextlib.suppress(DataError):
        x, y, sha = npz.read(file, "x", "y", "sha256")
        kept = checked(name, file, x, y, shape=known.shape)
        if kept.digest == sha.tobytes().hex():
            return kept
    dataset = checked(name, name, *known.read(), shape=known.shape)
    sha = np.frombuffer(bytes.fromhex(dataset.digest), np.uint8)
    with contextlib.suppress(OSError):  # a cache that cannot be written is done without
        npz.write(file, x=dataset.x, y=dataset.y, sha256=sha)
    return dataset


def checked(
    source: str,
    where: object,
    x: Array,
    y: Array,
    test_start: int | None = None,
    *,
    shape: tuple[int, ...] | None = None,
) -> Dataset:
    """The dataset of these arrays, if they are examples that a network can be trained on."""
    if x.ndim == 0 or y.ndim != 1:
        shapes = f"x has shape {x.shape} and y {y.shape}"
        raise bad(where, shapes, "x needs one row an example and y one label an example")
    if len(x) != len(y):
        raise bad(where, f"{len(x)} examples in x but {len(y)} labels in y", "make them match")
    if 0 in x.shape:
        raise bad(where, f"no examples in it (x has shape {x.shape})", "use data that has some")
    shape = x.shape[1:] if shape is None else shape
    x = x.reshape(len(x), math.prod(x.shape[1:]))
    x = x.astype(x.dtype.newbyteorder("<"), order="C", copy=False)
    if not (x.min() >= -LARGEST and x.max() <= LARGEST):  # false for NaN, too
        row, column = np.argwhere(~(np.abs(x) <= LARGEST))[0]
        problem = f"example {row} has the value {x[row, column]} (feature {column})"
        raise bad(where, problem, "every value must be finite within float32")
    found = labels.encode(where, y, test_start)
    x.setflags(write=False)
    found.y.setflags(write=False)
    told = digest(x, *found.told)
    return Dataset(x, found.y, found.names, shape, source, test_start, told)


def digest(*arrays: Array) -> str:
    """SHA-256 over dtype, shape and bytes of each."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype.str}{array.shape}\n".encode())
        sha.update(array.data)
    return sha.hexdigest()
