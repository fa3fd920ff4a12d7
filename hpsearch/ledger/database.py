"""How is the study store's database opened, created once, and locked?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from zlib import crc32

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from hpsearch.errors import (
    HpsearchError,
    LostRaceError,
    NoStoreError,
    StoreAwayError,
    StoreError,
    StoreOpenError,
    StoreUnreachableError,
)
from hpsearch.ledger import (
    connections,  # noqa: F401 (it closes what is open when the process ends)
    failures,
    tables,
)
from hpsearch.ledger.address import connecting, file_of, parse, patience
from hpsearch.redact import address
from hpsearch.text import short

_TRIES = 10
"""So often is a transaction taken that the server undoes each time."""

_Arguments = ParamSpec("_Arguments")
_Outcome = TypeVar("_Outcome")


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
        self.url = parse(url)
        self.where = short(address(url), 200)
        self.file = file_of(self.url)
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
            away = not self.file and failures.away(error)
            kind = StoreUnreachableError if away else StoreOpenError
            raise kind(f"{self.where}: cannot be opened: {self._said(error)}") from error
        except (TypeError, ValueError) as error:
            if self.file:  # names in it that are no text
                raise StoreOpenError(f"{self.where}: {failures.DAMAGED}") from error
            raise StoreOpenError(  # of what follows the ? in the address
                f"HPSEARCH_STORAGE: {self.where} cannot be opened with the options after the ?: "
                f"{short(failures.reason(error), 200)}"
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
        # PostgreSQL's takes a while to load, and is needed only there.
        dialect = import_module(f"sqlalchemy.dialects.{self.url.get_backend_name()}")
        connection.execute(dialect.insert(table).values(**values).on_conflict_do_nothing())

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
            from filelock import FileLock, Timeout  # with asyncio, which a worker has no need of

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
        except UnicodeDecodeError as error:  # of the names of columns; rows are looked at later
            raise StoreError(f"{self.where}: {failures.DAMAGED}") from error

    def failure(self, error: BaseException) -> HpsearchError:
        """What the driver raised as one of our own errors."""
        if failures.read_only(error):
            file = "make it writable for this user, or set HPSEARCH_HOME to another folder"
            role = "use a role that may write to it"
            return StoreOpenError(f"{self.where}: is read-only; {file if self.file else role}")
        kind = StoreError
        if failures.lost_race(error):
            kind = LostRaceError
        elif not self.file and failures.away(error):
            kind = StoreAwayError
        return kind(f"{self.where}: {self._said(error)}")

    def _said(self, error: BaseException) -> str:
        return f"{failures.reason(error)}{failures.advice(error, patience(self.url))}"

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
            found = self._version()
            if found == tables.REVISION:
                return
            with self.engine.execution_options(writes=True).connect() as connection:
                if self.file:
                    # A table that others refer to is rebuilt under their feet.
                    _pragmas(connection, "journal_mode = WAL", "foreign_keys = OFF")
                with connection.begin():
                    if found is None:
                        tables.create(connection)
                    else:
                        _migrate(connection)
                if self.file:
                    _pragmas(connection, "foreign_keys = ON")

    def _version(self) -> str | None:
        with self.engine.begin() as connection:
            if not sa.inspect(connection).has_table(tables.version.name):
                return None
            found = connection.execute(sa.select(tables.version.c.version_num)).scalar()
            return None if found is None else str(found)


def load_orm() -> None:
    """Load SQLAlchemy's ORM, before there are threads.

    Optuna's storage and MLflow load it at their first use, on the projector's thread. A query of
    another thread would meanwhile find it half loaded, and fail.
    """
    import sqlalchemy.orm  # noqa: F401


def repeated(step: Callable[_Arguments, _Outcome]) -> Callable[_Arguments, _Outcome]:
    """A step of one transaction, taken again if the server undoes it so that another can commit.

    PostgreSQL does that to one of two that wait for each other, or that could not have come one
    after the other. Nothing of it is left then, and it is nobody's failure.
    """

    @wraps(step)
    def again(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Outcome:
        for tried in range(1, _TRIES):
            try:
                return step(*args, **kwargs)
            except LostRaceError:
                time.sleep(0.01 * tried)
        return step(*args, **kwargs)

    return again


def immediate(engine: Engine) -> None:
    """Make an SQLite engine's transactions safe beside other writers.

    Python's driver begins a transaction by itself and only at the first write; one that read
    before is then refused at once when another process wrote meanwhile. Here a transaction begins
    where SQLAlchemy says so, and one marked ``writes`` takes the write lock with its first
    statement, waiting for it as long as the address says.
    """
    busy = int(patience(engine.url) * 1000)

    @sa.event.listens_for(engine, "connect")
    def connect(driver: Any, _: Any) -> None:
        driver.isolation_level = None
        driver.execute(f"PRAGMA busy_timeout = {busy}")
        driver.execute("PRAGMA synchronous = NORMAL")
        driver.execute("PRAGMA foreign_keys = ON")
        # What is no text stays to be told by who reads it.
        driver.text_factory = lambda data: data.decode("utf-8", "surrogateescape")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


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
