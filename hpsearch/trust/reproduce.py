"""Does a trial, trained again, give the same bits?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import NotComparableError, UnknownTrialError
from hpsearch.ledger.changes import changes_of
from hpsearch.ledger.records import (
    NO_STEPS,
    Curve,
    State,
    StudyRecord,
    Trial,
    curve,
    encode,
    weights_digest,
)
from hpsearch.ledger.store import Store
from hpsearch.search import race
from hpsearch.settings import Settings
from hpsearch.study.objective import LOCAL
from hpsearch.training.seam import Row, Trainer, TrainingFailed
from hpsearch.trust import compute, elsewhere, environment

_TOLD = (
    "number",
    "identical",
    "within_tolerance",
    "epochs",
    "weights_sha256",
    "recorded_sha256",
    "first_difference",
    "environment_differences",
    "rounds_alike",
    "gaps",
)
"""What another process tells of a reproduction."""


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What training a trial again showed."""

    number: int
    identical: bool
    within_tolerance: bool
    """All reported numbers are within the tolerance that the study allows, if it allows one."""
    epochs: int
    """Epochs compared."""
    weights_sha256: str | None
    recorded_sha256: str | None
    first_difference: str | None
    environment_differences: list[str]
    rounds_alike: bool
    """Whether this environment must give the recorded one's bits."""
    state: Mapping[str, NDArray[Any]] = field(repr=False)
    """The trained arrays."""
    gaps: Mapping[str, float] = field(default_factory=dict)
    """By metric, how far the numbers are apart at most: infinitely where one is not finite."""
    elsewhere: bool = False
    """Whether another process trained it, which rounds as the recorded one did."""

    @property
    def agrees(self) -> bool:
        """Whether it is what it has to be: identical, or as near as the study allows."""
        return self.identical or self.within_tolerance

    @property
    def exit_code(self) -> int:
        """0 if it agrees, 3 if not, 4 if not where bits need not be the same."""
        if self.agrees:
            return 0
        return 3 if self.rounds_alike else NotComparableError.exit_code

    @property
    def outcome(self) -> dict[str, Any]:
        """What the ledger keeps of it."""
        return {
            "number": self.number,
            "identical": self.agrees,
            "weights_sha256": self.weights_sha256,
            "recorded_sha256": self.recorded_sha256,
            "first_difference": self.first_difference,
        }


def reproduce(
    store: Store,
    record: StudyRecord,
    trial: Trial,
    trainer: Trainer,
    places: Settings | None = None,
) -> Reproduction:
    """Train a finished trial again, to the epoch where it ended, and compare.

    Args:
        store: The ledger.
        record: The study.
        trial: The trial.
        trainer: What trains it here.
        places: The workspace. With it, where this process uses another kernel or other CPU features
            than the recorded one, and this CPU can do those, another process trains it with them.

    Raises:
        UnknownTrialError: If it did not finish, or failed.
        NotComparableError: If the data is no longer what the study was run on.
    """
    if trial.state not in (State.COMPLETE, State.PRUNED) or trial.environment is None:
        raise UnknownTrialError(
            f"trial {trial.number} is {trial.state}; name a COMPLETE or PRUNED trial"
        )
    if trial.reason == race.REASON:
        raise UnknownTrialError(
            f"trial {trial.number} was not trained: its configuration was clearly behind by then"
        )
    if trainer.digests != record.data_digests:
        raise NotComparableError(
            f"the data of {record.name!r} has changed since the study ran "
            f"({changes_of(record.data_digests, trainer.digests)}); restore the data"
        )
    there = store.environment(trial.environment)
    if places is not None and (told := _elsewhere(record, trial, there, places)) is not None:
        return told
    recorded = store.curves(record.id, [trial.number])[trial.number]
    rows: list[Row] = []
    with environment.single_thread():
        here = environment.current()
        training = trainer.train(record.study.resolve(trial.params, trial.seed), trial.number)
        stopped = trial.state is State.PRUNED and trial.reason != "diverged"
        failure: str | None = None
        try:
            with closing(training):
                for row in training:
                    rows.append(row)
                    if stopped and len(rows) == trial.epochs:
                        break
        except TrainingFailed as error:
            failure = f"it failed: {error}"
    weights = training.sha256
    now = curve(rows, len(record.metrics))
    difference = failure or first_difference(record.metrics, recorded, now)
    steps = store.steps(record.id, [trial.number]).get(trial.number, NO_STEPS)
    if difference is None and encode(steps) != encode(np.array(training.steps)):
        difference = "the losses by step"
    if difference is None and weights != trial.weights_sha256:
        difference = f"weights: sha256 {trial.weights_sha256} recorded, {weights} now"
    return Reproduction(
        number=trial.number,
        identical=difference is None,
        within_tolerance=failure is None and _near(recorded, now, record.study.tolerance),
        epochs=len(rows),
        weights_sha256=weights,
        recorded_sha256=trial.weights_sha256,
        first_difference=difference,
        environment_differences=environment.differences(there, here, trainer.packages),
        rounds_alike=environment.computes_alike(there, here, trainer.packages),
        state=training.state,
        gaps=_gaps(record.metrics, recorded, now),
    )


