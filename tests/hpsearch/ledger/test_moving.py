"""A study gets into another ledger as it is, of either kind, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from hpsearch.errors import UsageError
from hpsearch.ledger import tables
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.moving import move
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import State
from hpsearch.ledger.store import Store
from tests.conftest import study
from tests.hpsearch.work.crew import digest_of, ran
from tests.hpsearch.workspace import Workspace


def _rows(store: Store, table: sa.Table, *without: str) -> list[dict[str, object]]:
    left = [column for column in table.c if column.name not in without]
    query = sa.select(*left).order_by(*table.primary_key)
    with store.database.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def test_it_is_the_same_there(tmp_path: Path, database: Database) -> None:
    """Every column, on either kind of store; the ids are the other ledger's, the marks none's."""
    there = Store(database)
    there.register(study(name="other"), {"dataset": "d"})  # so that the ids differ
    book = Workspace(tmp_path / "home")
    book.run(State.COMPLETE, State.PRUNED, State.FAIL, State.COMPLETE)
    waiting = book.claim()
    book.leases.hand_back(waiting)
    book.store.mark_mlflow(book.record.id, 0, "a" * 32, True)
    book.store.mark_optuna(book.record.id, [0, 1])
    move(book.store, there, book.record)
    for table in (tables.trials, tables.curves, tables.logs):
        ids = ("study_id", "in_optuna", "in_mlflow")
        assert _rows(book.store, table, *ids) == _rows(there, table, *ids)
    own, (_, copied) = _rows(book.store, tables.studies, "id"), _rows(there, tables.studies, "id")
    assert own == [copied]
    assert there.counts(there.study("small").id).unprojected == 4


def test_it_goes_on_there(tmp_path: Path, url: str) -> None:
    """Half of a study, copied, ends there with the digest that the whole one has."""
    half, whole = (study(search__sampler="tpe", search__trials=trials) for trials in (4, 8))
    here, record = ran(half, tmp_path / "here", 1)
    there = Store(Database(url))
    move(here, there, record)
    there.database.engine.dispose()
    assert digest_of(whole, tmp_path / "there", 2, url) == digest_of(whole, tmp_path / "once", 1)


def test_what_is_not_copied(tmp_path: Path, database: Database) -> None:
    """A study that runs, and one whose name is taken; nothing is changed then."""
    book = Workspace(tmp_path / "home")
    book.run(State.COMPLETE)
    there = Store(database)
    held = Leases(book.store.database, book.record, lag=None, seed=int, owner=Owner.of(1))
    claim = held.claim()
    assert isinstance(claim, Claim)
    with pytest.raises(UsageError, match="1 of its trials are running; stop the workers first"):
        move(book.store, there, book.record)
    assert there.studies() == []
    held.hand_back(claim.number)
    move(book.store, there, book.record)
    with pytest.raises(UsageError, match="has this very study under the name 'small' already"):
        move(book.store, there, book.record)
    other = Workspace(tmp_path / "other")
    with pytest.raises(UsageError, match="has another study under the name 'small' already"):
        move(other.store, there, other.record)
