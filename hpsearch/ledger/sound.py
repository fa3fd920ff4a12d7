"""Is a copied database a study store of ours, in its schema and in every row?

Anyone can have written the file. So its schema is judged before any of its tables is asked: a view
may have no end, and a trigger writes what nobody asked for. Then its tables are brought up to date,
compared with new ones, and each row is read into its record. All of that is done to a copy that
nobody else uses, in a folder of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hpsearch.errors import StoppedError, StoreError, StoreOpenError, UsageError
from hpsearch.ledger import tables
from hpsearch.ledger.database import Database
from hpsearch.ledger.rows import Reader, curves_of, environment, raw, trials_of
from hpsearch.settings import sqlite
from hpsearch.text import short

Stop: TypeAlias = Callable[[], bool]
"""Whether to stop."""
_OURS = (*tables.metadata.tables, tables.version.name)
_OFTEN = 100_000
"""Steps of SQLite's between two looks at whether to stop."""
_ADVICE = "restore another copy"


@dataclass(frozen=True, slots=True)
class Content:
    """What a store holds, in numbers."""

    studies: int
    trials: int

    def __str__(self) -> str:
        studies = "1 study" if self.studies == 1 else f"{self.studies} studies"
        return f"{studies} with {self.trials} trials"


def content_of(connection: sqlite3.Connection) -> Content:
    """What a store holds."""
    (studies,) = connection.execute("SELECT count(*) FROM hpsearch_studies").fetchone()
    (trials,) = connection.execute("SELECT count(*) FROM hpsearch_trials").fetchone()
    return Content(studies, trials)


def plain(connection: sqlite3.Connection) -> bool:
    """Whether the ledger's first tables are there, and are tables: they can be asked."""
    wanted = {tables.version.name, tables.studies.name, tables.trials.name}
    return wanted <= {name for kind, name, _ in _schema(connection) if kind == "table"}


