"""What was understood of a dataset? Told before a search, so that nothing is misread for hours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpsearch.data.datasets import Dataset
from hpsearch.data.duplicates import groups


@dataclass(frozen=True, slots=True)
class Description:
    """A dataset in numbers."""

    source: str
    examples: int
    test_examples: int | None
    """Of them, those of the dataset's own test part; None where it has none."""
    shape: tuple[int, ...]
    """Of an example, as its source has it."""
    dtype: str
    low: float | None
    """The least value; None where all are missing, or columns tell their own."""
    high: float | None
    columns: tuple[Mapping[str, Any], ...]
    """Of a table: ``name``, ``categories`` or ``low`` and ``high``, how many are ``missing``."""
    classes: Mapping[str, int]
    """How many examples each class has; nothing of a regression."""
    target: tuple[float, float] | None
    """Of a regression, the least and the greatest label."""
    missing: int
    """Values that are."""
    equal: int
    """Examples that are equal to one before them."""
    equal_test: int
    """Those of the test part that are equal to one of the others."""
    sha256: str


def describe(dataset: Dataset) -> Description:
    """What a dataset holds."""
    x, start = dataset.x, dataset.test_start
    low, high = (None, None) if dataset.columns else _ends(x)
    first = groups(x)
    equal_test = 0 if start is None else int(np.isin(first[start:], first[:start]).sum())
    lacking = dataset.missing
    columns = []
    for number, column in enumerate(dataset.columns):
        told: dict[str, Any] = {"name": column.name}
        if column.categories is None:
            told["low"], told["high"] = _ends(x[:, number])
        else:
            told["categories"] = list(column.categories)
        columns.append({**told, "missing": int(lacking[number])})
    counts = np.bincount(dataset.y.astype(np.intp)).tolist() if dataset.names else []
    target = None if dataset.names else (float(dataset.y.min()), float(dataset.y.max()))
    return Description(
        source=dataset.source,
        examples=len(x),
        test_examples=None if start is None else len(x) - start,
        shape=dataset.shape,
        dtype=x.dtype.name,
        low=low,
        high=high,
        columns=tuple(columns),
        classes=dict(zip(dataset.names, counts, strict=True)),
        target=target,
        missing=int(lacking.sum()),
        equal=int((first != np.arange(len(x))).sum()),
        equal_test=equal_test,
        sha256=dataset.digest,
    )


def _ends(x: Any) -> tuple[float | None, float | None]:
    """The least and the greatest value that is not missing."""
    low, high = np.fmin.reduce(x, axis=None).item(), np.fmax.reduce(x, axis=None).item()
    return (None, None) if low != low else (low, high)
