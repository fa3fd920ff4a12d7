"""What does a storage of Optuna's hold? Read without a write, whatever wrote it.

A file is copied first, so that nothing can reach the original; on PostgreSQL all transactions are
read-only.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.errors import StoreOpenError, UnknownStudyError, one_line
from hpsearch.redact import redact
from hpsearch.study.config import dumps
from hpsearch.trust.audit import Seen

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study._frozen import FrozenStudy
    from optuna.trial import FrozenTrial

JOURNAL = "journal:"
"""What the address of a journal file begins with."""


@dataclass(frozen=True, slots=True)
class SeenStudy:
    """A study of Optuna's."""

    name: str
    maximize: bool | None
    """None where there are several objectives."""
    trials: list[Seen]


def studies(url: str, name: str | None = None) -> list[SeenStudy]:
    """All studies of a storage, or the one of that name.

    Args:
        url: ``sqlite:///FILE``, another database's address, or ``journal:FILE``.
        name: A study.

    Raises:
        StoreOpenError: If there is no such storage, or it cannot be read.
        UnknownStudyError: If it holds no study, or none of that name.
    """
    found = []
    with opened(url, name) as (storage, held):
        for study in held:
            several = len(study.directions) != 1
            trials = storage.get_all_trials(study._study_id, deepcopy=False)
            found.append(
                SeenStudy(
                    study.study_name,
                    None if several else study.directions[0].name == "MAXIMIZE",
                    [_seen(trial, several=several) for trial in trials],
                )
            )
    return found


@contextmanager
def opened(url: str, name: str | None = None) -> Iterator[tuple[BaseStorage, list[FrozenStudy]]]:
    """A storage in which nothing can be changed, and the studies that it holds.

    Args:
        url: As ``studies`` takes it, which raises the same errors.
        name: The study that is wanted; None for all.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    shown = redact(url)
    failed = (SQLAlchemyError, sqlite3.Error, OSError, ImportError, RuntimeError, ValueError)
    try:
        with _storage(url) as storage:
            every = storage.get_all_studies()
            found = [study for study in every if name in (None, study.study_name)]
            if not found:
                said = f"no study {name!r}" if name is not None else "no study"
                raise UnknownStudyError(f"{shown}: holds {said}")
            yield storage, found
    except (*failed, KeyError, optuna.exceptions.OptunaError) as error:
        raise StoreOpenError(f"{shown}: cannot be read: {redact(one_line(error))}") from error


@contextmanager
def _storage(url: str) -> Iterator[BaseStorage]:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
        copy = Path(folder) / "copy"
        if url.startswith(JOURNAL):
            copy.write_bytes(_file(url, url.removeprefix(JOURNAL)).read_bytes())
            yield JournalStorage(JournalFileBackend(str(copy)))
            return
        try:
            address = make_url(url)
        except ArgumentError:
            raise StoreOpenError(
                f"{redact(url)}: is no address, such as sqlite:///study.db"
            ) from None
        options: dict[str, Any] = {}
        if address.get_backend_name() == "sqlite":
            _copy(_file(url, address.database or ""), copy)
            url = f"sqlite:///{copy}"
        elif address.get_backend_name() == "postgresql":
            options = {"connect_args": {"options": "-c default_transaction_read_only=on"}}
        storage = RDBStorage(url, engine_kwargs=options, skip_table_creation=True)
        try:
            yield storage
        finally:
            storage.remove_session()
            storage.engine.dispose()


def _file(url: str, path: str) -> Path:
    if not path or not Path(path).is_file():
        raise StoreOpenError(f"{redact(url)}: there is no such file")
    return Path(path)


def _copy(file: Path, copy: Path) -> None:
    """One state of a database that may be in use."""
    source = f"{file.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(source, uri=True)) as old, closing(sqlite3.connect(copy)) as new:
        old.backup(new)


def _seen(trial: FrozenTrial, *, several: bool) -> Seen:
    reported = trial.intermediate_values
    return Seen(
        number=trial.number,
        state=trial.state.name,
        value=None if several or not trial.values else float(trial.values[0]),
        params=dumps({key: repr(value) for key, value in trial.params.items()})
        if trial.params
        else "",
        curve=[reported[step] for step in sorted(reported)],
        started=None if trial.datetime_start is None else trial.datetime_start.timestamp(),
        ended=None if trial.datetime_complete is None else trial.datetime_complete.timestamp(),
    )
