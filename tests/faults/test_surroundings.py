"""What a search stands on fails: the tracker, the disk, memory, the clock, the database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from hpsearch.errors import StoreError
from hpsearch.ledger import address, database
from tests.faults import cases
from tests.faults.workspace import Place
from tests.postgres import Cluster


@pytest.mark.parametrize(
    "how", ["down", pytest.param("500", marks=pytest.mark.soak), "hang", "lose"]
)
def test_mlflow_server_misbehaves(embedded: Place, server: str, how: str) -> None:
    """Training neither stops nor waits, and afterwards each trial is there once."""
    cases.tracker_misbehaves(embedded.at(None, server), how)


def test_disk_full(embedded: Place) -> None:
    """One line, exit code 1, nothing torn; with room again the study goes on."""
    cases.disk_full(embedded)


def test_store_read_only(embedded: Place) -> None:
    """One line, exit code 2; writable again, the study goes on."""
    cases.store_read_only(embedded)


def test_store_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for another program's lock has an end, and the line says what to do."""
    monkeypatch.setattr(address, "BUSY", 0.1)
    opened = database.Database(f"sqlite:///{tmp_path / 'studies.db'}")
    with closing(sqlite3.connect(tmp_path / "studies.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked by another program"), opened.write():
            pass
    opened.engine.dispose()


def test_store_locked_on_postgresql(fresh_postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same there, where a lock is on a row or a table."""
    monkeypatch.setattr(address, "BUSY", 0.1)
    opened, other = (database.Database(fresh_postgres) for _ in range(2))
    lock = sa.text("LOCK TABLE hpsearch_studies IN ACCESS EXCLUSIVE MODE")
    said = "database is locked by another program"
    with other.write() as holder:
        holder.execute(lock)
        with pytest.raises(StoreError, match=said) as caught, opened.write() as connection:
            connection.execute(lock)
    assert type(caught.value) is StoreError  # nothing that is waited for as an outage
    for each in (opened, other):
        each.engine.dispose()


def test_artifacts_gone(embedded: Place) -> None:
    """The search does not need them; in the end `run` says so, and run again adds them."""
    cases.artifacts_gone(embedded)


def test_memory_limit(embedded: Place) -> None:
    """A trial that finds no memory is handed back, and the line says which."""
    cases.memory_limit(embedded)


def test_clock_steps(embedded: Place) -> None:
    """Leases survive a clock that jumps an hour either way, and time zones mean nothing."""
    cases.clock_steps(embedded)


@pytest.mark.parametrize("how", ["garbage", pytest.param("truncated", marks=pytest.mark.soak)])
def test_log_torn(embedded: Place, how: str) -> None:
    """Trials that were committed and lost are run again, and MLflow is put right."""
    cases.torn_log(embedded, how)


def test_postgresql_restarted(embedded: Place, cluster: Cluster) -> None:
    """Four workers go on within ten seconds of its return."""
    cases.server_restarted(embedded.at(cluster, None))


@pytest.mark.soak
def test_postgresql_away_at_the_start(embedded: Place, cluster: Cluster) -> None:
    """A run cannot begin without it; a worker that begins meanwhile waits."""
    cases.server_away_at_the_start(embedded.at(cluster, None))


@pytest.mark.soak
def test_stopped_while_postgresql_is_away(embedded: Place, cluster: Cluster) -> None:
    """A signal ends the run with its own exit code all the same."""
    cases.stopped_while_the_server_is_away(embedded.at(cluster, None))
