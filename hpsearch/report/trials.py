"""What of a study's trials is shown, and how is it called?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from hpsearch.ledger.ranking import among_equals
from hpsearch.ledger.records import Curve, State, StudyRecord, Trial, mean_of
from hpsearch.ledger.store import Store
from hpsearch.report import words
from hpsearch.study.config import Study

Numbers = NDArray[np.float64]

NAMES = {
    "train_loss": "training loss",
    "train_accuracy": "training accuracy",
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
    "train_r2": "training R²",
    "val_r2": "validation R²",
    "train_f1": "training F1",
    "val_f1": "validation F1",
    "test_loss": "test loss",
    "test_accuracy": "test accuracy",
    "test_r2": "test R²",
    "test_f1": "test F1",
}
PARTS = {"train_": "training", "val_": "validation"}
"""What the metrics of the two parts begin with; a study that opens the test part has neither."""


class Ending(StrEnum):
    """How a training ended."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    DIVERGED = "diverged"


@dataclass(frozen=True, slots=True)
class Finished:
    """A trial that was trained, with its curve."""

    trial: Trial
    curve: Curve
    metrics: tuple[str, ...]
    """The names of the curve's columns."""

    @property
    def ending(self) -> Ending:
        """How it ended: a divergence is no pruner's doing, though the ledger has it as PRUNED."""
        if self.trial.state is State.COMPLETE:
            return Ending.COMPLETE
        return Ending.DIVERGED if self.trial.reason == "diverged" else Ending.PRUNED

    def line(self, metric: str) -> Numbers:
        """(epochs,), one metric of the curve; empty where there is none of that name."""
        if metric not in self.metrics or not len(self.curve):
            return np.zeros(0)
        return self.curve[:, self.metrics.index(metric)]

    def both(self, metric: str) -> dict[str, Numbers]:
        """What the metric measures, on the training and on the validation part where it is."""
        kind = kind_of(metric)
        parts = {name: f"{start}{kind}" for start, name in PARTS.items()}
        if not set(parts.values()) <= set(self.metrics):
            return {metric_name(metric): self.line(metric)}
        return {part: self.line(name) for part, name in parts.items()}

    def last(self, metric: str) -> float:
        """Its value, or of a trial that was stopped its last; not a number where it has none."""
        if self.trial.value is not None:
            return self.trial.value
        if self.trial.folds:
            return mean_of(self.trial.folds)
        line = self.line(metric)
        return float(line[-1]) if line.size else np.nan


def trained(store: Store, record: StudyRecord) -> list[Finished]:
    """The trials that ended and did not fail, in the order of their numbers."""
    return [
        Finished(trial, curve, record.metrics)
        for trial, curve in store.finished(record.id)
        if trial.state is not State.FAIL
    ]


def ranked(study: Study, finished: Iterable[Finished]) -> list[Finished]:
    """Those that have a value, the best first: see ``ledger.ranking``."""
    sign = -1.0 if maximizes(study) else 1.0
    done = [
        (sign * f.trial.value, among_equals(study, f.trial, f.curve), f.trial.number, f)
        for f in finished
        if f.trial.value is not None
    ]
    return [f for _, _, _, f in sorted(done, key=lambda found: found[:3])]


def maximizes(study: Study) -> bool:
    """Whether more is better."""
    return study.search.direction == "maximize"


def titled(study: Study, what: str) -> str:
    """What a figure shows, and of which study."""
    return f"{words.shorten(study.name, 60)}: {what}"


def metric_name(metric: str) -> str:
    """A metric in words."""
    return NAMES.get(metric, metric.replace("_", " "))


def kind_of(metric: str) -> str:
    """What a metric measures, whatever part of the data it is measured on."""
    for start in (*PARTS, "test_"):
        if metric.startswith(start):
            return metric.removeprefix(start)
    return metric


def endings(finished: Iterable[Finished]) -> Mapping[Ending, int]:
    """How many ended how."""
    found = [f.ending for f in finished]
    return {ending: found.count(ending) for ending in Ending if ending in found}


def counted(finished: Sequence[Finished], failed: int = 0) -> str:
    """``30 trials (12 pruned, 2 diverged)``."""
    stopped = [f"{n:,} {e}" for e, n in endings(finished).items() if e is not Ending.COMPLETE]
    stopped += [f"{failed:,} failed"] if failed else []
    trials = words.count(len(finished) + failed, "trial")
    return trials + (f" ({', '.join(stopped)})" if stopped else "")


def parts(study: Study) -> tuple[int, int] | None:
    """How many examples are trained on, and how many validate; None if that is not known.

    Of folds, it is the first one's training part, and the validation part of all.
    """
    if study.data is None:
        return None
    train, validation = study.data.train, study.data.validation
    if isinstance(validation, float):
        validation = round(train * validation)
        train -= validation
    return train, study.data.train if study.data.parts > 1 else validation


def examples(study: Study) -> str:
    """``400 training and 100 validation examples``."""
    known = parts(study)
    if known is None:
        return "examples of its own"
    train, validation = known
    if study.data is not None and study.data.parts > 1:
        return f"{validation:,} examples in {study.folds} folds"
    return f"{train:,} training and {validation:,} validation examples"
