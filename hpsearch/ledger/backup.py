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
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from hpsearch.errors import StoppedError, StoreError, UsageError
from hpsearch.ledger import address
from hpsearch.ledger.database import Database
from hpsearch.ledger.owner import holds
from hpsearch.ledger.sound import (
    Content,
    Stop,
    content_of,
    make_sound,
    plain,
    refuse_stopped,
    stoppable,
)
from hpsearch.text import short

_LEASES = """SELECT owner, lease_until, (julianday('now') - 2440587.5) * 86400.0
             FROM hpsearch_trials WHERE state = 'RUNNING'"""
_STEP = 4096
"""Pages that are put back between two looks at whether to stop."""
_UNDONE = (StoppedError, sqlite3.Error, OSError)
"""After these the store is as it was; after anything else it may be replaced already."""
_TROUBLE = ("FULL", "IOERR", "CANTOPEN", "BUSY", "LOCKED", "READONLY", "NOMEM", "PERM")
"""What SQLite says of the machine, and not of what is in a file."""


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
        raise UsageError(f"{target}: must be a file in an existing folder")
    if os.path.lexists(target) and not stat.S_ISREG(target.lstat().st_mode):
        raise UsageError(
            f"{target}: is not a regular file, so it is not replaced; choose another name"
        )
    if target.exists() and not force:
        raise UsageError(f"{target}: already exists; use --force to replace it")
    with _failures(target):
        _copy_to_file(store.file, target)
        with closing(_open(target)) as copy:
            return content_of(copy)


def restore(
    url: str, source: Path, *, force: bool = False, stop: Stop = lambda: False
) -> tuple[Content, Path | None]:
    """Put a copy back as the study store.

    Everything is tried on a copy of the copy first, beside the store. Only what has turned out to
    be sound is put in the store's place.

    Args:
        url: The store's, as in ``HPSEARCH_STORAGE``.
        source: What ``backup`` wrote.
        force: Replace a store that holds something; it is kept beside the new one.
        stop: Whether to stop; it is asked again and again until the store is replaced.

    Returns:
        What the store holds now, and where the old one is kept, if it held something.

    Raises:
        UsageError: If ``source`` is no sound backup, or the store may not be replaced; nothing was
            changed.
        StoppedError: If it was told to stop; nothing was changed.
        StoreError: If the disk or the store failed on the way.
    """
    file = address.place(url)
    if file is None:
        raise UsageError(_postgresql(sa.make_url(url), "pg_restore --clean", str(source)))
    if source.exists() and file.exists() and source.samefile(file):
        raise UsageError(f"{source}: is the study store itself")
    if os.path.lexists(file) and not file.is_file():
        raise UsageError(f"{file}: is not a regular file, so it is not replaced; move it away")
    if not source.is_file():
        raise UsageError(f"{source}: no such file")
    with _failures(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=file.parent) as folder:
            draft = Path(folder) / "draft.db"
            content = _draft(source, draft, stop)
            old = _look(file, stop)
            if old.held:
                raise UsageError(
                    f"{file}: {old.held} of its trials are running; stop the workers first"
                )
            if old.holds and not force:
                raise UsageError(
                    f"{file}: {old.holds}; use --force to replace it (the old file is kept)"
                )
            kept = _beside(file) if old.holds else None
            with _kept(file, kept, old.sound, stop):
                _put(draft, file, stop)
    return content, kept


def _draft(source: Path, draft: Path, stop: Stop) -> Content:
    """Make a sound copy of a backup, to be put in the store's place."""
    try:
        with closing(_open(source)) as connection, closing(sqlite3.connect(draft)) as copy:
            _copy(connection, copy, stop, _STEP)
        return make_sound(draft, str(source), stop)
    except sqlite3.Error as error:
        if _trouble(error):
            raise StoreError(f"{source}: {error}") from error
        said = short(str(error), 200)
        raise UsageError(f"{source}: is not a backup of a study store: {said}") from error


