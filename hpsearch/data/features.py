"""Which features does the training part have? Categories one-hot, and missing values filled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.datasets import Dataset
from hpsearch.data.draws import Rows
from hpsearch.data.files import bad, listed
from hpsearch.data.preparation import Features


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
