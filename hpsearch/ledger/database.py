"""How is the study store's database opened, created once, and locked?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from zlib import crc32

import sqlalchemy as sa
from filelock import FileLock, Timeout
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import (
    ArgumentError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)

from hpsearch.errors import (
    HpsearchError,
    NoStoreError,
    StoreAwayError,
    StoreError,
    StoreOpenError,
    StoreUnreachableError,
)
from hpsearch.ledger import tables
from hpsearch.redact import address, redact
from hpsearch.text import short

BUSY = 30.0
"""Seconds to wait for another process's transaction before that is an error."""
_DEAF = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""A PostgreSQL that was cut off says nothing at all: after 20 s or so that is an outage, too."""
_LOCKED = "55P03"
"""What PostgreSQL calls a lock that another holds for too long."""
_LACKING = "22P05"
"""What PostgreSQL calls a character that the database's encoding does not have."""


class Lock:
    """A lock that was asked for; true if it is held."""

    def __init__(self, held: bool, look: Callable[[], None] = lambda: None) -> None:
        self._held = held
        self._look = look

    def __bool__(self) -> bool:
        return self._held

    def check(self) -> None:
        """Make sure that it is still held: a server that was restarted has forgotten it.

        Raises:
            StoreAwayError: If it is lost.
        """
        self._look()


