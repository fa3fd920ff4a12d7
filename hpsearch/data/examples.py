"""What do the examples in a person's files hold that a network is to say something of?"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hpsearch.data import npz
from hpsearch.data.columns import cells
from hpsearch.data.files import Array, bad, content
from hpsearch.data.images import picture
from hpsearch.data.tables import DELIMITERS

Columns = Sequence[tuple[str, tuple[str, ...] | None]]


def read(
    files: Sequence[Path], shape: tuple[int, ...], columns: Columns
) -> tuple[list[str], Array]:
    """Examples as a dataset has them.

    Args:
        files: Pictures; or one CSV file with a table's columns, or one .npz file with an array
            ``x``.
        shape: Of an example.
        columns: Of a table, their names and categories; none otherwise.

    Returns:
        What each example is called, and the examples, (n, columns) or (n, \\*shape).

    Raises ``DataError`` for files that hold no such examples.
    """
    kinds = {file.suffix.lower() for file in files}
    if len(files) > 1 and kinds & {".csv", ".npz"}:
        raise bad(files[1], "stands beside a CSV or .npz file", "name one such file, or pictures")
    (first, *_) = files
    if columns:
        if kinds != {".csv"}:
            raise bad(first, "is no CSV file", "name a CSV file with the columns of the dataset")
        return _table(first, columns)
    if kinds == {".npz"}:
        x = npz.read(first, "x")[0]
        if x.shape[1:] == shape or (x.ndim == 2 and x.shape[1] == int(np.prod(shape))):
            return [str(row) for row in range(len(x))], x
        wanted = f"(n, {', '.join(map(str, shape))})"
        raise bad(first, f"x has shape {x.shape}", f"the network takes {wanted}")
    return [file.name for file in files], np.stack([_picture(file, shape) for file in files])


def _picture(file: Path, shape: tuple[int, ...]) -> Array:
    if len(shape) < 2:
        raise bad(file, "may be a picture", "the network was not trained on pictures")
    array = picture(file)
    if array.ndim == 2 and len(shape) == 3:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.shape != shape:
        sizes = [" × ".join(map(str, size)) for size in (array.shape, shape)]
        raise bad(file, f"is {sizes[0]}", f"the network takes {sizes[1]}")
    return array


def _table(file: Path, columns: Columns) -> tuple[list[str], Array]:
    try:
        text = content(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise bad(file, "is not UTF-8 text", "save it as UTF-8") from error
    delimiter = max(DELIMITERS, key=text.partition("\n")[0].count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    except csv.Error as error:
        raise bad(file, f"is not valid CSV ({error})", "check its quotation marks") from error
    head = [name.strip() for name in rows[0]] if rows else []
    missing = [name for name, _ in columns if name not in head]
    if missing:
        raise bad(file, f"no column {missing[0]!r}", "it needs the columns of the dataset")
    if any(len(row) != len(head) for row in rows):
        raise bad(file, "its rows differ in length", "every row needs the same columns")
    if len(rows) < 2:
        raise bad(file, "contains no examples", "add one row per example")
    given = dict(zip(head, zip(*rows[1:], strict=True), strict=True))
    found = [_column(file, name, known, given[name]) for name, known in columns]
    return [f"row {row}" for row in range(1, len(rows))], np.stack(found, axis=1)


def _column(
    file: Path, name: str, categories: tuple[str, ...] | None, texts: Sequence[str]
) -> Array:
    values = cells(texts)
    if categories is not None:  # one that the dataset has not is 0 in all of its features
        places = {category: float(place) for place, category in enumerate(categories)}
        other = float(len(categories))
        return np.array([np.nan if v is None else places.get(v, other) for v in values])
    try:
        return np.array([np.nan if v is None else float(v) for v in values], np.float64)
    except ValueError:
        raise bad(file, f"column {name!r} must hold numbers", "correct it") from None
