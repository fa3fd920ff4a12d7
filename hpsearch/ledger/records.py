"""What is known of a trial? The frozen records that cross every boundary."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hpsearch.study.budgets import said
from hpsearch.study.config import Params, Study

Curve: TypeAlias = NDArray[np.float64]
"""(epochs, metrics), columns in the order of the study's metrics; row *i* is of epoch *i + 1*."""

Steps: TypeAlias = NDArray[np.float64]
"""(steps,), the loss of each mini-batch as it was trained on; empty unless it is recorded."""

NO_STEPS: Steps = np.zeros(0)
CONTINUES, BEFORE = "continues", "epochs_before"
"""Among a trial's rungs: which trial it continues, and how many epochs that one had trained for."""
STEP_LOSS = "step_loss"
"""What these losses are called where they stand beside the metrics."""
FOLD_VALUE = "fold_value"
"""What the values of folds are called there."""


Outcomes: TypeAlias = NDArray[np.bool_] | NDArray[np.float32]
"""(examples,), what each validation example scored at the end: right or wrong, or its loss."""


def curve(rows: Iterable[Iterable[float]] = (), metrics: int = 0) -> Curve:
    """Rows of ``metrics`` numbers as one array; the number is only needed where there is no row."""
    taken = [list(row) for row in rows]
    return np.array(taken, dtype=np.float64) if taken else np.zeros((0, metrics))


@dataclass(frozen=True, slots=True)
class Opened:
    """What an opening of the test part showed."""

    metric: str
    trial: int | None
    """Whose configuration it was; None of the baseline."""
    value: float | None
    """Over the seeds, as are the ends of its 95 % interval; None if a seed came to no end."""
    low: float | None
    high: float | None
    baseline: float | None
    """The baseline's value; None where that was the chosen configuration, or came to none."""
    better: float | None
    """The probability that the chosen configuration is better than the baseline."""
    seeds: int
    examples: int
    """Of the test part."""
    trained: int
    """Examples that were trained on."""
    out: str | None
    """Why there is no value."""
    networks: int | None = None
    """How many networks of a refit were scored together; None where new seeds were trained."""


@dataclass(frozen=True, slots=True)
class Opening:
    """One opening of a study's test part."""

    study: str
    """The name of the study whose trials were scored on it."""
    opened: float
    result: Opened | None
    """None as long as it has not ended."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What ended a study before it had all its trials."""

    by: str
    """The key of ``[search]``."""
    at: int
    """The number of the first trial that it no longer has; so many trials there are."""


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study in the ledger."""

    id: int
    incarnation: str
    """What tells it from every other study that ever had this id."""
    study: Study
    """Its definition, with the ledger's budget as ``search.trials``."""
    metrics: tuple[str, ...]
    """The names of what its trainings report, in the order of a curve's columns."""
    created: float
    folder: str | None
    """Where its study file was when it was last run."""
    data_digests: Mapping[str, str]
    """SHA-256 of the ``dataset`` and of the parts ``train``, ``validation`` and ``test``."""
    data_facts: Mapping[str, Any]
    """What was found of the data when the study was created; nothing in a store of before."""
    mlflow_run_id: str | None
    mlflow_summary: str | None
    reproduced: Mapping[str, Any] | None
    ended: Ended | None
    """None as long as it goes on to its number of trials."""
    openings: tuple[Opening, ...]
    """Of the test part, in order."""

    @property
    def name(self) -> str:
        """The study's name."""
        return self.study.name

    @property
    def budget(self) -> int:
        """How many trials it is to have."""
        trials = self.study.search.trials
        return trials if self.ended is None else min(self.ended.at, trials)

    @property
    def ending(self) -> str:
        """What ended it before it had all its trials, in words; empty where nothing did."""
        if self.ended is None:
            return ""
        at, trials = self.ended.at, self.study.search.trials
        return f"ended after {at} of {trials} trials by {said(self.study.search, self.ended.by)}"


class State(StrEnum):
    """Where a trial stands."""

    WAITING = "WAITING"
    """Handed back, or to be retried: the next worker takes it."""
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    FAIL = "FAIL"

    @property
    def finished(self) -> bool:
        """Whether the trial has ended."""
        return self in FINISHED


FINISHED = frozenset({State.COMPLETE, State.PRUNED, State.FAIL})


@dataclass(frozen=True, slots=True)
class Fold:
    """One training of a trial that trains several times, when it has ended."""

    epochs: int
    """How many rows of the trial's curve are its."""
    weight: int
    """How much it counts: its validation examples; of repeats, 1 each."""
    value: float
    """The metric that the search looks at."""


def mean_of(folds: Sequence[Fold]) -> float:
    """The mean of their values by weight, each sum rounded once."""
    total = math.fsum(fold.weight * fold.value for fold in folds)
    return total / sum(fold.weight for fold in folds)


