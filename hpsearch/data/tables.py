"""What do the columns of a CSV or Parquet file hold?

The numbers of a CSV file are those that its text says, correctly rounded: the libraries that read
such files differ in the last bit from version to version, and a digest would tell.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.columns import Column, cells, encode
from hpsearch.data.files import Array, bad, check_size, content, listed, opened, reading

DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table, of which one column is the label."""

    x: NDArray[np.float64]
    """(n, columns), categories by their place; NaN is missing."""
    y: Array
    """(n,), the label column: text or numbers, none missing."""
    columns: tuple[Column, ...]


def place(text: str, kind: str) -> tuple[Path, str]:
    """The file and the label column that ``FILE#COLUMN`` names."""
    file, mark, label = text.rpartition("#")
    if not mark or not file or not label:
        problem = "the label column is not named"
        raise bad(f"{kind}:{text}", problem, f"write {kind}:FILE#COLUMN, the label column last")
    return Path(file).expanduser(), label


def read_csv(path: Path, label: str) -> Table:
    """A CSV file in UTF-8, plain or gzipped, whose first line names the columns.

    Raises ``DataError`` for what ``rows_of`` and ``columns`` say.
    """
    rows, lines = rows_of(path)
    head = [name.strip() for name in rows[0]]
    columns = zip(*rows[1:], strict=True) if len(rows) > 1 else [()] * len(head)
    named = {name: cells(column) for name, column in zip(head, columns, strict=True)}
    return _table(path, head, named, label, lambda row: f"line {lines[row + 1]}")


def rows_of(path: Path) -> tuple[list[list[str]], list[int]]:
    """The rows of a CSV file, the columns' names first, and the line that each ends on.

    Commas, semicolons, tabs or bars divide its cells: whichever the first line has most of.

    Raises ``DataError`` for rows that are not as long as the first, and for a file without any.
    """
    try:
        text = content(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise bad(path, "is not UTF-8 text", "save it as UTF-8") from error
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    rows: list[list[str]] = []
    lines: list[int] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if not row:  # an empty line
                continue
            if rows and len(row) != len(rows[0]):
                problem = f"line {reader.line_num} has {len(row)} cells, and the first line has"
                raise bad(path, f"{problem} {len(rows[0])}", "every row needs the same columns")
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        problem = f"line {reader.line_num} is not valid CSV ({error})"
        raise bad(path, problem, "check its quotation marks") from error
    if not rows:
        raise bad(
            path,
            "is empty",
            "the first line must name the columns, and each other line is one example",
        )
    return rows, lines


def read_parquet(path: Path, label: str) -> Table:
    """A Parquet file whose columns hold numbers, truth values or text.

    Raises ``DataError`` for columns of another kind, and for what ``columns`` says.
    """
    import pandas
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    with reading(path), opened(path) as stream:
        try:
            file = ParquetFile(stream)
            groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
            check_size(path, sum(group.total_byte_size for group in groups))
            frame = file.read().to_pandas()
        except (ArrowException, OSError) as error:
            raise bad(
                path, "is not a Parquet file, or is damaged", "write the file again"
            ) from error
    head = [str(name) for name in frame.columns]
    named: dict[str, Any] = {}
    for name, column in zip(head, (frame.iloc[:, i] for i in range(len(head))), strict=True):
        types = pandas.api.types
        there = column[column.notna()]
        if types.is_bool_dtype(column) or all(isinstance(value, bool) for value in there):
            named[name] = [None if pandas.isna(v) else str(bool(v)) for v in column]
        elif types.is_numeric_dtype(column) and not types.is_complex_dtype(column):
            named[name] = column
        elif all(isinstance(value, str) for value in there):
            named[name] = [None if pandas.isna(v) else str(v) for v in column]
        else:
            problem = f"column {name!r} is of type {column.dtype}"
            raise bad(path, problem, "convert it to numbers or text, or leave it out")
    return _table(path, head, named, label, lambda row: f"row {row}")


def _table(
    path: Path, head: list[str], named: dict[str, Any], label: str, row: Callable[[int], str]
) -> Table:
    twice = [name for name in named if head.count(name) > 1]
    if twice:
        raise bad(path, f"two columns are named {twice[0]!r}", "give each its own name")
    if label not in named:
        there = f"no column {label!r} (there: {listed(head)})"
        raise bad(path, there, "name the label column after #")
    if len(head) < 2:
        raise bad(path, f"no columns besides the label {label!r}", "add columns with features")
    if not len(named[label]):
        raise bad(path, "contains no examples", "add one row per example")
    encoded = [_encoded(path, name, named[name], row) for name in head if name != label]
    x = np.stack([numbers for _, numbers in encoded], axis=1)
    y = _label(path, label, named[label], row)
    return Table(x, y, tuple(column for column, _ in encoded))


def _encoded(
    path: Path, name: str, values: Any, row: Callable[[int], str]
) -> tuple[Column, NDArray[np.float64]]:
    if isinstance(values, list):
        return encode(path, name, values, row)
    return Column(name), values.to_numpy(np.float64, na_value=np.nan)


def _label(path: Path, name: str, values: Any, row: Callable[[int], str]) -> Array:
    lacking = [i for i, v in enumerate(values) if v is None or v != v]
    if lacking:
        problem = f"{len(lacking)} examples have no label {name!r}, the first in {row(lacking[0])}"
        raise bad(path, problem, "leave out the rows without a label")
    if isinstance(values, list):
        return np.array(values, np.str_)
    return np.asarray(values.to_numpy())
