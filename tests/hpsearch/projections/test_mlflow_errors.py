"""What goes wrong with MLflow is told by its root, and an outage is told from what lasts."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy.exc import OperationalError

from hpsearch.errors import HpsearchError, StoreError, TrackingAwayError, TrackingError
from hpsearch.ledger.records import State
from hpsearch.projections import mlflow_errors
from hpsearch.projections.mlflow_runs import Tracking
from tests.conftest import Run
from tests.hpsearch.workspace import MLFLOWS_WARNINGS, Workspace

COMPLETE = State.COMPLETE
Make = Callable[..., Workspace]

pytestmark = MLFLOWS_WARNINGS


# -- words and kinds


def wrapped(inner: BaseException, code: int = 1) -> Exception:
    """An error as MLflow wraps it, its own words before those of the cause."""
    from mlflow.exceptions import MlflowException

    try:
        raise MlflowException("A statement of SQL, or a traceback. " * 40, code) from inner
    except MlflowException as error:
        return error


def by_sqlite(words: str) -> Exception:
    """What SQLite refused, as SQLAlchemy tells it."""
    return OperationalError("INSERT INTO runs …", {}, sqlite3.OperationalError(words))


def by_postgresql(words: str) -> Exception:
    """What PostgreSQL answered to one who wanted to connect."""
    import psycopg

    return OperationalError("", {}, psycopg.OperationalError(f"connection failed: {words}"))


def http(name: str) -> Exception:
    """One of the errors of the library that MLflow speaks HTTP with."""
    import requests

    raised: Exception = getattr(requests.exceptions, name)("too many 500 error responses")
    return raised


LASTING: dict[str, tuple[Callable[[], Exception], str]] = {
    "locked": (
        lambda: by_sqlite("database is locked"),
        "is locked by another program; close it",
    ),
    "read-only": (
        lambda: by_sqlite("attempt to write a readonly database"),
        "attempt to write a readonly database",
    ),
    "password": (
        lambda: by_postgresql('FATAL:  password authentication failed for user "me"'),
        'connection failed: FATAL: password authentication failed for user "me"',
    ),
    "no folder": (
        lambda: NotADirectoryError(20, "Not a directory", "/home/artifacts"),
        "/home/artifacts: Not a directory",
    ),
    "no driver": (
        lambda: ModuleNotFoundError("No module named 'MySQLdb'"),
        "install the driver for this kind of database",
    ),
    "no boto3": (
        lambda: ModuleNotFoundError("No module named 'boto3'"),
        "; run: pip install 'hpsearch[s3]'",
    ),
    "certificate": (
        lambda: http("SSLError"),
        "set MLFLOW_TRACKING_SERVER_CERT_PATH to the certificate of its authority",
    ),
}

OUTAGES: dict[str, Callable[[], Exception]] = {
    "refused": lambda: ConnectionRefusedError(111, "Connection refused"),
    "no answer": lambda: http("ReadTimeout"),
    "cut off": lambda: http("ConnectionError"),
    "500 and the like": lambda: http("RetryError"),
    "starting": lambda: by_postgresql("FATAL:  the database system is starting up"),
    "full": lambda: by_postgresql("FATAL:  sorry, too many clients already"),
    "gone": lambda: by_postgresql("server closed the connection unexpectedly"),
}


@pytest.mark.parametrize(("make", "said"), LASTING.values(), ids=LASTING)
def test_what_waiting_does_not_mend(make: Callable[[], Exception], said: str) -> None:
    """The root cause, or what to do, whatever stands before it in MLflow's own words."""
    error = wrapped(make())
    assert TrackingError is mlflow_errors.kind(error)
    text = mlflow_errors.said(error, "sqlite:///mlflow.db")
    assert text.endswith(said)
    assert "\n" not in text


@pytest.mark.parametrize("make", OUTAGES.values(), ids=OUTAGES)
def test_what_is_an_outage(make: Callable[[], Exception]) -> None:
    """It ends by itself."""
    assert TrackingAwayError is mlflow_errors.kind(wrapped(make()))


