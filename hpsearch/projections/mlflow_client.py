"""How is MLflow reached, and how does it say what is wrong?

MLflow is imported only when it is used: that takes a second. All goes by ``MlflowClient``, so that
a local database and a server are written alike, and no active run or tracking URI of the process
is touched.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import gaierror
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from hpsearch.errors import TrackingDiskError, TrackingError
from hpsearch.redact import address, redact
from hpsearch.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # what goes wrong is raised, and told once
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # An outage is to be noticed within seconds. A request is not sent again by itself, either: when
    # the answer to runs/create is lost, the run may be there, and sending it again makes a second.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "GIT_PYTHON_REFRESH": "quiet",
}


class Connection:
    """MLflow, open.

    Raises:
        TrackingError: If it cannot be reached.
    """

    def __init__(self, settings: Settings) -> None:
        for key, value in _ENVIRONMENT.items():
            os.environ.setdefault(key, value)  # MLflow reads some when it is imported
        self.server = settings.tracking_uri.startswith("http")
        self._uri = settings.tracking_uri
        file = _file(self._uri)
        # On a server another ledger may hold a study of the same name, whose runs are not ours to
        # delete. A workspace's own database holds nothing but this workspace's.
        self.shared = file is None or settings.home not in file.parents
        self.where = address(settings.tracking_uri)
        with self.failures():
            self.client = _open(settings)

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Turn whatever MLflow raises into a TrackingError of one line."""
        from mlflow.exceptions import MlflowException
        from requests import RequestException

        try:
            yield
        except (
            MlflowException,
            RequestException,
            SQLAlchemyError,
            sqlite3.Error,
            OSError,
        ) as error:
            kind = TrackingError if self.server or not _of_files(error) else TrackingDiskError
            raise kind(f"MLflow at {self.where}: {_said(error, self._uri)}") from error


def _open(settings: Settings) -> MlflowClient:
    from mlflow import MlflowClient

    file = _file(settings.tracking_uri)
    if file is None:
        return MlflowClient(settings.tracking_uri)
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):
        if not file.exists() or not file.stat().st_size:
            _make(file, settings)
        # MLflow would try for two minutes to open what is no database.
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA schema_version")
        client = MlflowClient(settings.tracking_uri)
        client.get_experiment_by_name("Default")  # the first use still writes; one at a time
        return client


def _make(file: Path, settings: Settings) -> None:
    """Make MLflow's database beside its place and move it there, so that none is ever half made."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    # MLflow keeps an engine for each address as long as the process lives; one of a file that was
    # deleted would go on writing to what nobody can read any more.
    engine = SqlAlchemyStore._engine_map.get(settings.tracking_uri)
    if engine is not None:
        engine.dispose()
    draft = file.with_name(f"{file.name}.{uuid4().hex}")
    try:
        store: Any = SqlAlchemyStore  # MLflow does not type its constructor
        store(f"sqlite:///{draft}", settings.artifacts.as_uri()).engine.dispose()
        with closing(sqlite3.connect(draft)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait
        draft.rename(file)
    finally:
        draft.unlink(missing_ok=True)


def _file(uri: str) -> Path | None:
    """The file of an SQLite address."""
    if not uri.startswith("sqlite"):
        return None
    database = sa.make_url(uri).database
    return Path(database).absolute() if database else None


def _of_files(error: BaseException) -> bool:
    """Whether files could not be read or written, a database's among them."""
    kinds = (OSError, sqlite3.Error, OperationalError)
    return isinstance(error, kinds) or isinstance(_root(error), kinds)


def _root(error: BaseException) -> BaseException:
    while cause := error.__cause__ or error.__context__:
        error = cause
    return error


def _said(error: BaseException, uri: str) -> str:
    """What went wrong, on a line of no great length."""
    root = _root(error)
    if isinstance(root, ConnectionError | TimeoutError | gaierror):
        return f"cannot be reached: {root.strerror or root}"
    return redact(" ".join(str(error).split()), uri)[:300]
