"""Which of two COMPLETE trials is the better one? The one rule, wherever a best is named.

A small validation part gives many trials the same accuracy. Of those with the same value, the one
with the lowest validation loss is the best, if the trainings report that; and then the first.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from hpsearch.ledger.records import Curve, StudyRecord, Trial, mean_of
from hpsearch.study.config import Study

LOSS = "val_loss"
_AT_ONCE = 500  # curves that are read

Curves: TypeAlias = Callable[[int, Sequence[int]], Mapping[int, Curve]]
"""The curves of some of a study's trials, by its id and their numbers."""


def by_loss(study: Study) -> bool:
    """Whether the validation loss tells trials of the same value apart."""
    return LOSS in study.metrics and study.search.metric != LOSS


def loss(study: Study, trial: Trial, curve: Curve) -> float:
    """A trial's validation loss for the weights that it kept; infinite where nobody knows it.

    Of several trainings it is their mean, as the value is.
    """
    if not len(curve):
        return math.inf
    column = curve[:, study.metrics.index(LOSS)]
    patient = trial.params.get("training.patience", study.fixed.get("training", {}).get("patience"))
    kept, at = [], 0
    for fold in trial.folds:
        part = column[at : at + fold.epochs]
        kept.append(replace(fold, value=float(part[part.argmin() if patient else -1])))
        at += fold.epochs
    found = mean_of(kept) if kept else float(column[column.argmin() if patient else -1])
    return math.inf if math.isnan(found) else found


def tie(study: Study, trials: int) -> str:
    """Why the best is the best of so many trials with its value; empty where it alone has it."""
    if trials < 2:
        return ""
    why = "has the lowest validation loss" if by_loss(study) else "was the first"
    return f"{trials} trials have this value; this one {why}"


class Ranking:
    """Ranks trials. The curves of those with the same value are read, once.

    Args:
        curves: Reads them.
    """

    def __init__(self, curves: Curves) -> None:
        self._curves = curves
        self._losses: dict[tuple[str, int], float] = {}

    def __call__(self, record: StudyRecord, trials: Iterable[Trial]) -> list[Trial]:
        """Those that have a value, the best first."""
        sign = -1.0 if record.study.search.direction == "maximize" else 1.0
        valued = [(sign * trial.value, trial) for trial in trials if trial.value is not None]
        shared = Counter(value for value, _ in valued)
        tied = [trial for value, trial in valued if shared[value] > 1]
        losses = self._of(record, tied) if by_loss(record.study) else {}
        order = [(value, losses.get(trial.number, 0.0), trial.number) for value, trial in valued]
        by_number = {trial.number: trial for _, trial in valued}
        return [by_number[number] for _, _, number in sorted(order)]

    def _of(self, record: StudyRecord, tied: Sequence[Trial]) -> dict[int, float]:
        key = record.incarnation  # unlike the id, no other study ever has it
        new = [trial for trial in tied if (key, trial.number) not in self._losses]
        for start in range(0, len(new), _AT_ONCE):
            some = new[start : start + _AT_ONCE]
            curves = self._curves(record.id, [trial.number for trial in some])
            for trial in some:
                found = loss(record.study, trial, curves[trial.number])
                self._losses[key, trial.number] = found
        return {trial.number: self._losses[key, trial.number] for trial in tied}
