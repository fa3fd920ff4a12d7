"""How do finished trials get into Optuna's own storage, for its tools to read?

``optuna.load_study`` and optuna-dashboard find the study there under its name, its trials under
their numbers. Nothing in hpsearch reads it: it is a copy, and one that does not agree with the
ledger is deleted and built again.

Optuna numbers trials in the order in which they come, so trial *n* waits for 0 … n - 1. Of a long
curve it gets as many epochs as a plot can show, beside those that its pruner looked at. The whole
curve is in the ledger and in MLflow.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import isnan
from typing import Any

from optuna.distributions import BaseDistribution, IntDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy.exc import SQLAlchemyError

from hpsearch.errors import HpsearchError, StoreError, one_line
from hpsearch.ledger.address import connecting, patience
from hpsearch.ledger.database import Database, immediate, repeated
from hpsearch.ledger.records import FINISHED, Curve, StudyRecord, Trial
from hpsearch.ledger.store import Store
from hpsearch.projections.optuna_tables import insert
from hpsearch.search.known import Round, rounds_of, space_of
from hpsearch.search.optuna_terms import directions, frozen, without_warnings
from hpsearch.study.config import Study
from hpsearch.study.rounds import round_of

_BATCH = 100
"""Trials that are read, or marked, at once."""
_SHOWN = 50
"""Epochs of a trial that are copied, at most, beside those that its pruner looked at."""
_METRICS = "study:metric_names"
"""Where Optuna keeps what the values are called."""
_MINE = "hpsearch"
"""Attribute of a study in Optuna's storage that says who keeps it."""


class OptunaCopy:
    """One study's copy in Optuna's storage. Whoever writes it holds the study's projector lock."""

    def __init__(self, store: Store, record: StudyRecord) -> None:
        self._store = store
        self._record = record
        self._storage: RDBStorage | None = None
        self._id = -1
        self._length: int | None = None
        """Trials that are there and agree; None until it has been looked."""
        self._alone: Callable[[], None] = lambda: None
        self._rounds: Sequence[Round] = ()
        """Those that have begun, as they were last seen."""

    def forget(self) -> None:
        """Believe nothing of what was seen: the next ``bring`` compares every trial."""
        self._length = None

    @repeated
    def bring(self, lacking: Iterable[Trial], alone: Callable[[], None] = lambda: None) -> int:
        """Write what is missing: all of it the first time, later what is new in the ledger.

        Args:
            lacking: The trials that bear no mark of being there.
            alone: Raises if another may be writing, too; is asked before every write.

        Returns:
            How many trials were written.

        Raises:
            StoreError: If the database failed, or another's study stands under the name.
        """
        self._alone = alone
        with self._failures():
            waiting = [trial for trial in lacking if trial.state.finished and not trial.in_optuna]
            # One that was there before: its outcome has changed since, by a retry.
            changed = any(trial.number < (self._length or 0) for trial in waiting)
            if changed or self._length is None:
                self._compare()
                waiting = [t for t in self._store.trials(self._record.id, FINISHED) if self._new(t)]
            return self._append([trial for trial in waiting if self._new(trial)])

    @repeated
    def delete(self) -> None:
        """Remove the copy."""
        with self._failures():
            if self._find(self._open()) is not None:
                self._open().delete_study(self._id)
        self.close()

    def close(self) -> None:
        """Give the connections back; the next use opens new ones."""
        if self._storage is not None:
            self._storage.remove_session()
            self._storage.engine.dispose()
        self._storage = self._length = None

    def _new(self, trial: Trial) -> bool:
        return trial.number >= (self._length or 0)

    def _compare(self) -> None:
        """See how much is there; what disagrees makes it all be built again."""
        storage, record = self._open(), self._record
        present = self._find(storage)
        finished = self._store.trials(record.id, FINISHED)
        # As far as the numbers run without a hole.
        ready = [trial for index, trial in enumerate(finished) if trial.number == index]
        agrees = present is not None and len(present) <= len(ready)
        for batch in _batches(ready[: len(present or ())]):
            if agrees:
                agrees = all(
                    _content(present[trial.number]) == _content(wanted)  # type: ignore[index]
                    for trial, wanted in zip(batch, self._frozen(batch), strict=True)
                )
        self._alone()
        if present is not None and not agrees:
            self._mark(finished, False)
            storage.delete_study(self._id)
            present = None
        if present is None:
            self._id = storage.create_new_study(directions(record.study), record.name)
            storage.set_study_user_attr(self._id, _MINE, True)
        metrics = [record.study.search.metric, *record.study.search.also]
        if storage.get_study_system_attrs(self._id).get(_METRICS) != metrics:
            storage.set_study_system_attr(self._id, _METRICS, metrics)
        self._length = len(present or ())
        self._mark(finished[: self._length], True)
        self._mark(finished[self._length :], False)

    def _find(self, storage: RDBStorage) -> list[FrozenTrial] | None:
        try:
            self._id = storage.get_study_id_from_name(self._record.name)
        except KeyError:
            return None
        # That takes seconds in a long study, in which workers must not wait for the write lock.
        storage.engine.update_execution_options(writes=False)
        try:
            present = storage.get_all_trials(self._id, deepcopy=False)
        finally:
            storage.engine.update_execution_options(writes=True)
        if _MINE not in storage.get_study_user_attrs(self._id):
            if present:
                raise StoreError(
                    f"{self._store.database.where}: holds an Optuna study {self._record.name!r} "
                    f"that is not hpsearch's; rename or delete it with Optuna"
                )
            storage.set_study_user_attr(self._id, _MINE, True)
        return present

    def _append(self, waiting: Sequence[Trial]) -> int:
        first = self._length or 0
        next_in_line = [t for index, t in enumerate(waiting, start=first) if t.number == index]
        for batch in _batches(next_in_line):
            copies = self._frozen(batch)
            self._alone()
            try:
                insert(self._open().engine, self._id, copies)
            except KeyError:  # someone deleted the study; begin again the next time
                self._length = None
                raise StoreError(
                    f"{self._store.database.where}: the Optuna study {self._record.name!r} "
                    f"was deleted in the meantime"
                ) from None
            except ValueError:
                raise self._raced() from None
            self._length = batch[-1].number + 1
            self._mark(batch, True)
        return len(next_in_line)

    def _frozen(self, batch: Sequence[Trial]) -> list[FrozenTrial]:
        study, last = self._record.study, batch[-1].number if batch else -1
        place = round_of(study.search.rounds, last)
        if study.search.rounds and place >= len(self._rounds):
            self._rounds = rounds_of(self._store, self._record)
        curves = self._store.curves(self._record.id, [trial.number for trial in batch])
        if len(curves) < len(batch):
            raise self._raced()
        copies = []
        for trial in batch:
            own = replace(study, space=space_of(study, self._rounds, trial.number))
            copies.append(_copy(own, trial, curves[trial.number]))
        return copies

    def _raced(self) -> StoreError:
        where = self._store.database.where
        return StoreError(f"{where}: another process wrote trials at the same time")

    def _mark(self, trials: Iterable[Trial], there: bool) -> None:
        for batch in _batches([trial for trial in trials if trial.in_optuna is not there]):
            self._store.mark_optuna(self._record.id, [t.number for t in batch], there)

    def _open(self) -> RDBStorage:
        if self._storage is None:
            self._storage = _open(self._store.database)
        return self._storage

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, StorageInternalError) as error:
            self._length = None
            raise self._store.database.failure(error.__cause__ or error) from error
        except RuntimeError as error:  # Optuna's tables are of another version of it
            self._length = None
            if "storage upgrade" not in str(error):
                raise self._store.database.failure(error.__cause__ or error) from error
            raise StoreError(
                f"{self._store.database.where}: Optuna's tables are of an older Optuna; back the "
                f"store up and run: optuna storage upgrade --storage "
                f"{shlex.quote(self._store.database.url.render_as_string())}"
            ) from error
        except HpsearchError:
            self._length = None
            raise
        except Exception as error:
            self._length = None
            raise StoreError(
                f"{self._store.database.where}: Optuna's copy: {one_line(error)}"
            ) from error


