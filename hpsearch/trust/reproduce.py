"""Does a trial, trained again, give the same bits?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import NotComparableError, UnknownTrialError
from hpsearch.ledger.records import (
    NO_STEPS,
    Curve,
    State,
    StudyRecord,
    Trial,
    curve,
    encode,
)
from hpsearch.ledger.store import Store
from hpsearch.training.seam import Row, Trainer
from hpsearch.trust import environment


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What training a trial again showed."""

    number: int
    identical: bool
    epochs: int
    """Epochs compared."""
    weights_sha256: str | None
    recorded_sha256: str | None
    first_difference: str | None
    environment_differences: list[str]
    rounds_alike: bool
    """Whether this environment must give the recorded one's bits."""
    state: Mapping[str, NDArray[Any]]
    """The trained arrays."""

    @property
    def exit_code(self) -> int:
        """0 if identical, 3 if different, 4 if different where bits need not be the same."""
        if self.identical:
            return 0
        return 3 if self.rounds_alike else NotComparableError.exit_code


def reproduce(store: Store, record: StudyRecord, trial: Trial, trainer: Trainer) -> Reproduction:
    """Train a finished trial again, to the epoch where it ended, and compare.

    Raises:
        UnknownTrialError: If it did not finish, or failed.
        NotComparableError: If the data is no longer what the study was run on.
    """
    if trial.state not in (State.COMPLETE, State.PRUNED) or trial.environment is None:
        raise UnknownTrialError(
            f"trial {trial.number} is {trial.state}: only a COMPLETE or PRUNED one is reproduced"
        )
    if trainer.digests != record.data_digests:
        raise NotComparableError(
            f"the data of {record.name!r} has changed since it was run "
            f"({_changed(record.data_digests, trainer.digests)}); bring the data back"
        )
    recorded = store.curves(record.id, [trial.number])[trial.number]
    rows: list[Row] = []
    with environment.single_thread():
        here = environment.current()
        training = trainer.train(record.study.resolve(trial.params, trial.seed))
        stopped = trial.state is State.PRUNED and trial.reason != "diverged"
        with closing(training):
            for row in training:
                rows.append(row)
                if stopped and len(rows) == trial.epochs:
                    break
    there = store.environment(trial.environment)
    weights = training.sha256
    difference = _first_difference(record.metrics, recorded, curve(rows))
    steps = store.steps(record.id, [trial.number]).get(trial.number, NO_STEPS)
    if difference is None and encode(steps) != encode(np.array(training.steps)):
        difference = "the losses by step"
    if difference is None and weights != trial.weights_sha256:
        difference = f"weights: sha256 {trial.weights_sha256} recorded, {weights} now"
    return Reproduction(
        number=trial.number,
        identical=difference is None,
        epochs=len(rows),
        weights_sha256=weights,
        recorded_sha256=trial.weights_sha256,
        first_difference=difference,
        environment_differences=environment.differences(there, here),
        rounds_alike=environment.rounds_alike(there, here),
        state=training.state,
    )


def confirm(store: Store, record: StudyRecord, trial: Trial, trainer: Trainer) -> Reproduction:
    """Reproduce a trial where its bits must come out the same.

    Raises:
        NotComparableError: Also if they differ and this environment rounds otherwise.
    """
    outcome = reproduce(store, record, trial, trainer)
    if not outcome.identical and not outcome.rounds_alike:
        raise NotComparableError(
            f"trial {trial.number} was not confirmed: this environment rounds otherwise "
            f"({outcome.environment_differences[0]})"
        )
    return outcome


def _first_difference(names: Sequence[str], recorded: Curve, now: Curve) -> str | None:
    for epoch, (old, new) in enumerate(zip(recorded, now, strict=False), start=1):
        for name, was, is_ in zip(names, old, new, strict=True):
            if np.float64(was).tobytes() != np.float64(is_).tobytes():
                return f"epoch {epoch}: {name} {float(was)!r} recorded, {float(is_)!r} now"
    if len(recorded) != len(now):
        return f"epochs: {len(recorded)} recorded, {len(now)} now"
    return None


def _changed(recorded: Mapping[str, str], now: Mapping[str, str]) -> str:
    return ", ".join(
        f"{part} {recorded[part][:12]} → {now.get(part, '')[:12]}"
        for part in recorded
        if recorded[part] != now.get(part)
    )
