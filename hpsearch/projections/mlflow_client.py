"""How is MLflow reached?

MLflow is imported only when it is used: that takes a second. All goes by ``MlflowClient``, so that
no active run or tracking URI of the process is touched; a whole run goes to a local database's
tables, where these are known.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy.engine import Engine
from sqlalchemy.exc import ArgumentError

from hpsearch.errors import HpsearchError, TrackingError
from hpsearch.garbage import importing
from hpsearch.ledger import connections  # noqa: F401 (it closes what is open when the process ends)
from hpsearch.ledger.address import connecting, wrong_options
from hpsearch.projections import mlflow_errors
from hpsearch.projections.artifacts import follow
from hpsearch.projections.mlflow_tables import known
from hpsearch.redact import address, redact
from hpsearch.settings import Settings, sqlite
from hpsearch.text import short

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # what goes wrong is raised, and told once
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # An outage is to be noticed within seconds. A request is not sent again by itself, either: when
    # the answer to runs/create is lost, the run may be there, and sending it again makes a second.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "GIT_PYTHON_REFRESH": "quiet",
}

_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
"""Those that MLflow can use."""


class Connection:
    """MLflow, open.

    Raises:
        TrackingError: If it cannot be reached or used.
    """

    tables: Engine | None
    """The database, where a whole run may be written to its tables."""

    def __init__(self, settings: Settings) -> None:
        quiet()
        self.server = settings.tracking_uri.startswith(("http://", "https://"))
        self._uri = settings.tracking_uri
        self.where = address(settings.tracking_uri)
        with self.failures():
            self.client = _open(settings)
            self.tables = _own_tables(settings)

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Turn whatever MLflow raises into a TrackingError of one line."""
        try:
            yield
        except HpsearchError:
            raise
        except Exception as error:
            said = redact(mlflow_errors.said(error, self.where), self._uri)
            raise mlflow_errors.kind(error)(f"MLflow at {self.where}: {said}") from error


def quiet() -> None:
    """Set what MLflow reads when it is imported, unless somebody has."""
    for key, value in _ENVIRONMENT.items():
        os.environ.setdefault(key, value)


def _open(settings: Settings) -> MlflowClient:
    try:
        Path.cwd()
    except FileNotFoundError:  # MLflow asks for it, whatever it is to do
        os.chdir(settings.home if settings.home.is_dir() else "/")
    uri = settings.tracking_uri
    server = uri.startswith(("http://", "https://"))
    with importing("mlflow"):
        from mlflow import MlflowClient

        if not server:  # it would be imported at the first use
            import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    if server:
        return MlflowClient(uri)
    file = _file(_database(uri))
    if file is None:
        _refuse_the_ledger(uri)
        return MlflowClient(uri)
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):
        if not file.exists() or not file.stat().st_size:
            _make(file, settings)
        _refuse_the_ledger(uri)
        if settings.home in file.parents:
            follow(file, settings.artifacts)
        client = MlflowClient(uri)
        client.get_experiment_by_name("Default")  # the first use still writes; one at a time
        return client


def _own_tables(settings: Settings) -> Engine | None:
    """The engine of an SQLite database whose tables are known.

    Another one is others', too, who may have reasons of their own to be asked by MLflow alone.
    """
    if not settings.tracking_uri.startswith("sqlite"):
        return None
    engine = _engine(settings.tracking_uri)
    return engine if known(engine) else None


def _database(uri: str) -> sa.URL:
    """The address of a database.

    Raises:
        TrackingError: If it is another address.
    """
    try:
        url = sa.make_url(uri)
    except ArgumentError:
        url = None
    named = url is not None and url.database
    if url is None or not named or url.get_backend_name() not in _DATABASES:
        raise TrackingError(
            f"MLFLOW_TRACKING_URI: {address(uri)} is not an address that runs can be "
            f"written to; set it to a server's (http://HOST:PORT) or a database's (sqlite:////PATH/FILE)"
        )
    if (wrong := wrong_options(uri, files=False)) is not None:
        raise TrackingError(f"MLFLOW_TRACKING_URI: {short(address(uri), 200)}: {wrong}")
    return url


def _engine(uri: str) -> Engine:
    """A database's engine, left where MLflow will look for one before it makes its own.

    Its own would try for minutes to reach a server that is away, or to open what is no database,
    and would make a folder of the address's escaped name.
    """
    from mlflow.store.db.utils import create_sqlalchemy_engine
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    engine: Engine | None = SqlAlchemyStore._engine_map.get(uri)
    if engine is None:
        url = sa.make_url(uri)
        more = {key: str(value) for key, value in connecting(url).items()}
        url = url.update_query_dict(more)
        make: Any = create_sqlalchemy_engine  # MLflow does not type it, and takes text alone
        engine = make(url.render_as_string(hide_password=False))
        if url.get_backend_name() == "sqlite":
            sa.event.listen(engine, "connect", _as_the_ledger)
        SqlAlchemyStore._engine_map[uri] = engine
    assert engine is not None
    return engine


def _as_the_ledger(connection: sqlite3.Connection, _: object) -> None:
    """Not to wait for the disk at each commit, where the file has a write-ahead log, as ours have.

    A power cut may then take the last runs, and damages nothing. What is missing is written by the
    next look at the study, which compares every run with the ledger.
    """
    if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        connection.execute("PRAGMA synchronous = NORMAL")


def _without_the_disk(connection: sqlite3.Connection, _: object) -> None:
    """Not to wait for the disk at all, for a file that counts only once all of it is there."""
    connection.execute("PRAGMA synchronous = OFF")


def _refuse_the_ledger(uri: str) -> None:
    """Optuna and MLflow keep their versions in tables of one name: neither gets into the other's.

    Raises:
        TrackingError: If it is a study store's database.
    """
    if sa.inspect(_engine(uri)).has_table("hpsearch_studies"):
        raise TrackingError(
            f"MLFLOW_TRACKING_URI: {address(uri)} is the study store's database; set it "
            f"to another one, MLflow needs one of its own"
        )


def _make(file: Path, settings: Settings) -> None:
    """Make MLflow's database beside its place and move it there, so that none is ever half made."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    # MLflow keeps an engine for each address as long as the process lives; one of a file that was
    # deleted would go on writing to what nobody can read any more.
    engine = SqlAlchemyStore._engine_map.get(settings.tracking_uri)
    if engine is not None:
        engine.dispose()
    store: Any = SqlAlchemyStore  # MLflow does not type its constructor
    draft = file.with_name(f"{file.name}.{uuid4().hex}")
    try:
        sa.event.listen(_engine(sqlite(draft)), "connect", _without_the_disk)
        store(sqlite(draft), settings.artifacts.as_uri()).engine.dispose()
        with closing(sqlite3.connect(draft)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait
        with draft.open("r+b") as written:
            os.fsync(written.fileno())
        for log in ("-wal", "-shm", "-journal"):  # of a database that was deleted without them
            file.with_name(file.name + log).unlink(missing_ok=True)
        draft.rename(file)
    finally:
        draft.unlink(missing_ok=True)
        SqlAlchemyStore._engine_map.pop(sqlite(draft), None)


def _file(url: sa.URL) -> Path | None:
    """The file of an SQLite database; None of another one."""
    return Path(str(url.database)).absolute() if url.get_backend_name() == "sqlite" else None
