"""What does a column of a table hold: numbers, or one of a few texts?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.files import bad

MAX_CATEGORIES = 1000
MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "<NA>"})
"""What stands in a table where a value is missing."""

NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")
_DECIMAL_COMMA = re.compile(r"\s*[+-]?[0-9]+,[0-9]+\s*")

Cells: TypeAlias = Sequence[str | None]
"""Text, one a row; None where it is missing."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, by name."""

    name: str
    categories: tuple[str, ...] | None = None
    """The different texts in it, sorted; None where it holds numbers."""


def encode(
    where: object, name: str, cells: Cells, row: Callable[[int], str]
) -> tuple[Column, NDArray[np.float64]]:
    """The column of these cells, and its numbers (n,): categories by their place in the list.

    A column is one of numbers where every cell that is not missing is a number. NaN is missing.

    Args:
        where: What an error names as the place.
        name: The column's.
        cells: (n,).
        row: What an error calls a cell's row, by its place from 0.

    Raises ``DataError`` where most cells are numbers, but not all, and for too many categories.
    """
    there = [cell for cell in cells if cell is not None]
    odd = [cell for cell in there if not NUMBER.fullmatch(cell)]
    if not odd:
        numbers = [np.nan if cell is None else float(cell) for cell in cells]
        return Column(name), np.array(numbers, np.float64)
    if all(map(_DECIMAL_COMMA.fullmatch, odd)):
        problem = f"column {name!r} holds numbers with a decimal comma, such as {odd[0]!r}"
        raise bad(where, problem, "use a decimal point")
    if 2 * len(odd) < len(there):
        place = row(cells.index(odd[0]))
        problem = f"column {name!r} holds numbers, but {odd[0]!r} in {place}"
        raise bad(where, problem, "correct it, or leave the cell empty where a value is missing")
    categories = sorted(set(there))
    if len(categories) > MAX_CATEGORIES:
        problem = f"column {name!r} holds {len(categories)} different texts"
        raise bad(
            where, problem, f"leave the column out, or group them into at most {MAX_CATEGORIES}"
        )
    code = {category: float(number) for number, category in enumerate(categories)}
    codes = [np.nan if cell is None else code[cell] for cell in cells]
    return Column(name, tuple(categories)), np.array(codes, np.float64)


def cells(texts: Iterable[str]) -> list[str | None]:
    """The texts of a column, None for those that stand for a missing value."""
    return [None if text.strip() in MISSING else text for text in texts]
