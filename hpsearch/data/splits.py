"""Which part of a dataset is trained on, which is validated on, and which is sealed?

Splits are drawn by seed, and scaled by what the training part shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.datasets import Dataset, digest
from hpsearch.data.draws import Rows, Strata, parts
from hpsearch.data.duplicates import groups
from hpsearch.data.features import Features, learn
from hpsearch.data.files import Array, bad

SCALINGS = ("minmax", "minmax-per-feature", "standard", "none")


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One part of a dataset, scaled and in random order; the arrays are read-only."""

    x: NDArray[np.float32]
    """(n, features), C-contiguous."""
    y: NDArray[np.int64] | NDArray[np.float64]
    """(n,), labels; of a regression, numbers scaled as ``Target`` says."""
    rows: Rows
    """(n,), which examples of the dataset they are."""
    digest: str
    """SHA-256 over dtype, shape and bytes of x and y."""


@dataclass(frozen=True, slots=True)
class Target:
    """How the numbers of a regression were scaled: less the mean, by the deviation."""

    mean: float
    """Of the training part, as is the deviation."""
    deviation: float

    def scaled(self, y: Array) -> NDArray[np.float64]:
        """Numbers (n,) as they are learned."""
        return np.asarray((y - self.mean) / self.deviation, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Splits:
    """The disjoint parts of one study. ``test`` is sealed: training and search never get it."""

    train: Split
    validation: Split
    test: Split
    classes: int
    features: int
    dataset_digest: str
    source: str
    scaling: str
    """Which of ``SCALINGS`` it is."""
    target: Target | None
    """Of a regression; None where classes are learned."""

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of the whole ``dataset``, and of each part as it is trained on."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {"dataset": self.dataset_digest} | {name: p.digest for name, p in parts.items()}


def split(
    dataset: Dataset,
    *,
    train: int,
    validation: float | int,
    seed: int,
    test: int | None = None,
    scaling: str | None = None,
    duplicates: str | None = None,
    missing: str | None = None,
) -> Splits:
    """Training, validation and test part, drawn by ``seed``, stratified and disjoint.

    How they are drawn is told by ``draws.parts``. With ``duplicates="together"``, examples that are
    equal byte for byte are in one part. How missing values are filled and categories become
    features is told by ``features.learn``.

    Scaling is learned on the training part: ``minmax`` brings its least and greatest value to 0 and
    1, ``minmax-per-feature`` those of each feature, ``standard`` each feature to mean 0 and
    standard deviation 1 (features constant there are 0 everywhere), ``none`` nothing. Left out, it
    is ``minmax`` for images, whose features are alike, and ``standard`` for all else, where one
    range would hide the smaller features. A category's features stay 0 and 1.

    Of a regression, labels are drawn from without classes, and brought to mean 0 and standard
    deviation 1 in the training part.

    Raises ``DataError`` when a part would be empty, or more is asked than there is.
    """
    if scaling is None:
        scaling = "minmax" if len(dataset.shape) > 1 else "standard"
    if scaling not in SCALINGS:
        raise bad("data.scaling", f"unknown {scaling!r}", f"use one of {', '.join(SCALINGS)}")
    equal = groups(dataset.x) if duplicates == "together" else None
    strata = (dataset.y if dataset.names else np.zeros(len(dataset.y))).astype(np.int64)
    train_rows, validation_rows, test_rows = parts(
        Strata(strata, dataset.test_start, dataset.source, equal),
        train=train,
        validation=validation,
        test=test,
        seed=seed,
    )
    features = learn(dataset, train_rows, missing)
    target = None if dataset.names else _target(dataset, train_rows)
    offset, spread = _scale(dataset.x[train_rows], features, scaling)
    return Splits(
        train=_part(dataset, train_rows, features, offset, spread, target),
        validation=_part(dataset, validation_rows, features, offset, spread, target),
        test=_part(dataset, test_rows, features, offset, spread, target),
        classes=dataset.classes,
        features=len(features.numbers),
        dataset_digest=dataset.digest,
        source=dataset.source,
        scaling=scaling,
        target=target,
    )


def _scale(x: Array, features: Features, scaling: str) -> tuple[Array, Array]:
    """What to subtract and what to divide by, float64, () or (features,).

    An infinite divisor makes 0 of what is constant.
    """
    if scaling == "none" or not features.numbers.any():
        return np.zeros(()), np.ones(())
    if features.plain:
        return _range(x, scaling)
    x = features.of(x)
    offset, spread = np.zeros(x.shape[1]), np.ones(x.shape[1])
    offset[features.numbers], spread[features.numbers] = _range(x[:, features.numbers], scaling)
    return offset, spread


def _target(dataset: Dataset, train: Rows) -> Target:
    y = dataset.y[train]
    if (y == y[0]).all():
        problem = f"every training label is {y[0]}"
        raise bad(dataset.source, problem, "use more examples, or another data.seed")
    return Target(float(y.mean()), float(y.std()))


def _range(x: Array, scaling: str) -> tuple[Array, Array]:
    axis: int | None = None if scaling == "minmax" else 0
    low, high = (np.asarray(end(axis), np.float64) for end in (x.min, x.max))
    if scaling != "standard":
        return low, np.where(high > low, high - low, np.inf)
    deviation = x.std(axis, dtype=np.float64)
    return x.mean(axis, dtype=np.float64), np.where(high > low, deviation, np.inf)


def _part(
    dataset: Dataset,
    rows: Rows,
    features: Features,
    offset: Array,
    spread: Array,
    target: Target | None,
) -> Split:
    x = np.empty((len(rows), len(features.numbers)), np.float32)
    with np.errstate(all="ignore"):
        for start in range(0, len(rows), 1024):  # keeps the float64 values small
            block = slice(start, start + 1024)
            x[block] = (features.of(dataset.x[rows[block]]) - offset) / spread
    if not np.isfinite(x).all():
        problem = "some values lie too far from the training part's to be scaled to float32"
        raise bad(dataset.source, problem, "remove the outliers or set another data.scaling")
    y = dataset.y[rows] if target is None else target.scaled(dataset.y[rows])
    x.setflags(write=False)
    y.setflags(write=False)
    return Split(x, y, rows, digest(x, y))