@dataclass(frozen=True, slots=True)
class Result:
    """How a training ended."""

    state: State
    value: float | None
    params: Params
    curve: Curve
    weights_sha256: str | None
    rungs: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None
    steps: Steps = field(default_factory=lambda: NO_STEPS)
    outcomes: Outcomes | None = None
    log: bytes = b""
    """What the training printed; the end of it, and no part of any digest."""
    folds: Sequence[Fold] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """What the ledger says of a trial; times are seconds since 1970, UTC."""

    number: int
    state: State
    value: float | None
    params: Params
    epochs: int
    seed: int
    attempts: int
    started: float
    ended: float | None
    weights_sha256: str | None
    mlflow_run_id: str | None
    reason: str | None
    rungs: Mapping[str, float]
    environment: str | None
    """Digest of the environment it finished in."""
    in_optuna: bool
    in_mlflow: bool
    folds: tuple[Fold, ...] = ()
    """Its trainings that ended, of a trial that trains several times."""

    @property
    def continues(self) -> int | None:
        """The number of the trial that it continues; None if it began by itself."""
        return int(self.rungs[CONTINUES]) if CONTINUES in self.rungs else None

    @property
    def trained(self) -> int:
        """The epochs that it trained for itself: without those of the trial that it continues."""
        return self.epochs - before(self.rungs)


def before(rungs: Mapping[str, float]) -> int:
    """The epochs of a trial that another one had trained for."""
    return int(rungs.get(BEFORE, 0))


@dataclass(frozen=True, slots=True)
class Counts:
    """How many trials of a study stand where."""

    budget: int
    complete: int
    pruned: int
    failed: int
    running: int
    waiting: int
    unprojected: int

    @property
    def finished(self) -> int:
        """Trials that have ended."""
        return self.complete + self.pruned + self.failed

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.finished >= self.budget and not self.running and not self.waiting


def digest(finished: Iterable[tuple[Trial, Curve]], steps: Mapping[int, Steps]) -> str:
    """One SHA-256 over finished trials in the order of their numbers.

    It covers numbers, states, values, curves (every bit of them) and weight digests, and nothing
    that depends on when, where or by how many workers they were run.

    Args:
        finished: Trials with their curves, in any order.
        steps: By number, what is recorded by step.
    """
    total = hashlib.sha256()
    for trial, rows in sorted(finished, key=lambda pair: pair[0].number):
        parts = (
            str(trial.number).encode(),
            trial.state.encode(),
            b"" if trial.value is None else struct.pack("<d", trial.value),
            encode(rows),
            encode(steps.get(trial.number, NO_STEPS)),
            (trial.weights_sha256 or "").encode(),
        )
        for part in parts:
            total.update(struct.pack("<q", len(part)) + part)
    return total.hexdigest()


def encode(array: NDArray[np.float64]) -> bytes:
    """The bits of an array, in row-major order and little-endian whatever the machine."""
    return np.ascontiguousarray(array, dtype="<f8").tobytes()


def pack(outcomes: Outcomes) -> bytes:
    """Outcomes as bytes: a letter for their kind, their number, and bits or float32."""
    if outcomes.dtype == np.bool_:
        return (
            b"b"
            + struct.pack("<I", len(outcomes))
            + np.packbits(outcomes.astype(np.bool_)).tobytes()
        )
    losses = np.ascontiguousarray(outcomes, dtype="<f4")
    return b"f" + struct.pack("<I", len(losses)) + losses.tobytes()


def unpack(data: bytes) -> Outcomes:
    """The outcomes that ``pack`` made these bytes of.

    Raises:
        ValueError: If it made no such bytes.
    """
    kind, number = data[:1], struct.unpack("<I", data[1:5])[0] if len(data) >= 5 else 0
    if kind == b"b" and len(data) == 5 + (number + 7) // 8:
        bits = np.frombuffer(data, np.uint8, offset=5)
        right: NDArray[np.bool_] = np.unpackbits(bits, count=number).astype(np.bool_)
        return right
    if kind == b"f" and len(data) == 5 + 4 * number:
        return np.frombuffer(data, "<f4", offset=5).astype(np.float32)
    raise ValueError(f"{len(data)} bytes that are no outcomes")


def weights_digest(state: Mapping[str, NDArray[np.generic]]) -> str:
    """SHA-256 over name, dtype, shape and bytes of each array, in the order of the names."""
    total = hashlib.sha256()
    for name in sorted(state):
        array = np.ascontiguousarray(state[name])
        head = f"{name}\0{array.dtype.str}\0{array.shape}\0"
        total.update(head.encode() + array.tobytes())
    return total.hexdigest()
