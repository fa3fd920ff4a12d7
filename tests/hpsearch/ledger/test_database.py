"""How the database is opened and locked, and what is said when it fails."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from hpsearch.errors import NoStoreError, StoreAwayError, StoreError, StoreOpenError
from hpsearch.ledger.database import Database
from hpsearch.ledger.tables import version
from tests.postgres import Cluster


def test_lock_is_held_by_one(database: Database) -> None:
    """Whoever comes second is told so, and gets it when the first has let go."""
    elsewhere = Database(database.url.render_as_string(hide_password=False))
    with database.lock("a") as first, database.lock("b") as other:
        assert first
        assert other
        first.check()
        with elsewhere.lock("a") as second:
            assert not second
    elsewhere.engine.dispose()
    with database.lock("a") as third:
        assert third


@pytest.mark.parametrize("timeout", [-1.0, 300.0])
def test_lock_is_waited_for(database: Database, timeout: float) -> None:
    """For ever if it has to be, or for some seconds; and no longer than until it is let go."""
    elsewhere = Database(database.url.render_as_string(hide_password=False))
    held: list[bool] = []

    def wait() -> None:
        with elsewhere.lock("a", timeout=timeout) as lock:
            held.append(bool(lock))

    waiting = threading.Thread(target=wait)
    with database.lock("a") as first:
        assert first
        with elsewhere.lock("a", timeout=0.1) as second:
            assert not second
        waiting.start()
        waiting.join(0.3)
        assert held == []
    waiting.join()
    assert held == [True]
    elsewhere.engine.dispose()


def test_a_lock_leaves_no_transaction_open(fresh_postgres: str) -> None:
    """It may be held for days, and a transaction of that age keeps a server from tidying up."""
    database = Database(fresh_postgres)
    with database.lock("a") as lock:
        lock.check()
        query = "SELECT state FROM pg_stat_activity WHERE datname = current_database()"
        with database.read() as connection:
            states = connection.execute(sa.text(f"{query} AND pid != pg_backend_pid()")).scalars()
            assert set(states) == {"idle"}
    database.engine.dispose()


@pytest.mark.parametrize(("asked", "waits"), [("", 30_000), ("?timeout=9", 9_000)])
def test_how_long_sqlite_waits(tmp_path: Path, asked: str, waits: int) -> None:
    """Half a minute for another's transaction, or as long as the address says."""
    database = Database(f"sqlite:///{tmp_path / 'studies.db'}{asked}")
    with database.read() as connection:
        assert connection.execute(sa.text("PRAGMA busy_timeout")).scalar() == waits
    database.engine.dispose()


def test_a_transaction_that_writes_has_the_lock_at_once(tmp_path: Path) -> None:
    """One that reads does not: another may write beside it."""
    url = f"sqlite:///{tmp_path / 'studies.db'}?timeout=0"
    one, other = Database(url), Database(url)
    with one.read() as reading:
        reading.execute(sa.select(version)).all()
        with other.write() as writing:
            writing.execute(sa.select(version)).all()
            with pytest.raises(StoreError, match="locked"), one.write() as third:
                third.execute(sa.select(version)).all()
    for database in (one, other):
        database.engine.dispose()


def test_nothing_is_made_unasked(tmp_path: Path) -> None:
    """A store that is not there is made by whoever may make it alone."""
    url = f"sqlite:///{tmp_path / 'new' / 'studies.db'}"
    with pytest.raises(NoStoreError, match="no study store yet"):
        Database(url, create=False)
    assert list(tmp_path.iterdir()) == []
    Database(url).engine.dispose()
    Database(url, create=False).engine.dispose()


def test_newer_store_is_left_alone(database: Database) -> None:
    """Tables of a later version may mean anything."""
    with database.write() as connection:
        connection.execute(sa.update(version).values(version_num="9999"))
    with pytest.raises(StoreOpenError, match="written by a newer hpsearch"):
        Database(database.url.render_as_string(hide_password=False))


def test_refusal_is_an_error_and_no_outage(database: Database) -> None:
    """What the database refuses it will refuse again: nobody waits for it."""
    with pytest.raises(StoreError, match="no_such_table") as told, database.read() as connection:
        connection.execute(sa.text("SELECT * FROM no_such_table"))
    assert type(told.value) is StoreError


def test_lost_server_is_an_outage(postgres: Cluster) -> None:
    """Whoever waits for it may go on, but not with a lock that it has forgotten."""
    database = Database(postgres.database())
    with database.lock("a") as lock:
        lock.check()
        postgres.restart("immediate")
        with pytest.raises(StoreAwayError):
            lock.check()
    with database.read() as connection:
        assert connection.execute(sa.select(1)).scalar() == 1
    database.engine.dispose()


def test_nobody_waits_for_ever_for_postgresql(fresh_postgres: str) -> None:
    """A connection knows how long it waits for a lock, and for a server that was cut off."""
    database = Database(fresh_postgres)
    with database.read() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        asked = driver.info.get_parameters()
        deaf = {"connect_timeout": "10", "keepalives_idle": "10", "keepalives_interval": "5"}
        deaf |= {"keepalives_count": "3", "tcp_user_timeout": "20000", "client_encoding": "utf8"}
        assert deaf.items() <= asked.items()
        assert connection.execute(sa.text("SHOW lock_timeout")).scalar() == "30s"
    database.engine.dispose()