class Database:
    """An open database with the ledger's tables in it.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql+psycopg://…``.
        create: Make what is missing; without it a missing SQLite file is an error.

    Raises:
        StoreOpenError: If it cannot be opened, written, or is of a newer version; as
            StoreUnreachableError if it may be there again later.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        self.url = _parse(url)
        self.where = short(address(url), 200)
        self.file = _file(self.url)
        if self.file:
            self.where = str(self.file)
            if not self.file.exists() and not create:
                raise NoStoreError(f"{self.file}: no study store yet; `hpsearch run` creates it")
        try:
            if self.file:
                self.file.parent.mkdir(parents=True, exist_ok=True)
            self.engine = _engine(self.url)
            self._bring_up_to_date()
        except (SQLAlchemyError, OSError) as error:
            kind = StoreUnreachableError if not self.file and _away(error) else StoreOpenError
            said = f"{_reason(error)}{_advice(error)}"
            raise kind(f"{self.where}: cannot be opened: {said}") from error
        except (TypeError, ValueError) as error:  # of what follows the ? in the address
            raise StoreOpenError(
                f"HPSEARCH_STORAGE: {self.where} cannot be opened with the options after the ?: "
                f"{short(_reason(error), 200)}"
            ) from error

    @property
    def now(self) -> sa.ColumnElement[float]:
        """The database's clock: seconds since 1970, UTC."""
        if self.file:
            return sa.literal_column("((julianday('now') - 2440587.5) * 86400.0)", sa.Double)
        return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Double)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self._failures(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes: on SQLite it holds the write lock from its first moment."""
        with self._failures(), self.engine.execution_options(writes=True).begin() as connection:
            yield connection

    def insert_new(self, connection: Connection, table: sa.Table, **values: Any) -> None:
        """Insert a row, unless another transaction has inserted one of the same key meanwhile."""
        insert = sqlite.insert if self.file else postgresql.insert
        connection.execute(insert(table).values(**values).on_conflict_do_nothing())

    @contextmanager
    def lock(self, key: str, timeout: float = 0.0) -> Iterator[Lock]:
        """Hold a lock that ends with this process, however it ends.

        A file lock beside an SQLite file, a session's advisory lock on PostgreSQL.

        Args:
            key: What is locked.
            timeout: Seconds to wait for it; forever if negative.

        Yields:
            Whether the lock is held, and whether it still is.
        """
        if self.file:
            folder = self.file.parent / "locks"
            folder.mkdir(exist_ok=True)
            lock = FileLock(folder / f"{self.file.name}-{key}.lock", timeout=timeout)
            try:
                lock.acquire()
            except Timeout:
                yield Lock(False)
                return
            try:
                yield Lock(True)
            finally:
                lock.release()
            return
        number = crc32(b"hpsearch") << 31 | crc32(key.encode()) >> 1
        with self._failures(), self.engine.connect() as connection:
            deadline = time.monotonic() + timeout
            held = _advisory(connection, "pg_try_advisory_lock", number)
            while not held and (timeout < 0 or time.monotonic() < deadline):
                time.sleep(0.05)
                held = _advisory(connection, "pg_try_advisory_lock", number)
            session = _session(connection)

            def look() -> None:
                # A connection that broke is silently another session, which holds nothing.
                with self._failures():
                    if connection.invalidated or _session(connection) != session:
                        raise StoreAwayError(f"{self.where}: was restarted; the lock is lost")

            try:
                yield Lock(held, look)
            finally:
                if held:
                    with suppress(SQLAlchemyError):  # it is gone with its session
                        _advisory(connection, "pg_advisory_unlock", number)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise self.failure(error) from error

    def failure(self, error: BaseException) -> HpsearchError:
        """What the driver raised as one of our own errors."""
        if _read_only(error):
            return StoreOpenError(
                f"{self.where}: is read-only; make it writable for this user, or set "
                f"HPSEARCH_HOME to another folder"
            )
        kind = StoreError if self.file or not _away(error) else StoreAwayError
        return kind(f"{self.where}: {_reason(error)}{_advice(error)}")

    def _bring_up_to_date(self) -> None:
        found = self._version()
        if found is not None and found > tables.REVISION:
            self.engine.dispose()
            raise StoreOpenError(
                f"{self.where}: was written by a newer hpsearch (tables {found}, this one knows "
                f"{tables.REVISION}); update hpsearch"
            )
        if found is not None and found not in tables.REVISIONS:
            raise StoreOpenError(
                f"{self.where}: has tables of version {ascii(found)[:40]}, which never existed; "
                f"restore a backup with `hpsearch restore`"
            )
        if found == tables.REVISION:
            return
        with self.lock("schema", timeout=-1):
            if self._version() == tables.REVISION:
                return
            with self.engine.execution_options(writes=True).connect() as connection:
                if self.file:
                    # A table that others refer to is rebuilt under their feet.
                    _pragmas(connection, "journal_mode = WAL", "foreign_keys = OFF")
                with connection.begin():
                    _migrate(connection)
                if self.file:
                    _pragmas(connection, "foreign_keys = ON")

    def _version(self) -> str | None:
        with self.engine.begin() as connection:
            if not sa.inspect(connection).has_table(tables.version.name):
                return None
            found = connection.execute(sa.select(tables.version.c.version_num)).scalar()
            return None if found is None else str(found)


def place(url: str) -> Path | None:
    """The file of an SQLite store, which need not be there; None for PostgreSQL.

    Raises:
        StoreOpenError: If it is the URL of neither.
    """
    return _file(_parse(url))


def immediate(engine: Engine) -> None:
    """Make an SQLite engine's transactions safe beside other writers.

    Python's driver begins a transaction by itself and only at the first write; one that read
    before is then refused at once when another process wrote meanwhile. Here a transaction begins
    where SQLAlchemy says so, and one marked ``writes`` takes the write lock with its first
    statement, waiting for it up to ``BUSY`` seconds.
    """

    @sa.event.listens_for(engine, "connect")
    def connect(driver: Any, _: Any) -> None:
        driver.isolation_level = None
        driver.execute(f"PRAGMA busy_timeout = {int(BUSY * 1000)}")
        driver.execute("PRAGMA synchronous = NORMAL")
        driver.execute("PRAGMA foreign_keys = ON")
        # What is no text stays to be told by who reads it.
        driver.text_factory = lambda data: data.decode("utf-8", "surrogateescape")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def connecting(url: sa.URL) -> dict[str, int | str]:
    """The driver's arguments for a PostgreSQL, however the server and its roles are set up.

    Text goes and comes as UTF-8, and a transaction sees what others have committed. Nobody waits
    for ever: one that was cut off is noticed, and a lock that another holds is waited for as long
    as SQLite does. The address may ask for another patience, not for another encoding or isolation.
    """
    if url.get_backend_name() != "postgresql":
        return {}
    lock = f"-c lock_timeout={int(BUSY * 1000)}"
    isolation = r"-c default_transaction_isolation=read\ committed"
    asked = url.query.get("options", "")
    return {
        **{key: value for key, value in _DEAF.items() if key not in url.query},
        "options": " ".join(f"{lock} {asked} {isolation}".split()),
        "client_encoding": "utf8",
    }


def _parse(url: str) -> sa.URL:
    form = "sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST:PORT/DB"
    try:
        parsed = sa.make_url(url)
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ImportError):
        raise StoreOpenError(f"HPSEARCH_STORAGE: must be {form}") from None
    except ValueError:  # it is not shown: what stands there may be a password
        raise StoreOpenError(
            f"HPSEARCH_STORAGE: the port in it is no number; it must be {form}"
        ) from None
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql") or (backend == "sqlite" and not parsed.database):
        raise StoreOpenError(
            f"HPSEARCH_STORAGE: {short(address(url), 200)} is neither an SQLite file nor a "
            f"PostgreSQL database"
        )
    return parsed


def _file(url: sa.URL) -> Path | None:
    """The file of an SQLite database, which may be given as SQLite's own ``file:…?uri=true``."""
    if url.get_backend_name() != "sqlite":
        return None
    name = url.database or ""
    return Path(name.removeprefix("file:") if "uri" in url.query else name)


def _engine(url: sa.URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url)
        immediate(engine)
        return engine
    try:
        return sa.create_engine(url, pool_pre_ping=True, connect_args=connecting(url))
    except ImportError:
        raise StoreOpenError("PostgreSQL needs its driver: pip install '.[postgres]'") from None


def _pragmas(connection: Connection, *settings: str) -> None:
    """Set what SQLite takes only outside a transaction."""
    driver: Any = connection.connection.driver_connection
    for setting in settings:
        driver.execute(f"PRAGMA {setting}")


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    folder = str(Path(__file__).with_name("migrations"))
    config = Config()
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, tables.REVISION)


