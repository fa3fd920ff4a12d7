"""What do Optuna's storage and MLflow lack, and who writes it?

The ledger is the truth; the two are projections of it, written by the one process that holds the
study's projector lock. Marks in the ledger say what was written, so that a look is cheap; the first
look does not believe them and compares everything.

What writes them is imported when it is used: a study's workers are to start before that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from hpsearch.errors import (
    HpsearchError,
    StoreAwayError,
    StoreError,
    TrackingAwayError,
    TrackingError,
    UsageError,
    one_line,
)
from hpsearch.ledger.database import Lock
from hpsearch.ledger.records import StudyRecord, Trial
from hpsearch.ledger.store import Store
from hpsearch.projections.written import Retrained, Written
from hpsearch.settings import Settings

if TYPE_CHECKING:
    from hpsearch.projections.optuna_copy import OptunaCopy
    from hpsearch.projections.runs import Runs

__all__ = ["Projector", "Retrained", "Written", "delete", "mend"]

_LOOK = 0.3
"""Seconds between two looks into the ledger."""
_LONGEST_PAUSE = 5.0
"""Seconds between two tries to reach MLflow, at most."""
_PATIENCE = 30.0
"""Seconds that ``sync`` waits for another projector that does not come to an end."""
_FAREWELL = 3.0
"""Seconds that ``follow`` waits for one after it was told to stop."""


class Projector:
    """Writes one study's projections.

    Args:
        store: The ledger.
        name: The study.
        settings: Where MLflow is.
        tracking: Whether MLflow is written at all; without it only Optuna's storage is.
        retrain: Trains a trial again; given, the best trial's weights are kept once the study is
            done.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        settings: Settings,
        *,
        tracking: bool = True,
        retrain: Callable[[Trial], Retrained] | None = None,
    ) -> None:
        self._store = store
        self._record = store.study(name)
        self._id = self._record.id
        self._settings = settings
        self._tracking = tracking
        self._retrain = retrain
        self.failure: HpsearchError | None = None
        """What keeps ``follow`` from writing, as long as it does, and waiting does not mend."""

    @cached_property
    def _copy(self) -> OptunaCopy:
        from hpsearch.projections.optuna_copy import OptunaCopy

        return OptunaCopy(self._store, self._record)

    @cached_property
    def _runs(self) -> Runs | None:
        from hpsearch.projections.runs import Runs

        if not self._tracking:
            return None
        return Runs(self._store, self._record, self._settings, self._retrain)

    def sync(self) -> Written:
        """Compare the projections with the ledger and write what is missing; else nothing.

        While another process does the same, wait for it.

        Raises:
            StoreError: If the database failed.
            TrackingError: If MLflow cannot be reached or refuses, or another projector is stuck.
        """
        deadline = time.monotonic() + _PATIENCE
        while True:
            with _lock(self._store, self._id) as alone:
                if alone:
                    self._forget()
                    try:
                        return self._bring(alone, ending=True)
                    finally:
                        self._copy.close()
            lacking = self._lacking()
            if not lacking:
                return Written()
            if time.monotonic() > deadline:
                raise TrackingError(
                    f"another process is writing this study to MLflow; {lacking} trials are still "
                    f"missing; run `hpsearch sync` later"
                )
            time.sleep(_LOOK)

    def step(self) -> Written:
        """Write what is new in the ledger; nothing while another process does.

        Raises:
            StoreError: If the database failed.
            TrackingError: If MLflow cannot be reached or refuses.
        """
        with _lock(self._store, self._id) as alone:
            return self._bring(alone, ending=False) if alone else Written()

    def follow(self, stop: threading.Event, on_trouble: Callable[[str], None]) -> None:
        """Write what is missing and what comes, until ``stop`` is set and all is written.

        Trouble with MLflow or the database never ends this; what could not be written is left
        for the next one, and ``failure`` says if somebody has to mend something first.

        Args:
            stop: Set when nothing more will come.
            on_trouble: Is told of a trouble, once, in a line.
        """
        try:
            self._follow(stop, on_trouble)
        except HpsearchError as error:  # the study was deleted, or cannot be retrained here
            on_trouble(str(error))
        except Exception as error:
            self.failure = TrackingError(
                f"writing to MLflow or Optuna's storage: {one_line(error)}"
            )
            on_trouble(str(self.failure))

    def _follow(self, stop: threading.Event, on_trouble: Callable[[str], None]) -> None:
        trouble = _Trouble(on_trouble)
        farewell = None
        while True:
            ending = stop.is_set()
            try:
                with _lock(self._store, self._id) as alone:
                    if alone:
                        try:
                            self._follow_alone(alone, stop, on_trouble)
                        finally:
                            self._copy.close()
                        return
                    if ending and not self._lacking():
                        return
            except StoreError as error:
                trouble.begin(error)
                self.failure = trouble.failure
                if ending:
                    return
            if ending:
                farewell = farewell or time.monotonic() + _FAREWELL
                if time.monotonic() > farewell:
                    return
                time.sleep(_LOOK / 3)
            stop.wait(max(_LOOK, trouble.pause))

    def _follow_alone(
        self, lock: Lock, stop: threading.Event, on_trouble: Callable[[str], None]
    ) -> None:
        self._forget()
        troubles = {part: _Trouble(on_trouble) for part in self._parts}
        while True:
            ending = stop.is_set()
            for part, trouble in troubles.items():
                sudden = not trouble.pause
                if not self._tried(part, trouble, lock, ending=ending) and ending and sudden:
                    # A run that somebody deleted, perhaps: look at all once more.
                    self._tried(part, trouble, lock, ending=ending)
            failures = [trouble.failure for trouble in troubles.values() if trouble.failure]
            self.failure = failures[0] if failures else None
            if ending:
                return
            stop.wait(_LOOK)

    def _tried(self, part: _Part, trouble: _Trouble, lock: Lock, *, ending: bool) -> bool:
        """Bring a projection up to date, if it is time to. Whether nothing went wrong."""
        if not ending and not trouble.over:
            return True
        try:
            part(lock, ending)
        except StoreAwayError:  # the ledger itself, and the lock with it
            raise
        except (StoreError, TrackingError) as error:
            trouble.begin(error)
            return False
        trouble.end()
        return True

    @property
    def _parts(self) -> list[_Part]:
        """The projections, each of which is brought up to date whatever becomes of the other."""
        return [self._bring_copy] if self._runs is None else [self._bring_copy, self._bring_runs]

    def _bring(self, lock: Lock, *, ending: bool) -> Written:
        written, errors = Written(), list[HpsearchError]()
        for part in self._parts:
            try:
                written += part(lock, ending)
            except StoreAwayError:
                raise
            except (StoreError, TrackingError) as error:
                errors.append(error)
        if errors:
            raise type(errors[0])("; ".join(map(str, errors)))
        return written

    def _forget(self) -> None:
        """Another may have written since; believe nothing of what was seen."""
        self._copy.forget()
        if self._runs:
            self._runs.forget()

    def _bring_copy(self, lock: Lock, _: bool) -> Written:
        lacking = self._store.unprojected(self._id, mlflow=False)
        return Written(optuna=self._copy.bring(lacking, lock.check))

    def _bring_runs(self, lock: Lock, ending: bool) -> Written:
        assert self._runs is not None
        lacking = self._store.unprojected(self._id)
        return self._runs.bring(lacking, lock.check, ending=ending)

    def _lacking(self) -> int:
        """How many finished trials are not projected yet."""
        trials = self._store.unprojected(self._id, mlflow=self._tracking)
        return sum(trial.state.finished for trial in trials)


