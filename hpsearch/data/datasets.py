"""Which datasets are there, and what is one?

A name says where a dataset comes from. Whatever its source, it becomes the same: examples that a
network can be trained on, with a digest of their content.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import importlib.metadata
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpsearch.data import idx, images, labels, npz, tables
from hpsearch.data.builtin import BUILT_IN
from hpsearch.data.columns import Column
from hpsearch.data.files import Array, bad
from hpsearch.errors import DataError
from hpsearch.text import short

LARGEST = np.float64(np.finfo(np.float32).max)
KINDS = {
    "idx": "idx:FOLDER",
    "npz": "npz:FILE",
    "csv": "csv:FILE#LABEL",
    "parquet": "parquet:FILE#LABEL",
    "images": "images:FOLDER",
}
"""What reads a person's own data, and how it is named."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """All examples of a source, as stored and not yet scaled; the arrays are read-only."""

    x: Array
    """(n, columns), integers or floats within float32: one example a row. NaN is missing."""
    y: NDArray[np.int64] | NDArray[np.float64]
    """(n,), labels in 0 … classes - 1; of a regression, the numbers to be learned."""
    names: tuple[str, ...]
    """What the source calls each class; nothing of a regression."""
    shape: tuple[int, ...]
    """Of an example in the source: two sizes or more are an image's."""
    source: str
    """The name it was loaded by, such as ``mnist5k``."""
    test_start: int | None
    """First row of the dataset's own test part; None when it has none."""
    digest: str
    """SHA-256 over dtype, shape and bytes of x and of the labels, whatever the source is called."""
    columns: tuple[Column, ...] = ()
    """Of a table; nothing where the source names no columns."""

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.names)

    @property
    def missing(self) -> NDArray[np.intp]:
        """(columns,), how many values of each are missing."""
        if self.x.dtype.kind != "f":
            return np.zeros(self.x.shape[1], np.intp)
        counts: NDArray[np.intp] = np.isnan(self.x).sum(axis=0, dtype=np.intp)
        return counts

    def column(self, number: int) -> str:
        """What a message calls a column."""
        return f"column {self.columns[number].name!r}" if self.columns else f"feature {number}"


def load(spec: str, *, cache: Path | None = None, task: str = "classification") -> Dataset:
    """The dataset called ``mnist5k``, ``digits``, or as one of ``KINDS``.

    Relative paths are relative to the current folder. The first two come with libraries, and take
    a while to import or to parse: with ``cache``, a folder, their arrays are kept there. With the
    task ``regression``, labels are numbers to be learned.

    Raises ``DataError`` when the name is unknown, or the data missing or malformed.
    """
    if spec in BUILT_IN:
        if task == "regression":
            problem = "its labels are classes"
            raise bad(spec, problem, 'remove data.task = "regression", or use other data')
        return _built_in(spec, cache)
    kind, _, name = spec.partition(":")
    path = Path(os.path.expanduser(name))
    if kind == "idx" and name:
        return checked(spec, path, *idx.read(path), task=task)
    if kind == "npz" and name:
        x, y = npz.read(path, "x", "y", text="y")
        return checked(spec, path, x, y, task=task)
    if kind in ("csv", "parquet") and name:
        path, label = tables.place(name, kind)
        table = (tables.read_csv if kind == "csv" else tables.read_parquet)(path, label)
        return checked(spec, path, table.x, table.y, columns=table.columns, task=task)
    if kind == "images" and name:
        return checked(spec, path, *images.read(path), task=task)
    known = {**{name: name for name in BUILT_IN}, **KINDS}
    near = difflib.get_close_matches(kind, known, n=1)
    remedy = f"did you mean {known[near[0]]}?" if near else "set data.dataset to one of them"
    raise bad(f"unknown dataset {short(spec)!r}", f"use one of {', '.join(known.values())}", remedy)


def _built_in(name: str, cache: Path | None) -> Dataset:
    known = BUILT_IN[name]
    if cache is None:
        return checked(name, name, *known.read(), shape=known.shape)
    file = cache / f"{name}-{importlib.metadata.version(known.distribution)}.npz"
    with contextlib.suppress(DataError):
        x, y = npz.read(file, "x", "y")
        kept = checked(name, file, x, y, shape=known.shape)
        if kept.digest == known.digest:
            return kept
    dataset = checked(name, name, *known.read(), shape=known.shape)
    with contextlib.suppress(OSError):  # a cache that cannot be written is done without
        npz.write(file, x=dataset.x, y=dataset.y)
    return dataset


def checked(
    source: str,
    where: object,
    x: Array,
    y: Array,
    test_start: int | None = None,
    *,
    shape: tuple[int, ...] | None = None,
    columns: tuple[Column, ...] = (),
    task: str = "classification",
) -> Dataset:
    """The dataset of these arrays, if they are examples that a network can be trained on."""
    if x.ndim == 0 or y.ndim != 1:
        shapes = f"x has shape {x.shape} and y {y.shape}"
        raise bad(where, shapes, "x must have one row per example, and y one label per example")
    if len(x) != len(y):
        raise bad(where, f"{len(x)} examples in x but {len(y)} labels in y", "make them match")
    if 0 in x.shape:
        raise bad(
            where, f"contains no examples (x has shape {x.shape})", "use data that contains some"
        )
    shape = x.shape[1:] if shape is None else shape
    x = x.reshape(len(x), math.prod(x.shape[1:]))
    x = x.astype(x.dtype.newbyteorder("<"), order="C", copy=False)
    if np.fmin.reduce(x, axis=None) < -LARGEST or np.fmax.reduce(x, axis=None) > LARGEST:
        row, column = np.argwhere(np.abs(x) > LARGEST)[0]
        name = repr(columns[column].name) if columns else column
        problem = f"example {row} has the value {x[row, column]} (feature {name})"
        raise bad(where, problem, "every value must be a finite float32")
    read = labels.numbers if task == "regression" else labels.encode
    found = read(where, y, test_start)
    x.setflags(write=False)
    found.y.setflags(write=False)
    told = digest(x, *found.told, *_told(columns))
    return Dataset(x, found.y, found.names, shape, source, test_start, told, columns)


def _told(columns: tuple[Column, ...]) -> list[Array]:
    """What the digest of a table says of its columns."""
    words = json.dumps([[column.name, column.categories] for column in columns])
    return [np.frombuffer(words.encode(), np.uint8)] if columns else []


def digest(*arrays: Array) -> str:
    """SHA-256 over dtype, shape and bytes of each."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype.str}{array.shape}\n".encode())
        sha.update(array.data)
    return sha.hexdigest()
