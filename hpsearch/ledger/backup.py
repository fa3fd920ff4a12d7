"""How is the study store copied while it is in use, and put back?

SQLite's own backup makes the copy: of one state, whatever is being written meanwhile, in one plain
file. The way back is the same one, into the store that is in place: other processes that have it
open see all of the old or all of the new, and no log of the old one is left to be mistaken for the
new one's. PostgreSQL has tools of its own for both.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from hpsearch.errors import StoreError, UsageError
from hpsearch.ledger import database, tables
from hpsearch.ledger.database import BUSY, Database
from hpsearch.ledger.owner import holds

_LEASES = """SELECT owner, lease_until, (julianday('now') - 2440587.5) * 86400.0
             FROM hpsearch_trials WHERE state = 'RUNNING'"""


@dataclass(frozen=True, slots=True)
class Content:
    """What a store holds, in numbers."""

    studies: int
    trials: int

    def __str__(self) -> str:
        studies = "1 study" if self.studies == 1 else f"{self.studies} studies"
        return f"{studies} with {self.trials} trials"


@dataclass(frozen=True, slots=True)
class _Place:
    """What stands where a store is to be restored."""

    holds: str | None = None
    """What would be lost, in words; None if nothing."""
    held: int = 0
    """Trials that are running."""
    sound: bool = True
    """SQLite can write to it."""


def backup(store: Database, target: Path, *, force: bool = False) -> Content:
    """Copy the store, which may be in use.

    Args:
        store: The store.
        target: Where the copy is to be.
        force: Replace what is there.

    Returns:
        What the copy holds.

    Raises:
        UsageError: If the store is PostgreSQL, or ``target`` may not be replaced.
        StoreError: If the store cannot be read or the copy not be written.
    """
    if store.file is None:
        raise UsageError(_postgresql(store.url, "pg_dump --format=custom", f"--file={target}"))
    if target.exists() and target.samefile(store.file):
        raise UsageError(f"{target}: is the study store itself")
    if target.is_dir() or not target.absolute().parent.is_dir():
        raise UsageError(f"{target}: must be a file in a folder that is there")
    if os.path.lexists(target) and not stat.S_ISREG(target.lstat().st_mode):
        raise UsageError(f"{target}: is no regular file, and is not replaced; name another")
    if target.exists() and not force:
        raise UsageError(f"{target}: is there already; --force replaces it")
    with _failures(target):
        _copy_to_file(store.file, target)
        with closing(_open(target)) as copy:
            return _content(copy)


def restore(url: str, source: Path, *, force: bool = False) -> tuple[Content, Path | None]:
    """Put a copy back as the study store.

    Args:
        url: The store's, as in ``HPSEARCH_STORAGE``.
        source: What ``backup`` wrote.
        force: Replace a store that holds something; it is kept beside the new one.

    Returns:
        What the store holds now, and where the old one is kept, if it held something.

    Raises:
        UsageError: If ``source`` is no backup, or the store may not be replaced; nothing was
            changed.
        StoreError: If the disk or the store failed on the way.
    """
    file = database.place(url)
    if file is None:
        raise UsageError(_postgresql(sa.make_url(url), "pg_restore --clean", str(source)))
    if source.exists() and file.exists() and source.samefile(file):
        raise UsageError(f"{source}: is the study store itself")
    if os.path.lexists(file) and not file.is_file():
        raise UsageError(f"{file}: is no regular file, and is not replaced; move it away")
    content = _examine(source)
    old = _look(file)
    if old.held:
        raise UsageError(f"{file}: {old.held} of its trials are running; stop the workers first")
    if old.holds and not force:
        raise UsageError(f"{file}: {old.holds}; --force replaces it and keeps it beside the new")
    kept = _beside(file) if old.holds else None
    with _failures(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        if kept and old.sound:
            _copy_to_file(file, kept)
        elif kept:
            for suffix in ("-wal", "-shm", "-journal", ""):  # a log belongs to its database
                part = Path(f"{file}{suffix}")
                if part.exists():
                    part.rename(f"{kept}{suffix}")
        with closing(_open(source)) as backed, closing(sqlite3.connect(file)) as place:
            _copy(backed, place)
            place.execute("PRAGMA journal_mode = WAL")
    Database(url, create=False).engine.dispose()  # brings an older one's tables up to date
    return content, kept


def _examine(source: Path) -> Content:
    """Make sure that a file is a backup which this program can read."""
    if not source.is_file():
        raise UsageError(f"{source}: no such file")
    try:
        with closing(_open(source)) as connection:
            found = _version(connection)
            if found is None:
                raise UsageError(f"{source}: is a database, but no study store's")
            if found > tables.REVISION:
                raise UsageError(
                    f"{source}: was written by a newer hpsearch (tables {found}, this one knows "
                    f"{tables.REVISION}); update hpsearch"
                )
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if said != "ok":
                raise UsageError(f"{source}: is damaged: {' '.join(said.split())}")
            return _content(connection)
    except sqlite3.Error as error:
        raise UsageError(f"{source}: is no backup of a study store: {error}") from error


def _look(file: Path) -> _Place:
    """What would be replaced."""
    if not file.exists():
        return _Place()
    try:
        with closing(_open(file)) as connection:
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if said != "ok":
                return _Place(holds="is damaged", sound=False)
            if _version(connection) is None:
                other = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
                return _Place(holds="is a database of something else" if other else None)
            held = sum(holds(*lease) for lease in connection.execute(_LEASES))
            content = _content(connection)
            return _Place(
                holds=f"holds {content}" if content.studies else None,
                held=held,
            )
    except sqlite3.OperationalError as error:  # locked, or not to be read by this user
        raise StoreError(f"{file}: {error}") from error
    except sqlite3.DatabaseError:
        return _Place(holds="is no database", sound=False)


def _copy_to_file(source: Path, target: Path) -> None:
    """Copy a database to one plain file, which is whole or not there."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:200]}.", dir=target.parent)
    os.close(handle)  # it is nobody's but this user's, and no link that another has laid
    draft = Path(name)
    try:
        with closing(_open(source)) as connection, closing(sqlite3.connect(draft)) as copy:
            _copy(connection, copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # no log beside it
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy all of a database, in one transaction on both sides."""
    deadline = time.monotonic() + BUSY

    def waited(*_: int) -> None:  # it would wait without an end for another's transaction
        if time.monotonic() > deadline:
            raise sqlite3.OperationalError("is locked by another process")

    source.backup(target, pages=-1, progress=waited)


def _open(file: Path) -> sqlite3.Connection:
    """Open a database that is there, to read."""
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY)


def _version(connection: sqlite3.Connection) -> str | None:
    query = "SELECT count(*) FROM sqlite_master WHERE name = ?"
    if not connection.execute(query, (tables.version.name,)).fetchone()[0]:
        return None
    found = connection.execute(f"SELECT version_num FROM {tables.version.name}").fetchone()
    return None if found is None else str(found[0])


def _content(connection: sqlite3.Connection) -> Content:
    (studies,) = connection.execute("SELECT count(*) FROM hpsearch_studies").fetchone()
    (trials,) = connection.execute("SELECT count(*) FROM hpsearch_trials").fetchone()
    return Content(studies, trials)


def _beside(file: Path) -> Path:
    """A name for the store that is replaced."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    return file.with_name(f"{file.name}.replaced-{now}")


def _postgresql(url: sa.URL, command: str, file: str) -> str:
    shown = url.set(drivername="postgresql").render_as_string(hide_password=True)
    return f"PostgreSQL makes its own copies; use: {command} --dbname='{shown}' {file}"


@contextmanager
def _failures(file: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{file}: {error}") from error