def _open(database: Database) -> RDBStorage:
    """Optuna's storage in the ledger's database, its tables made by one process alone."""
    arguments: dict[str, Any] = {"pool_pre_ping": True, "connect_args": connecting(database.url)}
    if database.file:
        arguments = {
            "connect_args": {"timeout": patience(database.url)},
            "execution_options": {"writes": True},
        }
    url = database.url.render_as_string(hide_password=False)
    with database.lock("optuna-schema", timeout=-1), without_warnings():
        storage = RDBStorage(url, engine_kwargs=arguments)
    if database.file:
        immediate(storage.engine)
        storage.engine.dispose()  # the connections that were made before
    return storage


def _spread(epochs: int) -> Sequence[int]:
    """As many epochs as are copied, evenly over a curve."""
    every = range(1, epochs + 1)
    return every if epochs <= _SHOWN else [every[i * epochs // _SHOWN] for i in range(_SHOWN)]


def _copy(study: Study, trial: Trial, curve: Curve) -> FrozenTrial:
    copied = frozen(study, trial, curve, more=_spread(len(curve)))
    known = {"weights_sha256": trial.weights_sha256, "reason": trial.reason}
    copied.user_attrs = {key: value for key, value in known.items() if value is not None}
    return copied


def _content(trial: FrozenTrial) -> tuple[object, ...]:
    """All of a trial that the ledger decides."""
    return (
        trial.state,
        trial.values,
        {path: _stored(value, trial.distributions[path]) for path, value in trial.params.items()},
        trial.distributions,
        # NaN, which a training that diverged may end with, equals nothing.
        {
            step: None if isnan(value) else value
            for step, value in trial.intermediate_values.items()
        },
        trial.user_attrs,
        trial.system_attrs,
    )


def _stored(value: Any, distribution: BaseDistribution) -> Any:
    """What Optuna's tables make of a value: a whole number is kept as a real one there."""
    return int(float(value)) if isinstance(distribution, IntDistribution) else value


def _batches(trials: Sequence[Trial]) -> Iterator[Sequence[Trial]]:
    for start in range(0, len(trials), _BATCH):
        yield trials[start : start + _BATCH]
