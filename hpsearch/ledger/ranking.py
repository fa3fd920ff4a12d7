"""Which of two COMPLETE trials is the better one? The one rule, wherever a best is named.

A small validation part gives many trials the same accuracy. Of those with the same value, the one
with the lowest validation loss is the best, if the trainings report that; and then the first. With
several objectives, those beside the first one go before the loss.
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
    """A trial's validation loss for the weights that it kept; infinite where nobody knows it."""
    found = _kept(study, trial, curve, LOSS) if len(curve) else math.inf
    return math.inf if math.isnan(found) else found


def values(study: Study, trial: Trial, curve: Curve) -> tuple[float, ...]:
    """What a COMPLETE trial came to, by each objective."""
    assert trial.value is not None
    others = (_kept(study, trial, curve, metric) for metric in study.search.also)
    return (trial.value, *others)


def among_equals(study: Study, trial: Trial, curve: Curve) -> tuple[float, ...]:
    """What tells a trial from others of the same value: the less, the better."""
    further = zip(study.search.directions[1:], values(study, trial, curve)[1:], strict=True)
    losses = [-value if direction == "maximize" else value for direction, value in further]
    return (*losses, *([loss(study, trial, curve)] if by_loss(study) else []))


def _kept(study: Study, trial: Trial, curve: Curve, metric: str) -> float:
    """A metric for the weights that a trial kept; of several trainings the mean, as the value."""
    column = curve[:, study.metrics.index(metric)]
    patient = trial.params.get("training.patience", study.fixed.get("training", {}).get("patience"))
    watched = curve[:, study.metrics.index(LOSS)] if patient else column
    kept, at = [], 0
    for fold in trial.folds:
        end = at + fold.epochs
        place = at + int(watched[at:end].argmin()) if patient else end - 1
        kept.append(replace(fold, value=float(column[place])))
        at = end
    return mean_of(kept) if kept else float(column[watched.argmin() if patient else -1])


def tie(study: Study, trials: int) -> str:
    """Why the best is the best of so many trials with its value; empty where it alone has it."""
    if trials < 2:
        return ""
    why = "has the lowest validation loss" if by_loss(study) else "was the first"
    if study.search.also:
        why = "is the best by the other objectives"
    return f"{trials} trials have this value; this one {why}"


class Ranking:
    """Ranks trials. The curves of those with the same value are read, once."""

    def __init__(self) -> None:
        self._losses: dict[tuple[str, int], tuple[float, ...]] = {}

    def __call__(self, record: StudyRecord, trials: Iterable[Trial], read: Curves) -> list[Trial]:
        """Those that have a value, the best first."""
        sign = -1.0 if record.study.search.direction == "maximize" else 1.0
        valued = [(sign * trial.value, trial) for trial in trials if trial.value is not None]
        shared = Counter(value for value, _ in valued)
        tied = [trial for value, trial in valued if shared[value] > 1]
        told = by_loss(record.study) or record.study.search.also
        losses = self._of(record, tied, read) if told else {}
        order = [(value, losses.get(trial.number, ()), trial.number) for value, trial in valued]
        by_number = {trial.number: trial for _, trial in valued}
        return [by_number[number] for _, _, number in sorted(order)]

    def _of(
        self, record: StudyRecord, tied: Sequence[Trial], read: Curves
    ) -> dict[int, tuple[float, ...]]:
        key = record.incarnation  # unlike the id, no other study ever has it
        new = [trial for trial in tied if (key, trial.number) not in self._losses]
        for start in range(0, len(new), _AT_ONCE):
            some = new[start : start + _AT_ONCE]
            curves = read(record.id, [trial.number for trial in some])
            for trial in some:
                found = among_equals(record.study, trial, curves[trial.number])
                self._losses[key, trial.number] = found
        return {trial.number: self._losses[key, trial.number] for trial in tied}
