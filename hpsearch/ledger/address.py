"""How is a database's address read: which file or server is it, and with which options?"""

from __future__ import annotations

import math
from pathlib import Path
from urllib.parse import parse_qsl, unquote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from hpsearch.errors import StoreOpenError
from hpsearch.redact import address
from hpsearch.text import short

BUSY = 30.0
"""Seconds to wait for another process's transaction before that is an error."""
_LONGEST = 86_400.0  # seconds that an address may ask to wait
_DEAF = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""A PostgreSQL that was cut off says nothing at all: after 20 s or so that is an outage, too."""
_SILENT = {
    "idle_in_transaction_session_timeout": 20_000,
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""And one that cut us off has to notice, too, while it holds our locks: before others give up."""
_OPTIONS = {"mode": ("ro", "rw", "rwc"), "immutable": ("0", "1")}
"""SQLite's own, and what they may be. Others would make it another database, or unsafe."""


def parse(url: str) -> sa.URL:
    """The address of a study store.

    Raises:
        StoreOpenError: If it is that of neither an SQLite file nor a PostgreSQL database, or asks
            for what there is not.
    """
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
    shown = short(address(url), 200)
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql") or (backend == "sqlite" and not parsed.database):
        raise StoreOpenError(
            f"HPSEARCH_STORAGE: {shown} is neither an SQLite file nor a PostgreSQL database"
        )
    if (wrong := wrong_options(url)) is not None:
        raise StoreOpenError(f"HPSEARCH_STORAGE: {shown}: {wrong}")
    return parsed


def wrong_options(text: str, *, files: bool = True) -> str | None:
    """What is wrong with the options after the ``?`` of an SQLite address, if anything is.

    SQLAlchemy takes no notice of an option that it does not know. PostgreSQL's driver does.

    Args:
        text: The address, which can be read as one.
        files: Whether it may be SQLite's own form ``file:FILE``, which has options of its own.
    """
    url = sa.make_url(text)
    if url.get_backend_name() != "sqlite":
        return None
    as_file = files and "uri" in url.query
    asked = parse_qsl(text.partition("?")[2], keep_blank_values=True)  # which SQLAlchemy does not
    for key, value in asked:
        if key == "timeout":
            fine, wanted = 0 <= _number(value) <= _LONGEST, f"seconds, 0 to {_LONGEST:.0f}"
        elif key == "uri" and files:
            fine = value == "true" and (url.database or "").startswith("file:")
            wanted = "true, and needs an address such as sqlite:///file:FILE?uri=true"
        elif key in _OPTIONS and files:
            fine = as_file and value in _OPTIONS[key]
            allowed = " or ".join(_OPTIONS[key])
            wanted = f"{allowed}, in an address such as sqlite:///file:FILE?{key}=…&uri=true"
        else:
            known = ", ".join(["timeout", "uri", *_OPTIONS] if files else ["timeout"])
            return f"there is no option {short(key)!r}; remove it (known here: {known})"
        fine = fine and not isinstance(url.query.get(key, ""), tuple)  # not given twice
        if not fine:
            return f"the option {key!r} must be {wanted}"
    return None


def patience(url: sa.URL) -> float:
    """Seconds to wait for another's transaction: ``BUSY`` unless an SQLite address says more."""
    asked = url.query.get("timeout")
    if url.get_backend_name() != "sqlite" or not isinstance(asked, str):
        return BUSY
    return _number(asked)


def place(url: str) -> Path | None:
    """The file of an SQLite store, which need not be there; None for PostgreSQL.

    Raises:
        StoreOpenError: If it is the URL of neither.
    """
    return file_of(parse(url))


def file_of(url: sa.URL) -> Path | None:
    """The file of an SQLite database, which may be given as SQLite's own ``file:…?uri=true``."""
    if url.get_backend_name() != "sqlite":
        return None
    name = url.database or ""
    return Path(unquote(name.removeprefix("file:")) if "uri" in url.query else name)


def connecting(url: sa.URL) -> dict[str, int | str]:
    """The driver's arguments for a PostgreSQL, however the server and its roles are set up.

    Text goes and comes as UTF-8, and a transaction sees what others have committed. Nobody waits
    for ever: both sides notice that one was cut off, and what it was writing is undone; a lock that
    another holds is waited for as long as SQLite does. The address may ask for another patience,
    not for another encoding or isolation.
    """
    if url.get_backend_name() != "postgresql":
        return {}
    settings = {"lock_timeout": int(BUSY * 1000), **_SILENT}
    ours = " ".join(f"-c {name}={value}" for name, value in settings.items())
    isolation = r"-c default_transaction_isolation=read\ committed"
    asked = url.query.get("options", "")
    return {
        **{key: value for key, value in _DEAF.items() if key not in url.query},
        "options": " ".join(f"{ours} {asked} {isolation}".split()),
        "client_encoding": "utf8",
    }


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
