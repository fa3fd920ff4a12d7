"""What is each example's label: one of a few classes, or a number?"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.columns import NUMBER
from hpsearch.data.files import Array, bad

MAX_CLASSES = 10_000
LARGEST = float(np.finfo(np.float32).max)
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Labels as places in the list of their names, or as numbers that have none."""

    y: NDArray[np.int64] | NDArray[np.float64]
    """(n,), in 0 … classes - 1, each of which occurs; or the numbers."""
    names: tuple[str, ...]
    """What the source calls each class: whole numbers in their order, or text in its own."""
    told: tuple[Array, ...]
    """What a digest of the labels is taken of."""


def encode(where: object, y: Array, test_start: int | None = None) -> Labels:
    """The classes of these labels, which are any whole numbers, or text.

    Args:
        where: What an error names as the place.
        y: (n,), integers, floats that are whole numbers, or text.
        test_start: First row of the test part; what lies before it needs two classes.

    Raises ``DataError`` for labels that are neither, for one class and for more than 10,000.
    """
    values = _whole(where, y) if y.dtype.kind in "uif" else _text(where, y)
    if (values[:test_start] == values[0]).all():
        raise bad(where, f"every label is {values[0]}", "use data with at least two classes")
    distinct, places = np.unique(values, return_inverse=True)
    if len(distinct) > MAX_CLASSES:
        problem = f"{len(distinct)} different labels, more than {MAX_CLASSES}"
        raise bad(where, problem, "use labels that are classes")
    codes = places.astype("<i8").reshape(len(y))
    names = tuple(map(str, distinct.tolist()))
    if values.dtype.kind == "i":
        return Labels(codes, names, (values,))
    return Labels(codes, names, (codes, np.frombuffer(json.dumps(names).encode(), np.uint8)))


def numbers(where: object, y: Array, test_start: int | None = None) -> Labels:
    """The same of labels that are numbers to be learned: (n,), finite within float32.

    Raises ``DataError`` for text that is no number, and where all before the test part are equal.
    """
    values = y
    if y.dtype.kind in "US":
        texts = _decoded(where, y).tolist()
        odd = next((i for i, text in enumerate(texts) if not NUMBER.fullmatch(text)), None)
        if odd is not None:
            problem = f"example {odd} has the label {texts[odd]!r}"
            raise bad(where, problem, "for a regression, labels must be numbers")
        values = np.array([float(text) for text in texts])
    values = values.astype("<f8", order="C")
    wrong = np.flatnonzero(~(np.abs(values) <= LARGEST))
    if wrong.size:
        problem = f"example {wrong[0]} has the label {values[wrong[0]]}"
        raise bad(where, problem, "labels must be finite float32 numbers")
    if (values[:test_start] == values[0]).all():
        raise bad(
            where, f"every label is {values[0]}", "use data with at least two different labels"
        )
    return Labels(values, (), (values,))


def _whole(where: object, y: Array) -> NDArray[np.int64]:
    """(n,), if all of these numbers are whole and fit."""
    fits = np.ones(len(y), bool)
    if y.dtype.kind == "u":
        fits = y <= 2**63 - 1
    elif y.dtype.kind == "f":
        fits = (np.abs(y) < np.float64(2**63)) & (y == np.floor(y))
    wrong = np.flatnonzero(~fits)
    if wrong.size:
        problem = f"example {wrong[0]} has the label {y[wrong[0]]}"
        remedy = "class labels must be text or integers of at most 64 bits"
        raise bad(where, problem, f'{remedy}; to learn numbers, set data.task = "regression"')
    return y.astype("<i8", order="C")


def _text(where: object, y: Array) -> Array:
    """(n,), whole numbers where all of this text is such, or else text, none of it empty."""
    y = _decoded(where, y)
    empty = np.flatnonzero(y == "")
    if empty.size:
        raise bad(where, f"example {empty[0]} has no label", "leave out examples without a label")
    texts = np.unique(y).tolist()
    if all(map(_WHOLE.fullmatch, texts)):
        return y.astype("<i8")
    if all(map(NUMBER.fullmatch, texts)) and any(float(text) % 1 for text in texts):
        return _whole(where, y.astype(np.float64))
    return y


def _decoded(where: object, y: Array) -> Array:
    """(n,), of text in place of bytes, and of characters that there are."""
    wrong = bad(where, "its labels are not UTF-8", "save them as str")
    if y.dtype.kind == "S":
        try:
            return np.char.decode(y, "utf-8")
        except UnicodeDecodeError as error:
            raise wrong from error
    if y.dtype.itemsize:
        points = y.astype(y.dtype.newbyteorder("="), order="C").view(np.uint32)
        if ((points > sys.maxunicode) | (points >> 11 == 0xD800 >> 11)).any():
            raise wrong
    return y
