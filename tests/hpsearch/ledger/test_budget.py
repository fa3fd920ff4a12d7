"""A study's budget is raised by whoever runs it, and lowered only by who says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpsearch.errors import UsageError
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.store import Store
from tests.conftest import study

DIGESTS = {"dataset": "d"}


def begun(database: Database, trials: int) -> Store:
    """A study of eight trials, of which so many were begun."""
    store = Store(database)
    record = store.register(study(search__trials=8), DIGESTS)
    for number in range(trials):
        owner = replace(Owner.of(), host="away", pid=number)
        Leases(database, record, lag=None, seed=int, owner=owner).claim()
    return store


def budget(store: Store) -> int:
    """What the ledger says."""
    return store.study("small").study.search.trials


def test_budget_is_raised_unasked(database: Database) -> None:
    """More trials take nothing from anybody."""
    store = begun(database, 2)
    store.register(study(search__trials=9), DIGESTS)
    assert budget(store) == 9


def test_budget_is_not_lowered_unasked(database: Database) -> None:
    """Others may be running it up to what was asked first."""
    store = begun(database, 2)
    with pytest.raises(UsageError, match=r"'small' has a budget of 8 trials, not 5;.* --lower"):
        store.register(study(search__trials=5), DIGESTS)
    assert budget(store) == 8


@pytest.mark.parametrize(("asked", "left"), [(5, 5), (1, 2)])
def test_budget_is_lowered_on_request(database: Database, asked: int, left: int) -> None:
    """It falls to what is asked, and never below what was begun."""
    store = begun(database, 2)
    store.register(study(search__trials=asked), DIGESTS, lower=True)
    assert budget(store) == left


def test_fewer_than_were_begun_lower_nothing(database: Database) -> None:
    """Where all trials were begun there is nothing to lower, and nothing to ask for."""
    store = begun(database, 8)
    store.register(study(search__trials=5), DIGESTS)
    assert budget(store) == 8
