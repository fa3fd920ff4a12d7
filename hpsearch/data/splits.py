"""Which part of a dataset is trained on, which is validated on, and which is sealed?

Splits are drawn by seed, and scaled by what the training part shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.datasets import Dataset, digest
from hpsearch.data.files import Array, bad

SCALINGS = ("minmax", "standard", "none")


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One part of a dataset, scaled and in random order; the arrays are read-only."""

    x: NDArray[np.float32]
    """(n, features), C-contiguous."""
    y: NDArray[np.int64]
    """(n,), labels."""
    digest: str
    """SHA-256 over dtype, shape and bytes of x and y."""


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
    scaling: str = "minmax",
) -> Splits:
    """Training, validation and test part, drawn by ``seed``, stratified and disjoint.

    ``train`` examples are drawn first. A fraction ``validation`` (a float within 0 … 1) of them
    becomes the validation part; a number (an int) is drawn beside them. The test part is the
    dataset's own, or else all that is left; or ``test`` examples of it.

    Each draw takes of every class its share of what is drawn from, rounded by largest remainder
    (ties to the lower label), so within one example. Scaling is learned on the training part:
    ``minmax`` brings its least and greatest value to 0 and 1, ``standard`` each of its features to
    mean 0 and standard deviation 1 (features constant there are 0 everywhere), ``none`` nothing.

    Raises ``DataError`` when a part would be empty, or more is asked than there is.
    """
    beside = not isinstance(validation, float)
    number = _validation_size(dataset, train, validation, test)
    if scaling not in SCALINGS:
        raise bad("data.scaling", f"unknown {scaling!r}", f"use one of {', '.join(SCALINGS)}")
    if seed < 0:
        raise bad("data.seed", f"{seed} is negative", "use 0 or more")
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    labels = dataset.y
    first, rest = _draw(rng.permutation(len(labels[: dataset.test_start])), labels, train)
    validation_rows, remaining = _draw(rest if beside else first, labels, number)
    train_rows, test_rows = (first, remaining) if beside else (remaining, rest)
    if dataset.test_start is not None:
        test_rows = rng.permutation(np.arange(dataset.test_start, len(labels)))
    if test is not None:
        test_rows, _ = _draw(test_rows, labels, test)
    # A draw takes the first of each class, which is no random order of the classes.
    train_rows, validation_rows, test_rows = map(
        rng.permutation, (train_rows, validation_rows, test_rows)
    )
    offset, spread = _scale(dataset.x[train_rows], scaling)
    return Splits(
        train=_part(dataset, train_rows, offset, spread),
        validation=_part(dataset, validation_rows, offset, spread),
        test=_part(dataset, test_rows, offset, spread),
        classes=dataset.classes,
        features=dataset.x.shape[1],
        dataset_digest=dataset.digest,
        source=dataset.source,
    )


def _validation_size(
    dataset: Dataset, train: int, validation: float | int, test: int | None
) -> int:
    """The number of validation examples, when every part can be drawn."""
    for key, number in (("train", train), ("test", test)):
        if number is not None and number < 1:
            raise bad(f"data.{key}", f"{number} examples", "use 1 or more")
    beside = 0
    if isinstance(validation, float):
        number = round(train * validation) if 0 < validation < 1 else 0
        if not 0 < number < train:
            problem = f"{validation} of {train} examples leaves an empty part"
            raise bad("data.validation", problem, "use a fraction between 0 and 1, or a number")
    else:
        number = beside = validation
        if number < 1:
            raise bad("data.validation", f"{number} examples", "use 1 or more")
    pool = len(dataset.y[: dataset.test_start])
    own_test = len(dataset.y) - pool
    asked = train + beside + (0 if own_test else test or 1)
    if asked > pool or (own_test and (test or 1) > own_test):
        there = f"{pool} examples and {own_test} for testing" if own_test else f"{pool} examples"
        parts = f"train = {train}, validation = {validation}, test = {test or 'what is left'}"
        raise bad(dataset.source, f"has {there}, too few for {parts}", "ask for fewer in [data]")
    return number


def _draw(
    rows: NDArray[np.intp], y: NDArray[np.int64], number: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """``number`` of the rows, stratified, and those left: of each class the first, in order."""
    counts = np.bincount(y[rows])
    share, remainder = np.divmod(number * counts, len(rows))
    share[np.argsort(-remainder, kind="stable")[: number - share.sum()]] += 1
    by_class = np.argsort(y[rows], kind="stable")
    rank = np.empty_like(by_class)
    rank[by_class] = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = rank < share[y[rows]]
    return rows[chosen], rows[~chosen]


def _scale(x: Array, scaling: str) -> tuple[Array, Array]:
    """What to subtract and what to divide by, float64, () or (features,).

    An infinite divisor makes 0 of what is constant.
    """
    if scaling == "none":
        return np.zeros(()), np.ones(())
    axis: int | None = 0 if scaling == "standard" else None
    low, high = (np.asarray(end(axis), np.float64) for end in (x.min, x.max))
    if scaling == "minmax":
        return low, np.where(high > low, high - low, np.inf)
    deviation = x.std(axis, dtype=np.float64)
    return x.mean(axis, dtype=np.float64), np.where(high > low, deviation, np.inf)


def _part(dataset: Dataset, rows: NDArray[np.intp], offset: Array, spread: Array) -> Split:
    x = np.empty((len(rows), dataset.x.shape[1]), np.float32)
    with np.errstate(all="ignore"):
        for start in range(0, len(rows), 1024):  # keeps the float64 values small
            block = slice(start, start + 1024)
            x[block] = (dataset.x[rows[block]].astype(np.float64) - offset) / spread
    if not np.isfinite(x).all():
        problem = "some values lie too far from the training part's to be scaled to float32"
        raise bad(dataset.source, problem, "remove the outliers or set another data.scaling")
    y = dataset.y[rows]
    x.setflags(write=False)
    y.setflags(write=False)
    return Split(x, y, digest(x, y))
