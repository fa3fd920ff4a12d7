"""Which part of a dataset is trained on, which is validated on, and which is sealed?

Splits are drawn by seed, and scaled by what the training part shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.datasets import Dataset, digest
from hpsearch.data.draws import Rows, Strata, folded, parts, redrawn
from hpsearch.data.duplicates import groups
from hpsearch.data.features import learn
from hpsearch.data.files import Array, bad
from hpsearch.data.preparation import Features, Preparation, Target

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


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What a search sees of its data: all but the test part, which is sealed."""

    train: Split
    validation: Split
    classes: int
    features: int
    source: str
    scaling: str
    """Which of ``SCALINGS`` it is."""
    preparation: Preparation
    """How an example became a row of x."""
    digests: Mapping[str, str]
    """SHA-256 of the whole ``dataset``, and of each part as it is trained on, ``test`` included."""


@dataclass(frozen=True, slots=True, eq=False)
class Splits(Parts):
    """The disjoint parts of one study."""

    test: Split

    @property
    def sealed(self) -> Parts:
        """The same without the test part: what a search is given."""
        return Parts(**{each.name: getattr(self, each.name) for each in fields(Parts)})


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
    draw: int | None = None,
    folds: int | None = None,
    fold: int | None = None,
) -> Splits:
    """Training, validation and test part, drawn by ``seed``, stratified and disjoint.

    How they are drawn is told by ``draws.parts``, another ``draw`` of the first two by
    ``draws.redrawn``, and one ``fold`` of them by ``draws.folded``, counted from 1: the first is
    what there is without folds. With ``duplicates="together"``, examples that are equal byte for
    byte are in one part. How missing values are filled and categories become features is told by
    ``features.learn``.

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
    drawn_from = Strata(strata, dataset.test_start, dataset.source, equal)
    train_rows, validation_rows, test_rows = parts(
        drawn_from,
        train=train,
        validation=validation,
        test=test,
        seed=seed,
    )
    if draw is not None:
        both = train_rows, validation_rows
        train_rows, validation_rows = redrawn(drawn_from, *both, seed=seed, draw=draw)
    if folds is not None:
        both = train_rows, validation_rows
        found = folded(drawn_from, *both, seed=seed, folds=folds, draw=draw or 0)
        train_rows, validation_rows = found[(fold or 1) - 1]
    features = learn(dataset, train_rows, missing)
    target = None if dataset.names else _target(dataset, train_rows)
    preparation = Preparation(
        features,
        *_scale(dataset.x[train_rows], features, scaling),
        dataset.shape,
        tuple((column.name, column.categories) for column in dataset.columns),
        dataset.names,
        target,
    )
    rows = {"train": train_rows, "validation": validation_rows, "test": test_rows}
    drawn = {name: _part(dataset, of, preparation) for name, of in rows.items()}
    return Splits(
        **drawn,
        classes=dataset.classes,
        features=len(features.numbers),
        source=dataset.source,
        scaling=scaling,
        preparation=preparation,
        digests={"dataset": dataset.digest} | {name: of.digest for name, of in drawn.items()},
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


def _part(dataset: Dataset, rows: Rows, preparation: Preparation) -> Split:
    x, target = preparation.of(dataset.x[rows]), preparation.target
    if not np.isfinite(x).all():
        problem = "some values lie too far from the training part's to be scaled to float32"
        raise bad(dataset.source, problem, "remove the outliers or set another data.scaling")
    y = dataset.y[rows] if target is None else target.scaled(dataset.y[rows])
    x.setflags(write=False)
    y.setflags(write=False)
    return Split(x, y, rows, digest(x, y))
