"""What does a network see of a row? Missing values filled, and categories one-hot.

Whatever is learned for it is learned on the training part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.datasets import Dataset
from hpsearch.data.draws import Rows
from hpsearch.data.files import Array, bad, listed


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


def learn(dataset: Dataset, train: Rows, missing: str | None) -> Features:
    """The features that the training part has.

    A category has a feature if it is in the training part; an example of another is 0 in all of
    its column's features. With ``missing="mean"`` a missing number becomes the mean of its column
    in the training part, and a missing category the share of each there.

    Raises ``DataError`` for missing values, unless they are to be filled and can be.
    """
    lacking = dataset.missing
    if lacking.any() and missing is None:
        places = np.flatnonzero(lacking).tolist()
        names = listed(f"{dataset.column(place)} ({lacking[place]})" for place in places)
        problem = f"values are missing in {names}"
        raise bad(dataset.source, problem, 'fill them in, or set data.missing = "mean"')
    x = dataset.x[train] if lacking.any() or dataset.columns else dataset.x[:0]
    if lacking.any():
        never = np.flatnonzero(np.isnan(x).all(axis=0))
        if never.size:
            problem = f"no training example has a value for {dataset.column(int(never[0]))}"
            raise bad(dataset.source, problem, "leave it out, or use more examples")
    categories: list[NDArray[np.float64] | None] = [None] * dataset.x.shape[1]
    features: list[str] = []
    numbers: list[bool] = []
    for i, column in enumerate(dataset.columns):
        if column.categories is None:
            features.append(column.name)
            numbers.append(True)
            continue
        codes = categories[i] = np.unique(x[~np.isnan(x[:, i]), i])
        features += [f"{column.name}={column.categories[int(code)]}" for code in codes]
        numbers += [False] * len(codes)
    if not dataset.columns:
        numbers = [True] * dataset.x.shape[1]
    found = Features(
        tuple(features) if dataset.columns else None, np.array(numbers), None, tuple(categories)
    )
    if not lacking.any():
        return found
    seen = found.of(x)
    there = ~np.isnan(seen)
    fill = np.where(there, seen, 0).sum(axis=0) / there.sum(axis=0)
    return Features(found.names, found.numbers, fill, found.categories)


def _one_hot(column: NDArray[np.float64], codes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 1) codes as (n, categories): 1 in the place of a row's own, NaN where it is missing."""
    return np.where(np.isnan(column), np.nan, (column == codes).astype(np.float64))