@pytest.mark.parametrize(
    ("code", "away"),
    [
        ("INTERNAL_ERROR", True),  # 500
        ("TEMPORARILY_UNAVAILABLE", True),  # 503
        ("REQUEST_LIMIT_EXCEEDED", True),  # 429
        ("CANCELLED", False),  # 499
        ("RESOURCE_ALREADY_EXISTS", False),
        ("PERMISSION_DENIED", False),
    ],
)
def test_what_a_server_answers(code: str, away: bool) -> None:
    """A fault of its own, or that it has too much to do, ends by itself; a refusal does not."""
    from mlflow.exceptions import RestException

    error = RestException({"error_code": code, "message": "made up"})
    assert mlflow_errors.kind(error) is (TrackingAwayError if away else TrackingError)


def test_a_login_is_asked_for() -> None:
    """A password that is missing or wrong is told as that."""
    from mlflow.exceptions import RestException

    error = RestException({"error_code": "UNAUTHENTICATED", "message": "You are not …"})
    assert TrackingError is mlflow_errors.kind(error)
    assert "MLFLOW_TRACKING_PASSWORD" in mlflow_errors.said(error, "http://127.0.0.1")


def test_long_words_are_cut_before_the_advice() -> None:
    """What to do is there, however much was said."""
    from mlflow.exceptions import MlflowException

    error = MlflowException(f"Detected out-of-date database schema (found {'x' * 999})")
    assert mlflow_errors.said(error, "URL").endswith("run: mlflow db upgrade URL")


# -- addresses and databases that cannot be used


@pytest.mark.parametrize(
    "address",
    [
        "./mlruns",
        "file:///tmp/mlruns",
        "127.0.0.1:5000",
        "localhost:5000",
        "sqlite://",
        "databricks",
    ],
)
def test_address_that_is_none(workspace: Make, address: str, tmp_path: Path) -> None:
    """What is neither a server's nor a database's address is refused in a line; no file is made."""
    book = workspace(uri=address)
    book.run(COMPLETE)
    with pytest.raises(TrackingError, match=r"MLFLOW_TRACKING_URI: .*http://HOST:PORT") as caught:
        book.sync()
    assert type(caught.value) is TrackingError
    assert [tmp_path / "home"] == list(tmp_path.iterdir())
    assert book.trials[0].in_optuna


def test_one_database_for_both(workspace: Make, tmp_path: Path) -> None:
    """MLflow does not get into the study store, by whatever name it is called."""
    address = f"sqlite:///{tmp_path / 'link.db'}"
    (tmp_path / "link.db").symlink_to(tmp_path / "home" / "studies.db")
    book = workspace(uri=address)
    book.run(COMPLETE)
    with pytest.raises(TrackingError, match="is the study store's database; set it to another"):
        book.sync()
    assert book.trials[0].in_optuna
    assert optuna.load_study(storage=book.settings.storage, study_name="small").trials


def test_no_driver(workspace: Make) -> None:
    """A kind of database that Python cannot speak to here is told in a line."""
    book = workspace(uri="mysql://me:secret@127.0.0.1/runs")
    book.run(COMPLETE)
    with pytest.raises(TrackingError, match="install the driver") as caught:
        book.sync()
    assert "secret" not in str(caught.value)


