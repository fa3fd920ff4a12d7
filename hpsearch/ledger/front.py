"""What did a trial come to by each objective, and which trials are surpassed by no other?

Several objectives have no best trial. What they have is the Pareto front: the trials than which no
other is better by one objective and at least as good by all. The ledger keeps a trial's value by
the first objective; by the others it stands in the curve, after the epoch that counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpsearch.ledger.ranking import among_equals, values
from hpsearch.ledger.records import Curve, State, Trial
from hpsearch.study.config import Study


@dataclass(frozen=True, slots=True)
class Placed:
    """A COMPLETE trial of a study with several objectives."""

    trial: Trial
    values: tuple[float, ...]
    """By each objective, in their order."""
    rest: tuple[float, ...]
    """What tells it from others of the same value: the less, the better."""


def placed(study: Study, finished: Iterable[tuple[Trial, Curve]]) -> list[Placed]:
    """The COMPLETE ones among finished trials."""
    return [
        Placed(trial, values(study, trial, curve), among_equals(study, trial, curve))
        for trial, curve in finished
        if trial.state is State.COMPLETE
    ]


def front(study: Study, finished: Iterable[tuple[Trial, Curve]]) -> list[Placed]:
    """The COMPLETE trials that no other surpasses, the best by the first objective first.

    Of trials that are equal by all objectives, all are among them.
    """
    every = sorted(placed(study, finished), key=lambda one: one.rest)
    signs = [-1.0 if direction == "maximize" else 1.0 for direction in study.search.directions]
    losses = np.array([one.values for one in every]).reshape(-1, len(signs)) * signs
    kept: list[int] = []
    for place in np.lexsort(losses.T[::-1]):  # only one that comes before may surpass another
        if not _surpassed(losses[place], losses[kept]):
            kept.append(int(place))
    return [every[place] for place in kept]


def _surpassed(losses: NDArray[np.float64], others: NDArray[np.float64]) -> bool:
    """Whether one of others (trials, objectives) is nowhere worse, and somewhere better."""
    return bool(((others <= losses).all(axis=1) & (others < losses).any(axis=1)).any())
