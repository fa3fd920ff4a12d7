"""A study is taken out of a ledger and put into another, of either kind, whole or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpsearch.errors import StoreError, UsageError
from hpsearch.ledger.database import Database
from hpsearch.ledger.store import Store
from hpsearch.ledger.transfer import put, take
from tests.conftest import study
from tests.hpsearch.trust.test_archive import taken


def test_it_comes_out_as_it_went_in(database: Database) -> None:
    """Every value and every byte; what the projections have is not theirs any more."""
    put(database, taken(), "here")
    store = Store(database)
    record = store.study("small")
    assert take(database, record) == taken()
    assert store.counts(record.id).unprojected == 3
    with pytest.raises(UsageError, match="is already in"):
        put(database, taken(), "here")


@pytest.mark.parametrize(
    "change", [{"state": "DONE"}, {"epochs": "many"}, {"value": None}, {"started": -1.0}]
)
def test_a_row_that_is_none_undoes_all(database: Database, change: dict[str, object]) -> None:
    """Nothing of the study is entered."""
    trials = [*taken().trials[1:], {**taken().trials[0], **change}]
    with pytest.raises(StoreError):
        put(database, replace(taken(), trials=trials), "here")
    assert Store(database).studies() == []


@pytest.mark.parametrize(
    "torn", [{"epochs": b"torn"}, {"steps": b"torn"}, {"outcomes": b"torn"}, {"epochs": b"\0" * 8}]
)
def test_bytes_that_are_none_undo_all(database: Database, torn: dict[str, bytes]) -> None:
    """Of a curve, of losses by step, or of what examples scored."""
    bits = {number: replace(one, **torn) for number, one in taken().bits.items()}
    with pytest.raises(StoreError, match="hpsearch_curves, study 'small', trial 0"):
        put(database, replace(taken(), bits=bits), "here")
    assert Store(database).studies() == []


def test_a_study_without_an_end_is_not_taken(database: Database) -> None:
    """It says what to do."""
    record = Store(database).register(study(), {"dataset": "d"})
    with pytest.raises(UsageError, match="it has no trials; first run: hpsearch run small"):
        take(database, record)