def make_sound(draft: Path, named: str, stop: Stop) -> Content:
    """Make sure that a database is a store of ours, and bring its tables up to date.

    Args:
        draft: The database: a copy that nobody else uses, in a folder of its own.
        named: What it is a copy of.
        stop: Whether to stop.

    Returns:
        What it holds.

    Raises:
        UsageError: If it is no store of ours: the message begins with ``named``.
        StoppedError: If it was told to stop.
        sqlite3.Error, StoreError: If SQLite cannot read it, or the disk failed.
    """
    with closing(sqlite3.connect(draft)) as connection, stoppable(connection, named, stop):
        _refuse_strangers(connection, named)
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise UsageError(f"{named}: is damaged: {short(' '.join(said.split()), 200)}")
        _refuse_versions(connection, named)
        _refuse_optunas_version(connection, named)
    try:
        database = Database(sqlite(draft), create=False)
    except StoreOpenError as error:
        said = str(error).replace(str(draft), named)
        raise UsageError(f"{said}; {_ADVICE}") from error
    try:
        fresh = draft.with_name("fresh.db")
        Database(sqlite(fresh)).engine.dispose()
        with closing(sqlite3.connect(draft)) as connection, stoppable(connection, named, stop):
            with closing(sqlite3.connect(fresh)) as new:
                _refuse_differences(connection, new, named)
            _refuse_orphans(connection, named)
        with database.read() as rows:
            try:
                _read_all(rows, named, stop)
            except StoreError as error:
                raise UsageError(str(error)) from error
    finally:
        database.engine.dispose()
    with closing(sqlite3.connect(draft)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")  # all of it is in one file again
        return content_of(connection)


@contextmanager
def stoppable(connection: sqlite3.Connection, named: str, stop: Stop) -> Iterator[None]:
    """Let a query be stopped, however long it takes.

    Raises:
        StoppedError: If it was.
    """
    stopped = False

    def look() -> bool:  # what it raises would be lost in SQLite
        nonlocal stopped
        stopped = stopped or stop()
        return stopped

    connection.set_progress_handler(look, _OFTEN)
    try:
        yield
    except sqlite3.Error:
        refuse_stopped(named, lambda: stopped)
        raise
    finally:
        connection.set_progress_handler(None, 0)
    refuse_stopped(named, look)


def refuse_stopped(named: str, stop: Stop) -> None:
    """End here if that is asked for.

    Raises:
        StoppedError: If it is.
    """
    if stop():
        raise StoppedError(f"{named}: stopped; nothing was changed")


# -- schema


def _schema(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Each object's kind, name and definition; a virtual table is a kind of its own."""
    found = connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master").fetchall()
    return [
        ("virtual table" if sql.lower().startswith("create virtual") else kind, name, sql)
        for kind, name, sql in found
    ]


def _refuse_strangers(connection: sqlite3.Connection, named: str) -> None:
    """Let nothing pass but plain tables of ours, Optuna's and SQLite's, and their indexes."""
    schema = _schema(connection)
    if tables.version.name not in [name for _, name, _ in schema]:
        raise UsageError(f"{named}: is a database, but not a study store")
    known = {*_OURS, *_optunas()}
    for kind, name, _ in schema:
        allowed = kind == "index" or name in known or name.startswith("sqlite_")
        if kind not in ("table", "index") or not allowed:
            raise UsageError(
                f"{named}: holds the {kind} {short(repr(name))}, which is not hpsearch's; "
                f"drop it there, or {_ADVICE}"
            )


def _optunas() -> list[str]:
    from optuna.storages._rdb.models import BaseModel

    return [*BaseModel.metadata.tables, "alembic_version"]


def _refuse_versions(connection: sqlite3.Connection, named: str) -> None:
    query = f"SELECT version_num FROM {tables.version.name} LIMIT 2"
    found = [str(version) for (version,) in connection.execute(query)]
    if len(found) == 1 and found[0] in tables.REVISIONS:
        return
    said = short(", ".join(map(repr, found)) or "none")
    if len(found) == 1 and found[0] > tables.REVISION:
        raise UsageError(
            f"{named}: was written by a newer hpsearch (tables {said}, this one supports "
            f"{tables.REVISION}); update hpsearch"
        )
    raise UsageError(
        f"{named}: hpsearch_version: the version of its tables is {said}, which never existed; "
        f"{_ADVICE}"
    )


def _refuse_optunas_version(connection: sqlite3.Connection, named: str) -> None:
    """Optuna opens no tables of a version that it does not know, and then nothing mends them."""
    if "alembic_version" not in [name for _, name, _ in _schema(connection)]:
        return
    found = [str(v) for (v,) in connection.execute("SELECT version_num FROM alembic_version")]
    if found and (len(found) > 1 or found[0] not in _optunas_versions()):
        said = short(", ".join(map(repr, found)))
        raise UsageError(
            f"{named}: alembic_version: the version of Optuna's tables is {said}, which the "
            f"installed Optuna does not know; {_ADVICE}"
        )


def _optunas_versions() -> set[str]:
    import optuna.storages._rdb
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(f"{optuna.storages._rdb.__path__[0]}/alembic")
    return {script.revision for script in scripts.walk_revisions()}


def _refuse_differences(
    connection: sqlite3.Connection, new: sqlite3.Connection, named: str
) -> None:
    """Compare our tables with those of a new store."""
    for table in _OURS:
        if _shape(connection, table) != _shape(new, table):
            raise UsageError(f"{named}: {table}: is not as hpsearch makes it; {_ADVICE}")


def _shape(connection: sqlite3.Connection, table: str) -> tuple[Any, ...]:
    """A table's columns, what they refer to, and whether it settles conflicts by itself."""
    columns = connection.execute(f"PRAGMA table_xinfo({table})").fetchall()
    refers = connection.execute(f"PRAGMA foreign_key_list({table})").fetchall()
    sql = [sql for _, name, sql in _schema(connection) if name == table]
    return (
        {(name, kind, full, key, hidden) for _, name, kind, full, _, key, hidden in columns},
        {tuple(reference[2:]) for reference in refers},
        ["conflict" in text.lower() for text in sql],
    )


# -- rows


def _refuse_orphans(connection: sqlite3.Connection, named: str) -> None:
    for table in _OURS:
        found = connection.execute(f"PRAGMA foreign_key_check({table})").fetchone()
        if found is not None:
            raise UsageError(
                f"{named}: {table}: row {found[1]} refers to what is not in {found[2]}; {_ADVICE}"
            )


def _read_all(connection: Connection, named: str, stop: Stop) -> None:
    """Read every row into its record.

    Raises:
        StoreError: If one is none.
        StoppedError: If it was told to stop.
    """

    def rows(query: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
        for row in connection.execute(query):
            refuse_stopped(named, stop)
            yield row

    for row in rows(sa.select(*raw(tables.environments))):
        environment(named, row.digest, row.content)
    for study in rows(sa.select(*raw(tables.studies))):
        reader = Reader(named, str(study.name), _ADVICE)
        record = reader.record(study)
        finished = set()
        for row in rows(trials_of(record.id)):
            trial = reader.trial(row, record.study)
            if trial.state.finished:
                finished.add(trial.number)
        for row in rows(curves_of(record.id, "epochs")):
            reader.curve(row, record.metrics)
            finished.discard(row.number)
        if finished:
            raise reader.bad(tables.curves, min(finished), "epochs", "there is no such row")
        for row in rows(curves_of(record.id, "steps")):
            reader.steps(row)
        for row in rows(curves_of(record.id, "outcomes")):
            if row.data is not None:
                reader.outcomes(row)