def test_tables_of_another_mlflow(book: Workspace) -> None:
    """An older schema is told with the command that brings it up to date."""
    with closing(sqlite3.connect(book.settings.home / "mlflow.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0a8213491aaa'")
        connection.commit()
    book.run(COMPLETE)
    with pytest.raises(TrackingError, match="run: mlflow db upgrade sqlite:///"):
        book.sync()


def test_tables_of_another_optuna(book: Workspace) -> None:
    """The same for Optuna's; MLflow is written all the same."""
    book.run(COMPLETE)
    book.sync()
    with closing(sqlite3.connect(book.settings.home / "studies.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v2.6.0.a'")
        connection.commit()
    book.run(COMPLETE)
    with pytest.raises(StoreError, match="run: optuna storage upgrade --storage sqlite:///"):
        book.sync()
    assert [(t.in_optuna, t.in_mlflow) for t in book.trials[1:]] == [(False, True)]


def test_current_folder_that_is_gone(
    book: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home that is named by its whole path is all that is needed."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    book.complete()
    assert book.sync().mlflow == 6
    assert set(range(6)) == book.runs().keys()


def test_database_server_that_is_away(workspace: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried once; the next try is the projector's, when it is time to."""
    waits = list[float]()  # MLflow's own, which would take minutes
    monkeypatch.setattr("mlflow.store.db.utils.time.sleep", waits.append)
    book = workspace(uri="postgresql+psycopg://me:secret@127.0.0.1:9/runs")
    book.run(COMPLETE)
    with pytest.raises(TrackingAwayError, match="Connection refused") as caught:
        book.sync()
    assert "secret" not in str(caught.value)
    assert waits == []


# -- while it follows


def followed(book: Workspace) -> tuple[HpsearchError | None, list[str]]:
    """What a projector says that follows a study to its end, and what its failure is."""
    told: list[str] = []
    stop = threading.Event()
    stop.set()
    projecting = book.projector()
    projecting.follow(stop, told.append)
    return projecting.failure, told


def test_what_lasts_is_a_failure(workspace: Make) -> None:
    """It is told once and is kept; Optuna's copy is written all the same."""
    book = workspace(uri="./mlruns")
    book.complete()
    failure, told = followed(book)
    assert isinstance(failure, TrackingError)
    assert [f"{failure}; the search continues"] == told
    assert all(trial.in_optuna for trial in book.trials)


def test_an_outage_is_none(workspace: Make) -> None:
    """Nobody has to mend anything."""
    book = workspace(uri="http://127.0.0.1:9")
    book.complete()
    failure, told = followed(book)
    assert failure is None
    assert len(told) == 1
    assert told[0].endswith("the rest will be written when it is back")


def test_mlflow_is_written_whatever_becomes_of_the_copy(book: Workspace) -> None:
    """Somebody else's Optuna study under the name is a failure; MLflow's runs are there."""
    own = optuna.create_study(storage=book.settings.storage, study_name="small")
    own.add_trial(optuna.create_trial(value=1.0))
    book.complete()
    failure, told = followed(book)
    assert "is not hpsearch's" in str(failure)
    assert len(told) == 1
    assert set(range(6)) == book.runs().keys()
    assert all(trial.in_mlflow for trial in book.trials)
    with pytest.raises(StoreError, match="is not hpsearch's"):
        book.sync()


@pytest.mark.parametrize(
    "error", [KeyError(7), AttributeError("no such\nthing"), ZeroDivisionError()]
)
def test_what_nobody_expected(
    book: Workspace, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whatever is raised on the way is a failure of one line, and no traceback."""

    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(Tracking, "look", fails)
    book.complete()
    failure, told = followed(book)
    assert type(error).__name__ in str(failure)
    assert "\n" not in str(failure)
    assert len(told) == 1
    with pytest.raises(TrackingError, match=type(error).__name__):
        book.sync()


def test_run_ends_with_the_failure(hpsearch: Run, tmp_path: Path) -> None:
    """All trials are trained; then exit code 1, and a line that says what to mend and run."""
    file = tmp_path / "tiny.toml"
    file.write_text(
        'name = "tiny"\n[data]\ndataset = "digits"\ntrain = 60\nvalidation = 30\n[network]\n'
        "hidden = [8]\n[training]\nlr = { low = 0.01, high = 0.1 }\nepochs = 1\n"
        "[search]\ntrials = 2\n"
    )

    done = hpsearch("run", str(file), env={**os.environ, "MLFLOW_TRACKING_URI": "./mlruns"})
    assert done.returncode == 1
    assert "tiny: 2 of 2 trials" in done.stdout
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert "MLFLOW_TRACKING_URI" in last
    assert last.endswith("run: hpsearch sync tiny")