def _advisory(connection: Connection, function: str, number: int) -> bool:
    held = connection.execute(sa.text(f"SELECT {function}(:number)"), {"number": number}).scalar()
    connection.commit()  # the lock is the session's; no transaction is to stay open
    return bool(held)


def _session(connection: Connection) -> int:
    found: int = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
    connection.commit()
    return found


def _read_only(error: BaseException) -> bool:
    """Whether a write was refused as such, by SQLite or PostgreSQL (which has codes for it)."""
    original = getattr(error, "orig", None)
    sqlite = str(getattr(original, "sqlite_errorname", ""))
    return sqlite.startswith("SQLITE_READONLY") or (
        getattr(original, "sqlstate", None) in ("25006", "42501")
    )


def _advice(error: BaseException) -> str:
    """What to do about it, where that is known."""
    original = getattr(error, "orig", None)
    name = str(getattr(original, "sqlite_errorname", "") or getattr(original, "sqlstate", ""))
    if name in ("SQLITE_FULL", "53100"):
        return "; free some space, then run the same command again"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", _LOCKED)):
        return f" by another program for more than {BUSY:.0f} s; close it, then try again"
    if name == _LACKING or _speaks_otherwise(error):
        return "; use a database that was made WITH ENCODING 'UTF8' TEMPLATE template0"
    return ""


def _away(error: BaseException) -> bool:
    """Whether to try again: a server was lost, or undid this so that another could commit.

    It is not if the server refused: a full disk, no such table, ….
    """
    if not isinstance(error, OperationalError | InterfaceError) or _speaks_otherwise(error):
        return False
    state = getattr(error.orig, "sqlstate", None)
    # 08: connection exceptions; 57P: shut down, or starting up; 40: serialization failures and
    # deadlocks. No state: never connected.
    return state is None or state.startswith(("08", "57P", "40"))


def _speaks_otherwise(error: BaseException) -> bool:
    """Whether a server has no way from UTF-8 to its encoding. It says so in any language."""
    original = getattr(error, "orig", None)
    return getattr(original, "sqlstate", "") is None and " UTF8 " in str(original)


def _reason(error: BaseException) -> str:
    """The driver's own words on one line."""
    original = getattr(error, "orig", None) or error
    if getattr(original, "sqlstate", None) == _LOCKED:
        return "database is locked"
    return redact(" ".join(str(original).split()))
