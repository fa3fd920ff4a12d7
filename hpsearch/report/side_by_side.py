"""How do trials of a study differ, and how do two studies?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from hpsearch.ledger.records import Counts, Curve, StudyRecord, Trial
from hpsearch.report.query import cell
from hpsearch.trust.estimate import Correction

SHOWN = 12
"""Epochs of which a comparison of curves shows the metric."""
_DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Side:
    """A study in a comparison."""

    record: StudyRecord
    counts: Counts
    trials: Sequence[Trial]
    correction: Correction

    @property
    def values(self) -> dict[int, float]:
        """The values of the COMPLETE trials, by number."""
        return {trial.number: trial.value for trial in self.trials if trial.value is not None}

    @property
    def best(self) -> float | None:
        """The best of them."""
        if not self.values:
            return None
        highest = self.record.study.search.direction == "maximize"
        return (max if highest else min)(self.values.values())

    @property
    def median(self) -> float | None:
        """The one in the middle."""
        return median(self.values.values()) if self.values else None

    @property
    def epochs(self) -> int:
        """What all trials took together."""
        return sum(trial.trained for trial in self.trials)


@dataclass(frozen=True, slots=True)
class Paired:
    """By how much the second study's trials are above the first's, pair by pair."""

    pairs: int
    mean: float
    low: float
    high: float


def paired(first: Side, second: Side) -> Paired | None:
    """The mean difference over trials of one number and one seed, with a 95 % interval.

    The interval is the percentile interval of a bootstrap over the pairs (Efron and Tibshirani,
    *An Introduction to the Bootstrap*, 1993, section 13.3), with a fixed seed. None where the
    studies rank by different metrics, or fewer than two pairs are COMPLETE.
    """
    if first.record.study.search.metric != second.record.study.search.metric:
        return None
    seeds = {trial.number: trial.seed for trial in first.trials}
    there = [trial for trial in second.trials if seeds.get(trial.number) == trial.seed]
    before, after = first.values, second.values
    pairs = [t.number for t in there if t.number in before and t.number in after]
    if len(pairs) < 2:
        return None
    differences = np.array([after[number] - before[number] for number in pairs])
    drawn = np.random.default_rng(0).integers(len(pairs), size=(_DRAWS, len(pairs)))
    low, high = np.quantile(differences[drawn].mean(axis=1), [0.025, 0.975])
    return Paired(len(pairs), float(differences.mean()), float(low), float(high))


def parameters(record: StudyRecord, trials: Sequence[Trial]) -> dict[str, list[Any]]:
    """The values of all parameters, trial by trial; those that differ come first."""
    found = {path: [trial.params.get(path) for trial in trials] for path in record.study.space}
    return dict(sorted(found.items(), key=lambda item: item[1].count(item[1][0]) == len(trials)))


def facts(trials: Sequence[Trial]) -> dict[str, list[Any]]:
    """How they ended, what they reached, and what they took."""
    names = ("state", "value", "epochs", "seconds")
    return {name: [cell(trial, name) for trial in trials] for name in names}


def epochs(curves: Sequence[Curve], column: int) -> list[tuple[int, list[float | None]]]:
    """A metric by epoch, trial by trial: of at most ``SHOWN`` epochs, evenly spread, the last one
    among them; None where a trial had ended."""
    longest = max(map(len, curves), default=0)
    spread = np.unique(np.linspace(1, longest, min(longest, SHOWN)).round().astype(int))
    return [
        (epoch, [float(c[epoch - 1, column]) if epoch <= len(c) else None for c in curves])
        for epoch in spread.tolist()
    ]
