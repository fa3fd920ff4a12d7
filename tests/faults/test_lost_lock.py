"""A PostgreSQL that restarts forgets its locks, and nobody may think that he holds one still."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hpsearch.errors import StoreAwayError
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Result, State, curve
from hpsearch.ledger.store import Store
from hpsearch.projections import runs
from hpsearch.projections.mlflow_look import Index
from hpsearch.projections.projector import Projector
from hpsearch.settings import Settings
from tests.conftest import study


@pytest.fixture
def ledger(fresh_postgres: str) -> Iterator[Database]:
    """A store on PostgreSQL."""
    opened = Database(fresh_postgres)
    yield opened
    opened.engine.dispose()


def forget(ledger: Database) -> None:
    """End the sessions that hold a lock, as a restart does."""
    with ledger.write() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(l.pid, 10000) FROM pg_locks l JOIN pg_database d "
                "ON d.oid = l.database WHERE l.locktype = 'advisory' AND l.granted "
                "AND d.datname = current_database()"
            )
        )


def test_lost_lock_is_noticed(ledger: Database) -> None:
    """Another may have it by then."""
    with ledger.lock("some") as mine:
        mine.check()
        forget(ledger)
        with ledger.lock("some") as others:
            assert others
            others.check()
            for _ in range(2):
                with pytest.raises(StoreAwayError):
                    mine.check()
            others.check()


def test_nothing_is_written_without_the_lock(
    ledger: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A projector that loses its lock between two trials does not write the second."""
    store = Store(ledger)
    record = store.register(study(), {"dataset": "d"})
    leases = Leases(ledger, record, lag=None, seed=lambda number: number, owner=Owner.of())
    for _ in range(3):
        claim = leases.claim()
        assert isinstance(claim, Claim)
        leases.finish(claim.number, Result(State.FAIL, None, {}, curve(), None, reason="made up"))
    written: list[int] = []

    class Tracking:
        def __init__(self, *_: Any) -> None:
            pass

        def look(self, *_: Any) -> Index:
            return Index()

        def write_parent(self, *_: Any) -> str:
            return "parent"

        def write(self, trial: Any, *_: Any) -> str:
            written.append(trial.number)
            if written == [0, 1]:
                forget(ledger)
            return f"run-{trial.number}"

    monkeypatch.setattr(runs, "Tracking", Tracking)
    settings = Settings(tmp_path, ledger.where, "none")
    projector = Projector(store, record.name, settings)
    with pytest.raises(StoreAwayError):
        projector.step()
    assert written == [0, 1]
    projector.step()
    assert written == [0, 1, 0, 1, 2]  # this Tracking found none of them
    projector._copy.close()
