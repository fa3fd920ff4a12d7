"""Which runs in MLflow does a study of Optuna's lack, and what is done about each?

As ``runs`` does it for a study of the ledger: a run that agrees with its trial stays, one that was
cut short is written on, and one too many is deleted. Here nobody keeps marks: MLflow is looked at.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import sqlalchemy as sa
from filelock import FileLock, Timeout
from sqlalchemy.engine import Engine

from hpsearch.errors import TrackingError
from hpsearch.projections.mlflow_look import Index
from hpsearch.projections.mlflow_runs import Tracking
from hpsearch.projections.optuna_content import OptunaContent
from hpsearch.projections.run_content import LEDGER, NOTE, Point, TrialRun
from hpsearch.projections.written import Written
from hpsearch.settings import Settings

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_PATIENCE = 60.0
"""Seconds to wait for another process that tracks the same study."""


class OptunaRuns:
    """The runs of one study of Optuna's.

    Args:
        study: The study.
        settings: Where MLflow is.
        experiment: The experiment of others that its runs belong to; None for one of its own.
    """

    def __init__(self, study: Study, settings: Settings, experiment: str | None = None) -> None:
        self._study = study
        self._settings = settings
        self._experiment = experiment
        self._parent: str | None = None

    def sync(self) -> Written:
        """Compare all trials that have ended with MLflow, and write what is missing; else nothing.

        Raises:
            TrackingError: If MLflow cannot be reached or refuses, or another process is stuck.
        """
        content = self._content()
        if content is None:
            return Written()
        with _alone(self._study, content, self._settings):
            tracking = Tracking(self._settings, content)
            index = tracking.look()
            trials = self._study.get_trials(deepcopy=False)
            told = content.summary(self._study, trials)
            found = index.parent
            parent, other = found.run_id if found else None, 0
            if found is None or (found.tags.get(NOTE), found.status) != (told.note, told.status):
                parent, other = tracking.write_parent(parent, told), 1
            wanted = [content.run(trial, parent) for trial in trials if trial.state.is_finished()]
            settled = self._settle(tracking, index, wanted)
            self._parent = parent
            return settled + Written(other=other)

    def add(self, trial: FrozenTrial) -> Written:
        """Write a trial that has just ended, and how the study stands.

        Raises:
            TrackingError: As from ``sync``; the next call then looks at all trials.
        """
        parent, self._parent = self._parent, None
        content = self._content()
        if parent is None or content is None:
            return self.sync()
        content.known_as = parent
        with _alone(self._study, content, self._settings):
            tracking = Tracking(self._settings, content)
            index = tracking.look(number=trial.number)
            settled = self._settle(tracking, index, [content.run(trial, parent)])
            told = content.summary(self._study, self._study.get_trials(deepcopy=False))
            self._parent = tracking.write_parent(parent, told)
            return settled + Written(other=1)

    def _content(self) -> OptunaContent | None:
        """What its runs are to hold; None before its first trial has begun."""
        first = self._study.get_trials(deepcopy=False)[:1]
        if not first or first[0].datetime_start is None:
            return None
        return OptunaContent(self._study, first[0], self._experiment)

    def _settle(self, tracking: Tracking, index: Index, wanted: Iterable[TrialRun]) -> Written:
        removed, count = [], 0

        def remove(run_id: str, why: str) -> None:
            tracking.delete(run_id)
            removed.append(f"run {run_id} deleted: {why}")

        for run_id, why in index.surplus:
            remove(run_id, why)
        for run in wanted:
            found, shown = index.children.get(run.number), set[Point]()
            if found is not None and tracking.complete(found, run):
                continue
            if found is not None:
                shown = tracking.shown(found)
                if not tracking.mendable(found, run) or not shown <= run.metrics().keys():
                    remove(found.run_id, f"it does not agree with trial {run.number}")
                    found, shown = None, set()
            tracking.write(run, found.run_id if found else None, shown)
            count += 1
        return Written(mlflow=count, removed=removed)


@contextmanager
def _alone(study: Study, content: OptunaContent, settings: Settings) -> Iterator[None]:
    """Hold the lock of those who write a study's runs; it ends with this process.

    Beside PostgreSQL it is an advisory lock there, for all hosts; else a file of this host's.

    Raises:
        TrackingError: If another holds it for too long.
    """
    key = f"{content.name}\0{content.identity[LEDGER]}\0{settings.tracking_uri}".encode()
    storage = getattr(study._storage, "_backend", study._storage)
    engine: Engine | None = getattr(storage, "engine", None)
    if engine is not None and engine.dialect.name == "postgresql":
        lock = _advisory(engine, crc32(key))
    else:
        lock = _file(hashlib.sha256(key).hexdigest())
    with lock:
        yield


@contextmanager
def _file(name: str) -> Iterator[None]:
    user = os.getuid() if hasattr(os, "getuid") else ""
    lock = FileLock(Path(tempfile.gettempdir()) / f"hpsearch-{user}-{name[:32]}.lock")
    try:
        lock.acquire(timeout=_PATIENCE)
    except Timeout:
        raise _stuck() from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _advisory(engine: Engine, key: int) -> Iterator[None]:
    tried, freed = (
        sa.text(f"SELECT {function}(:key)").bindparams(key=key)
        for function in ("pg_try_advisory_lock", "pg_advisory_unlock")
    )
    deadline = time.monotonic() + _PATIENCE
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.execute(tried).scalar():
            if time.monotonic() > deadline:
                raise _stuck()
            time.sleep(0.05)
        try:
            yield
        finally:
            connection.execute(freed)


def _stuck() -> TrackingError:
    return TrackingError("another process is writing this study to MLflow; track it again later")
