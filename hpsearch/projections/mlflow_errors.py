"""What went wrong with MLflow, will waiting mend it, and what else does?

MLflow wraps what its libraries raise, often twice, and puts its own words before theirs. Here the
root cause comes first, and what to do comes last, whatever had to be cut between.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from socket import gaierror

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from hpsearch.errors import TrackingAwayError, TrackingError, one_line

_LONGEST = 300
"""Characters of MLflow's own words."""
_COMING_BACK = ("starting up", "shutting down", "terminating connection", "too many", "recovery")
"""What a database server says of itself in a refusal that will not last."""


def kind(error: BaseException) -> type[TrackingError]:
    """An outage, which ends by itself, or a fault that somebody has to mend."""
    return TrackingAwayError if _away(error) else TrackingError


def said(error: BaseException, place: str) -> str:
    """What went wrong, and what to do about it, on one line.

    Args:
        error: What was raised.
        place: MLflow's address, for a command that takes it.
    """
    words = _words(error)
    status = _status(error)
    text = " ".join(str(error).split())
    if "database is locked" in words:
        return "is locked by another program; close it"
    if "out-of-date database schema" in text:
        return (
            f"its tables belong to another version of MLflow; use that version, or back up the "
            f"database and run: mlflow db upgrade {place}"
        )
    advice = ""
    if status == 401:
        words = "requires a valid user name and password"
        advice = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    elif status == 403:
        advice = "this user lacks the permission"
    elif missing := [each for each in _chain(error) if isinstance(each, ModuleNotFoundError)]:
        bucket = "'boto3'" in str(missing[0])
        driver = "install the driver for this kind of database"
        advice = "run: pip install 'hpsearch[s3]'" if bucket else driver
    elif "valid JSON" in words:
        words = "does not answer like an MLflow server"
        advice = "check MLFLOW_TRACKING_URI"
    elif _certificate(error):
        advice = "set MLFLOW_TRACKING_SERVER_CERT_PATH to the certificate of its authority"
    return f"{_cut(words)}; {advice}" if advice else _cut(words)


def _cut(words: str) -> str:
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]} …"


def _words(error: BaseException) -> str:
    """The words of the cause that says most, on one line."""
    for cause in _chain(error):
        if type(cause).__module__.startswith(("boto3.", "botocore.")):  # it names the bucket
            return " ".join(str(cause).split())
        if isinstance(cause, ConnectionError | TimeoutError | gaierror):
            return f"cannot be reached: {cause.strerror or cause}"
        if isinstance(cause, DBAPIError) and cause.orig is not None:
            return " ".join(str(cause.orig).split())
        if isinstance(cause, sqlite3.Error | sa.exc.SQLAlchemyError):
            return " ".join(str(cause).split())
        if isinstance(cause, OSError) and cause.strerror:
            at = f"{cause.filename}: " if cause.filename else ""
            return f"{at}{cause.strerror}"
    words = " ".join(str(error).split())
    return words if _known(error) and words else one_line(error)


def _known(error: BaseException) -> bool:
    """Whether its kind says nothing that its words do not."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    return isinstance(error, MlflowException | RequestException)


def _status(error: BaseException) -> int | None:
    """The status that a server answered with, where that is what went wrong."""
    from mlflow.exceptions import MlflowException

    for cause in _chain(error):
        if isinstance(cause, MlflowException) and cause.error_code != "INTERNAL_ERROR":
            return int(cause.get_http_status_code())  # type: ignore[no-untyped-call]
    return None


def _away(error: BaseException) -> bool:
    from mlflow.exceptions import RestException
    from requests import exceptions as http

    if _certificate(error):
        return False
    for cause in _chain(error):
        if isinstance(cause, http.ConnectionError | http.Timeout | http.RetryError):
            return True
        if isinstance(cause, ConnectionError | TimeoutError | gaierror):
            return True
        if isinstance(cause, RestException):
            status = cause.get_http_status_code()  # type: ignore[no-untyped-call]
            return bool(status >= 500 or status == 429)
        if isinstance(cause, OperationalError | InterfaceError):
            return _server_lost(cause)
    return False


def _server_lost(error: DBAPIError) -> bool:
    """Whether a database's server is away, rather than that it, or a file, refused."""
    if isinstance(error.orig, sqlite3.Error):
        return False
    words = str(error.orig)
    if "FATAL" in words or "Access denied" in words:
        return any(word in words for word in _COMING_BACK)
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    return state is None or state.startswith(("08", "57P", "53300"))


def _certificate(error: BaseException) -> bool:
    from requests.exceptions import SSLError

    return any(isinstance(cause, SSLError) for cause in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came of, the last thing that was raised first."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