_Part: TypeAlias = Callable[[Lock, bool], Written]
"""Brings one projection up to date; the flag says that nobody looks after it from now on."""


class _Trouble:
    """How long something has gone wrong, what is told of it, and when to try again."""

    def __init__(self, on_trouble: Callable[[str], None]) -> None:
        self._on_trouble = on_trouble
        self.pause = 0.0
        self.failure: HpsearchError | None = None
        """What went wrong, if it does not end by itself as an outage does."""
        self._next = 0.0

    @property
    def over(self) -> bool:
        """Whether it is time for another try."""
        return time.monotonic() >= self._next

    def begin(self, error: HpsearchError) -> None:
        """Take note of a failure; the first one is told."""
        away = isinstance(error, StoreAwayError | TrackingAwayError)
        self.failure = None if away else error
        if not self.pause:
            outlook = "the rest will be written when it is back" if away else "the search continues"
            self._on_trouble(f"{error}; {outlook}")
        self.pause = min(max(2 * self.pause, _LOOK), _LONGEST_PAUSE)
        self._next = time.monotonic() + self.pause

    def end(self) -> None:
        """It works again."""
        self.pause, self.failure = 0.0, None


def delete(store: Store, record: StudyRecord, settings: Settings, *, tracking: bool) -> None:
    """Remove a study's projections, so that its name is free again.

    Raises:
        UsageError: If a projector is at work on it.
        StoreError: If the database failed.
        TrackingError: If MLflow cannot be reached or refuses.
    """
    from hpsearch.projections.mlflow_content import StudyContent
    from hpsearch.projections.mlflow_runs import Tracking
    from hpsearch.projections.optuna_copy import OptunaCopy

    with _lock(store, record.id, timeout=_FAREWELL) as held:
        if not held:
            raise UsageError(f"study {record.name!r} is running; stop it first")
        OptunaCopy(store, record).delete()
        if tracking:
            trials = store.trials(record.id)
            known = {trial.mlflow_run_id for trial in trials if trial.mlflow_run_id}
            Tracking(settings, StudyContent(record), create=False).delete_all(known)


def mend(
    store: Store,
    record: StudyRecord,
    settings: Settings,
    retrain: Callable[[Trial], Retrained] | None = None,
) -> Written:
    """``Projector.sync``, and then a look at every point of every run.

    A search for runs shows the last point of each metric alone. Once all runs are there they are
    read in full, as ``verify`` reads them; what writing on cannot put right is deleted, in MLflow's
    sense, and built again.

    Raises:
        StoreError: If the database failed.
        TrackingError: If MLflow cannot be reached or refuses, or another projector is stuck.
    """
    from hpsearch.projections.mlflow_content import StudyContent
    from hpsearch.projections.mlflow_runs import Tracking
    from hpsearch.verify import look
    from hpsearch.verify.tracking_invariants import beyond_repair

    written = Projector(store, record.name, settings, retrain=retrain).sync()
    broken = beyond_repair(look.take(store.database, record.name, settings))
    if not broken:
        return written
    with _lock(store, record.id, timeout=_PATIENCE) as alone:
        if not alone:
            raise TrackingError(
                "another process is writing this study to MLflow; run `hpsearch sync` later"
            )
        tracking = Tracking(settings, StudyContent(record), create=False)
        for run_id in broken:
            alone.check()
            tracking.delete(run_id)
    again = Projector(store, record.name, settings, retrain=retrain).sync()
    lines = [f"run {run_id} deleted: it {what}" for run_id, what in broken.items()]
    return written + Written(removed=lines) + again


def _lock(store: Store, study_id: int, timeout: float = 0.0) -> AbstractContextManager[Lock]:
    return store.database.lock(f"projector-{study_id}", timeout=timeout)