def rounds_here(store: Store, trial: Trial) -> bool:
    """Whether this process must give a trial's bits."""
    with environment.single_thread():
        here = environment.rounding()
    return trial.environment is not None and environment.rounds_alike(
        store.environment(trial.environment), here
    )


def _elsewhere(
    record: StudyRecord, trial: Trial, there: Mapping[str, Any], places: Settings
) -> Reproduction | None:
    """What another process says that rounds as the recorded one did; None if none is needed or can.

    A function that only this process can call is trained in this one.
    """
    objective = record.study.objective
    if objective is not None and (objective.function or "").startswith(LOCAL):
        return None
    with environment.single_thread():
        here = environment.rounding()
    if environment.rounds_alike(there, here):
        return None
    variables = compute.like(there, here)
    if variables is None:
        return None
    told = elsewhere.reproduce(places, record.name, trial.number, variables)
    if told is None:
        return None
    said = {key: told.document[key] for key in _TOLD}
    gaps = {name: math.inf if gap is None else gap for name, gap in said.pop("gaps").items()}
    return Reproduction(**said, gaps=gaps, state=told.state, elsewhere=True)


def confirm(
    store: Store, record: StudyRecord, trial: Trial, trainer: Trainer, places: Settings
) -> Reproduction:
    """Reproduce a trial where its bits must come out the same, once.

    The weights are kept in the workspace's cache until somebody needs them: MLflow may have been
    left out, or away, when they were trained.

    Raises:
        NotComparableError: Also if they differ and this environment rounds otherwise.
    """
    kept = places.cache / "weights" / f"{trial.weights_sha256}.safetensors"
    state = _kept(kept, trial)
    if state is not None:
        return _confirmed(trial, state)
    outcome = reproduce(store, record, trial, trainer, places)
    if outcome.identical and outcome.state:
        _keep(kept, outcome.state)
    if not outcome.agrees and not outcome.rounds_alike:
        raise NotComparableError(
            f"trial {trial.number} was not compared: this environment rounds differently "
            f"({outcome.environment_differences[0]})"
        )
    return outcome


def _kept(file: Path, trial: Trial) -> Mapping[str, NDArray[Any]] | None:
    """The weights that training a trial again has given before; None if they are not there."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        state = load(file.read_bytes())
    except (OSError, SafetensorError):
        return None
    return state if weights_digest(state) == trial.weights_sha256 else None


def _keep(file: Path, state: Mapping[str, NDArray[Any]]) -> None:
    from safetensors.numpy import save

    with suppress(OSError):  # a cache; without it the trial is trained again
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f"{file.name}.{uuid4().hex}")
        draft.write_bytes(save(dict(state)))
        draft.replace(file)


def _confirmed(trial: Trial, state: Mapping[str, NDArray[Any]]) -> Reproduction:
    """What was found when these weights were kept."""
    return Reproduction(
        number=trial.number,
        identical=True,
        within_tolerance=False,
        epochs=trial.epochs,
        weights_sha256=trial.weights_sha256,
        recorded_sha256=trial.weights_sha256,
        first_difference=None,
        environment_differences=[],
        rounds_alike=True,
        state=state,
    )


def _gaps(names: Sequence[str], recorded: Curve, now: Curve) -> dict[str, float]:
    """Over the epochs that both have."""
    common = min(len(recorded), len(now))
    old, new = recorded[:common], now[:common]
    same = (old == new) | (np.isnan(old) & np.isnan(new))
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.where(same, 0.0, np.nan_to_num(abs(old - new), nan=np.inf, posinf=np.inf))
    return dict(zip(names, gap.max(axis=0, initial=0.0).tolist(), strict=True))


def _near(recorded: Curve, now: Curve, tolerance: float | None) -> bool:
    """Whether all numbers are within a tolerance: relative to what is above 1, else absolute.

    What is infinite or not a number is near to its like alone.
    """
    if tolerance is None or recorded.shape != now.shape:
        return False
    allowed = tolerance * np.maximum(1.0, np.maximum(abs(recorded), abs(now)))
    with np.errstate(invalid="ignore", over="ignore"):
        gap = abs(recorded - now)
        near = (np.isfinite(gap) & (gap <= allowed)) | (recorded == now)
    return bool((near | (np.isnan(recorded) & np.isnan(now))).all())


def first_difference(names: Sequence[str], recorded: Curve, now: Curve) -> str | None:
    for epoch, (old, new) in enumerate(zip(recorded, now, strict=False), start=1):
        for name, was, is_ in zip(names, old, new, strict=True):
            if np.float64(was).tobytes() != np.float64(is_).tobytes():
                return f"epoch {epoch}: {name} {float(was)!r} recorded, {float(is_)!r} now"
    if len(recorded) != len(now):
        return f"epochs: {len(recorded)} recorded, {len(now)} now"
    return None
