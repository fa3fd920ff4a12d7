"""The address of a store: which file it names, and which options it may have."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from hpsearch.errors import StoreError, StoreOpenError
from hpsearch.ledger.address import BUSY, parse, patience, place, wrong_options
from hpsearch.ledger.database import Database


@pytest.mark.parametrize(
    "query",
    [
        "foo=1",
        "foo",
        "=1",
        "database=other.db",
        "mode=ro",
        "immutable=1",
        "vfs=nothing&uri=true",
        "cache=shared&uri=true",
        "isolation_level=EXCLUSIVE",
        "detect_types=3",
        "check_same_thread=true",
        "cached_statements=1",
        "uri=true",
        "uri=maybe",
        *[f"timeout={value}" for value in ("abc", "", "nan", "inf", "-1", "1e300", "1&timeout=2")],
    ],
)
def test_option_that_does_nothing_is_refused(tmp_path: Path, query: str) -> None:
    """A mistyped option is no option: it is named, and no file is made."""
    with pytest.raises(StoreOpenError, match="option") as told:
        Database(f"sqlite:///{tmp_path / 'new' / 'x.db'}?{query}")
    assert str(told.value).isprintable()
    assert repr(query.partition("=")[0]) in str(told.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "query", ["mode=memory", "mode=x", "immutable=2", "vfs=unix-none", "nolock=1", "cache=private"]
)
def test_option_of_sqlite_that_is_unsafe_is_refused(tmp_path: Path, query: str) -> None:
    """SQLite's own options are those that leave a store what it is."""
    with pytest.raises(StoreOpenError, match="option"):
        Database(f"sqlite:///file:{tmp_path}/x.db?{query}&uri=true")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("query", ["mode=ro", "mode=ro&immutable=1"])
def test_options_of_sqlite_reach_it(tmp_path: Path, query: str) -> None:
    """A store may be opened to be read alone, whatever its folder is called."""
    folder = tmp_path / "a b"
    Database(f"sqlite:///{folder}/x.db").engine.dispose()
    url = f"sqlite:///file:{tmp_path}/a%2520b/x.db?{query}&uri=true"
    assert folder / "x.db" == place(url)
    opened = Database(url)
    with pytest.raises(StoreOpenError, match="read-only"), opened.write() as connection:
        connection.execute(sa.text("CREATE TABLE new (x)"))
    opened.engine.dispose()


def test_patience_is_what_the_address_says(tmp_path: Path) -> None:
    """Who asks for less or more patience with other programs gets it, and it is said so."""
    assert [patience(parse(f"sqlite:///x.db{q}")) for q in ("", "?timeout=90")] == [BUSY, 90.0]
    opened = Database(f"sqlite:///{tmp_path}/x.db?timeout=0")
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="for more than 0 s"), opened.write():
            pass
    opened.engine.dispose()


def test_options_of_mlflow_s_database() -> None:
    """MLflow's database has the patience alone: MLflow does not know SQLite's own form."""
    known = {"timeout=9": True, "mode=ro": False, "uri=true": False, "a=b": False}
    for query, fine in known.items():
        assert fine == (wrong_options(f"sqlite:///file:x.db?{query}", files=False) is None)
