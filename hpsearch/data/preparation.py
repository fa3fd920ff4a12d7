"""What does a network see of a row? The same in training, and wherever it is used afterwards.

NumPy is all that this needs: a model that is served takes this module along, and no other of the
data's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """How rows of a dataset become features."""

    names: tuple[str, ...] | None
    """A column's name, or ``column=category``; None where the dataset names no columns."""
    numbers: NDArray[np.bool_]
    """(features,), which of them are numbers of the dataset rather than one-hot."""
    fill: NDArray[np.float64] | None
    """(features,), what takes the place of a missing value; None where none is missing."""
    categories: tuple[NDArray[np.float64] | None, ...]
    """Of each column the categories that have a feature, by code; None for numbers."""

    @property
    def plain(self) -> bool:
        """Whether the features are the dataset's own numbers."""
        return self.fill is None and bool(self.numbers.all())

    def of(self, x: Array) -> NDArray[np.float64]:
        """(n, features), from rows of the dataset (n, columns), as they are before scaling."""
        features = x.astype(np.float64)
        if any(codes is not None for codes in self.categories):
            features = np.concatenate(
                [
                    column if codes is None else _one_hot(column, codes)
                    for column, codes in zip(
                        np.split(features, x.shape[1], axis=1), self.categories, strict=True
                    )
                ],
                axis=1,
            )
        if self.fill is not None:
            np.copyto(features, self.fill, where=np.isnan(features))
        return features


@dataclass(frozen=True, slots=True)
class Target:
    """How the numbers of a regression were scaled: less the mean, by the deviation."""

    mean: float
    """Of the training part, as is the deviation."""
    deviation: float

    def scaled(self, y: Array) -> NDArray[np.float64]:
        """Numbers (n,) as they are learned."""
        return np.asarray((y - self.mean) / self.deviation, np.float64)

    def original(self, y: Array) -> NDArray[np.float64]:
        """Numbers (n,) as they were, from those that a network gives."""
        return np.asarray(y * self.deviation + self.mean, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Preparation:
    """How rows of a dataset become what the network gets, and what its outputs mean.

    What is learned for it is learned on the training part.
    """

    features: Features
    offset: Array
    """What is subtracted, float64, () or (features,)."""
    spread: Array
    """By what is divided; an infinite one makes 0 of what is constant."""
    shape: tuple[int, ...]
    """Of an example in the source."""
    columns: tuple[tuple[str, tuple[str, ...] | None], ...]
    """Of a table: each column's name, and its categories by code; nothing otherwise."""
    classes: tuple[str, ...]
    """Their names; nothing of a regression."""
    target: Target | None
    """Of a regression."""

    def of(self, x: Array) -> NDArray[np.float32]:
        """(n, features), from rows of the dataset (n, columns)."""
        inputs = np.empty((len(x), len(self.features.numbers)), np.float32)
        with np.errstate(all="ignore"):
            for start in range(0, len(x), 1024):  # keeps the float64 values small
                block = slice(start, start + 1024)
                inputs[block] = (self.features.of(x[block]) - self.offset) / self.spread
        return inputs

    def encoded(self, columns: Mapping[str, Any]) -> NDArray[np.float64]:
        """Rows of a table, (n, columns), as the dataset has them.

        Args:
            columns: Values by the name of their column, numbers or texts; None or NaN is missing.

        Raises:
            ValueError: If a column is not there, or a text stands where a number should.
        """
        return np.stack([_column(name, known, columns) for name, known in self.columns], axis=1)

    def table(self) -> dict[str, Any]:
        """It as JSON has it."""
        own = self.features
        return {
            "shape": list(self.shape),
            "columns": [
                {"name": name, "categories": categories, "codes": _list(codes)}
                for (name, categories), codes in zip(self.columns, own.categories, strict=True)
            ]
            if self.columns
            else [],
            "numbers": own.numbers.tolist(),
            "fill": _list(own.fill),
            "offset": self.offset.tolist(),
            "divisor": np.where(np.isinf(self.spread), 0.0, self.spread).tolist(),
            "classes": list(self.classes),
            "target": None if self.target is None else asdict(self.target),
        }

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> Preparation:
        """It from JSON."""
        columns = table["columns"]
        codes = tuple(_array(column["codes"]) for column in columns)
        divisor = np.asarray(table["divisor"], np.float64)
        numbers = np.array(table["numbers"], np.bool_)
        plain = (None,) * int(np.prod(table["shape"], dtype=int))
        return cls(
            features=Features(None, numbers, _array(table["fill"]), codes or plain),
            offset=np.asarray(table["offset"], np.float64),
            spread=np.where(divisor == 0, np.inf, divisor),
            shape=tuple(table["shape"]),
            columns=tuple(
                (c["name"], None if c["categories"] is None else tuple(c["categories"]))
                for c in columns
            ),
            classes=tuple(table["classes"]),
            target=Target(**table["target"]) if table["target"] else None,
        )


def _one_hot(column: NDArray[np.float64], codes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 1) codes as (n, categories): 1 in the place of a row's own, NaN where it is missing."""
    return np.where(np.isnan(column), np.nan, (column == codes).astype(np.float64))


def _list(values: Array | None) -> list[float] | None:
    return None if values is None else values.tolist()


def _array(values: list[float] | None) -> NDArray[np.float64] | None:
    return None if values is None else np.array(values, np.float64)


def _column(
    name: str, categories: tuple[str, ...] | None, columns: Mapping[str, Any]
) -> NDArray[np.float64]:
    if name not in columns:
        raise ValueError(f"no column {name!r}")
    values = [None if value is None or value != value else value for value in columns[name]]
    if categories is None:
        try:
            return np.array([np.nan if value is None else float(value) for value in values])
        except (TypeError, ValueError):
            raise ValueError(f"column {name!r} must hold numbers") from None
    codes = {category: float(place) for place, category in enumerate(categories)}
    other = float(len(categories))  # a category that the training part has not: 0 in all features
    return np.array([np.nan if v is None else codes.get(str(v), other) for v in values])