@contextmanager
def _kept(file: Path, kept: Path | None, sound: bool, stop: Stop) -> Iterator[None]:
    """Keep the old store under a name, unless it is not replaced after all."""
    if kept is None:
        yield
    elif sound:
        _copy_to_file(file, kept, stop)
        try:
            yield
        except _UNDONE:
            kept.unlink()
            raise
    else:
        moved = []
        try:
            for suffix in ("-wal", "-shm", "-journal", ""):  # a log belongs to its database
                if Path(f"{file}{suffix}").exists():
                    Path(f"{file}{suffix}").rename(f"{kept}{suffix}")
                    moved.append(suffix)
            yield
        except _UNDONE:
            for suffix in reversed(moved):
                Path(f"{kept}{suffix}").replace(f"{file}{suffix}")
            raise


def _put(draft: Path, file: Path, stop: Stop) -> None:
    """Put a database in the store's place, in one transaction."""
    with closing(_open(draft)) as made, closing(sqlite3.connect(file)) as place:
        _copy(made, place, stop, _STEP)
    with (
        suppress(sqlite3.OperationalError),
        closing(sqlite3.connect(file, timeout=address.BUSY)) as place,
    ):
        place.execute("PRAGMA journal_mode = WAL")


def _look(file: Path, stop: Stop) -> _Place:
    """What would be replaced."""
    if not file.exists():
        return _Place()
    try:
        with closing(_open(file)) as connection, stoppable(connection, str(file), stop):
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if said != "ok":
                return _Place(holds="is damaged", sound=False)
            if not plain(connection):
                other = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
                return _Place(holds="is a database of another program" if other else None)
            held = sum(holds(*lease) for lease in connection.execute(_LEASES))
            content = content_of(connection)
            return _Place(
                holds=f"holds {content}" if content.studies else None,
                held=held,
            )
    except sqlite3.DatabaseError as error:
        if _trouble(error):
            raise StoreError(f"{file}: {error}") from error
        if isinstance(error, sqlite3.OperationalError):  # a column is missing, or the like
            return _Place(holds="is not a study store of this version")
        return _Place(holds="is not a database", sound=False)


def _trouble(error: sqlite3.Error) -> bool:
    """Whether another try may go well: something is locked, full or not to be read."""
    name = getattr(error, "sqlite_errorname", "SQLITE_BUSY").removeprefix("SQLITE_")
    return isinstance(error, sqlite3.OperationalError) and name.startswith(_TROUBLE)


def _copy_to_file(source: Path, target: Path, stop: Stop = lambda: False) -> None:
    """Copy a database to one plain file, which is whole or not there."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:200]}.", dir=target.parent)
    os.close(handle)  # it is nobody's but this user's, and no link that another has laid
    draft = Path(name)
    try:
        with closing(_open(source)) as connection, closing(sqlite3.connect(draft)) as copy:
            _copy(connection, copy, stop)
            copy.execute("PRAGMA journal_mode = DELETE")  # no log beside it
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _copy(
    source: sqlite3.Connection, target: sqlite3.Connection, stop: Stop, pages: int = -1
) -> None:
    """Copy all of a database, in one transaction on the target's side.

    Args:
        source: What is copied.
        target: What it replaces.
        stop: Whether to stop, which leaves the target as it was.
        pages: Copied at once; all of them in one transaction on the source's side, too, if -1.
    """
    deadline = time.monotonic() + address.BUSY

    def look(status: int, *_: int) -> None:
        if status == sqlite3.SQLITE_DONE:  # the target has it
            return
        refuse_stopped("restore", stop)
        waits = status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        if waits and time.monotonic() > deadline:  # it would do so without an end
            raise sqlite3.OperationalError("is locked by another process")

    for connection in (source, target):  # the waiting is done here, where it can be stopped
        connection.execute("PRAGMA busy_timeout = 0")
    source.backup(target, pages=pages, progress=look)


def _open(file: Path) -> sqlite3.Connection:
    """Open a database that is there, to read."""
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=address.BUSY)


def _beside(file: Path) -> Path:
    """A name for the store that is replaced."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    return file.with_name(f"{file.name}.replaced-{now}")


def _postgresql(url: sa.URL, command: str, file: str) -> str:
    shown = url.set(drivername="postgresql").render_as_string(hide_password=True)
    return f"PostgreSQL has its own backup tools; run: {command} --dbname='{shown}' {file}"


@contextmanager
def _failures(file: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{file}: {error}") from error
