"""How often a test part was opened, and what ended a study, is entered once."""

from __future__ import annotations

import math

import pytest

from hpsearch.errors import UnknownStudyError
from hpsearch.ledger import endings, openings
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Idle, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Ended, Opened, StudyRecord
from hpsearch.ledger.store import Store
from tests.conftest import study

SHOWN = Opened("test_accuracy", 3, 0.5, 0.4, 0.6, 0.1, 0.9, 5, 900, 60, None)
OTHER = Opened("test_accuracy", 3, 0.9, 0.8, 1.0, 0.1, 0.9, 5, 900, 60, None)


def known(database: Database) -> StudyRecord:
    """The study as it stands."""
    return Store(database).study("small")


def test_openings_are_counted(database: Database) -> None:
    """Each has its time; of two who open it at once, one counts."""
    record = Store(database).register(study(), {"dataset": "d"})
    openings.enter(database, record, "small/test")
    openings.enter(database, record, "small/test")  # which read the study before the first did
    openings.enter(database, known(database), "small/test-2")
    found = known(database).openings
    assert [(one.study, one.result) for one in found] == [
        ("small/test", None),
        ("small/test-2", None),
    ]
    assert record.created <= found[0].opened <= found[1].opened


def test_the_first_result_stays(database: Database) -> None:
    """Of the opening that it is of, and of no other."""
    store = Store(database)
    record = store.register(study(), {"dataset": "d"})
    store.register(study(name="another"), {"dataset": "d"})
    openings.enter(database, record, "small/test")
    openings.enter(database, known(database), "small/test-2")
    for result in (SHOWN, OTHER):
        openings.close(database, record, "small/test", result)
    openings.close(database, record, "small/test-9", OTHER)
    assert [one.result for one in known(database).openings] == [SHOWN, None]
    assert store.study("another").openings == ()


def test_of_a_study_that_was_deleted(database: Database) -> None:
    """Whoever slept through it is told; another of that name has none."""
    store = Store(database)
    record = store.register(study(), {"dataset": "d"})
    store.delete(record.id)
    store.register(study(), {"dataset": "d"})
    with pytest.raises(UnknownStudyError, match="deleted in the meantime"):
        openings.enter(database, record, "small/test")
    with pytest.raises(UnknownStudyError, match="deleted in the meantime"):
        openings.close(database, record, "small/test", SHOWN)
    assert known(database).openings == ()


def test_the_clock_ends_a_study(database: Database) -> None:
    """Once its time is over: with the trials that were begun, one at least, and not before."""
    store = Store(database)
    record = store.register(study(search__max_time="60s"), {"dataset": "d"})
    leases = Leases(database, record, lag=None, seed=int, owner=Owner.of())
    assert endings.by_clock(database, record, 59.0) == 60.0
    assert endings.by_clock(database, record, 61.0) == 61.0  # it has one trial at least
    assert known(database).ended is None
    assert isinstance(leases.claim(), Claim)
    assert endings.by_clock(database, record, 59.0) == 60.0
    assert endings.by_clock(database, record, 60.0) == math.inf
    assert known(database).ended == Ended("max_time", 1)
    assert endings.by_clock(database, record, 99.0) == math.inf
    assert leases.claim() == Claim(0, 0)  # its own, which has no end yet
    other = Leases(database, record, lag=None, seed=int, owner=Owner("elsewhere", 1, ""))
    assert other.claim() is Idle.WAIT
    store.delete(record.id)
    assert endings.by_clock(database, record, 99.0) == math.inf
