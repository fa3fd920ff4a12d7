"""What is known of studies and trials, on both kinds of database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from hpsearch.errors import StudyChangedError, UnknownStudyError, UnknownTrialError, UsageError
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Counts, Result, State, StudyRecord
from hpsearch.ledger.store import Store
from tests.conftest import study

ENDS = (State.COMPLETE, State.PRUNED, State.FAIL, State.COMPLETE)


def fill(store: Store, name: str = "small") -> StudyRecord:
    """A study of eight: four trials that have ended so, one handed back, one that runs."""
    record = store.register(study(name=name, search__trials=8), {"dataset": "d"})
    mine, elsewhere = Owner.of(), replace(Owner.of(), host="elsewhere")
    leases, others = (
        Leases(store.database, record, lag=None, seed=lambda n: n, owner=owner)
        for owner in (mine, elsewhere)
    )
    for number, state in enumerate(ENDS):
        claim = leases.claim()
        assert isinstance(claim, Claim)
        value = 0.5 + number if state is State.COMPLETE else None
        rows = np.full((number + 1, 4), float(number))
        params = {"network.dropout": 0.25, "training.lr": 0.5}
        leases.finish(number, Result(state, value, params, rows, "w"))
    for each in (leases, others):
        assert isinstance(each.claim(), Claim)
    leases.hand_back(4)
    return record


@pytest.fixture
def store(database: Database) -> Store:
    """A store with a study, and another that nothing here is to touch."""
    filled = Store(database)
    fill(filled, "another")
    return filled


@pytest.fixture
def record(store: Store) -> Iterator[StudyRecord]:
    """The study; the other is as it was when the test is over."""
    another = store.study("another").id

    def seen() -> object:
        there = store.trials(another), store.counts(another), store.studies()[0]
        return there, store.curves(another).keys(), store.held(another)

    before = seen()
    yield fill(store)
    assert before == seen()


def test_counts(store: Store, record: StudyRecord) -> None:
    """Every trial is counted where it stands; unprojected are those that lack a mark."""
    assert Counts(8, 2, 1, 1, 1, 1, unprojected=4) == store.counts(record.id)
    store.mark_optuna(record.id, [0, 1])
    store.mark_mlflow(record.id, 1, "run", True)
    store.mark_mlflow(record.id, 2, "run", True)
    assert store.counts(record.id).unprojected == 3
    counts = store.counts(record.id)
    assert (counts.finished, counts.done) == (4, False)


def test_unprojected(store: Store, record: StudyRecord) -> None:
    """Whoever lacks a mark that counts, in order, unfinished trials among them."""
    store.mark_optuna(record.id, [0, 1])
    store.mark_mlflow(record.id, 1, "run", True)
    store.mark_mlflow(record.id, 2, "run", True)
    lacking = [trial.number for trial in store.unprojected(record.id)]
    assert lacking == [0, 2, 3, 4, 5]
    assert [t.number for t in store.unprojected(record.id, mlflow=False)] == [2, 3, 4, 5]
    store.mark_optuna(record.id, [0], there=False)
    assert [t.number for t in store.unprojected(record.id, mlflow=False)] == [0, 2, 3, 4, 5]


def test_trials(store: Store, record: StudyRecord) -> None:
    """All of them in order, or those in some states, or those above a number."""
    ended = [*ENDS, State.WAITING, State.RUNNING]
    assert [(n, s) for n, s in enumerate(ended)] == [
        (trial.number, trial.state) for trial in store.trials(record.id)
    ]
    assert [t.number for t in store.trials(record.id, [State.COMPLETE])] == [0, 3]
    assert [t.number for t in store.trials(record.id, above=3)] == [4, 5]
    assert store.trial(record.id, 3).value == 3.5
    with pytest.raises(UnknownTrialError, match="no trial 6; the study has trials 0 to 5"):
        store.trial(record.id, 6)


def test_what_has_ended_is_held_by_nobody(store: Store, record: StudyRecord) -> None:
    """The one that runs is held, and stands in the way of what must have the study alone."""
    assert store.held(record.id) == {5}
    with pytest.raises(UsageError, match="1 of its trials are running"):
        store.refuse_running(record.id)


def test_curves(store: Store, record: StudyRecord) -> None:
    """Of the trials that are asked for, else of all that have ended."""
    assert {n: n + 1 for n in range(4)} == {n: len(c) for n, c in store.curves(record.id).items()}
    assert list(store.curves(record.id, [2])) == [2]
    finished = store.finished(record.id)
    assert [(n, n + 1) for n in range(4)] == [(t.number, len(c)) for t, c in finished]


def test_history_is_of_what_may_be_looked_at(store: Store, record: StudyRecord) -> None:
    """COMPLETE and PRUNED trials above one number and up to another; none that failed."""
    for above, up_to, expected in ((-1, 9, [0, 1, 3]), (0, 9, [1, 3]), (-1, 1, [0, 1])):
        found = store.history(record.id, above, up_to)
        assert expected == [trial.number for trial, _ in found]


def test_retry(store: Store, record: StudyRecord) -> None:
    """What failed waits again, without a mark, and out of the history for good."""
    store.mark_optuna(record.id, [2])
    assert store.retry(record.id) == 1
    trial = store.trial(record.id, 2)
    assert (trial.state, trial.reason, trial.in_optuna) == (State.WAITING, None, False)
    assert store.retry(record.id) == 0
    assert Counts(8, 2, 1, 0, 1, 2, unprojected=3) == store.counts(record.id)


def test_registered_again(store: Store, record: StudyRecord) -> None:
    """The budget is the last that was asked for, and at least what was begun; the folder, too."""
    data = {"dataset": "d"}
    assert store.register(study(search__trials=9), data, folder="/a").study.search.trials == 9
    assert store.register(study(search__trials=2), data, lower=True).study.search.trials == 6
    assert store.study("small").folder == "/a"
    assert store.study("small").id == record.id
    with pytest.raises(StudyChangedError):
        store.register(study(training__epochs=4), data)
    with pytest.raises(StudyChangedError):
        store.register(study(), {"dataset": "e"})


def test_deleted(store: Store, record: StudyRecord) -> None:
    """A study goes with all its trials, and the message says which are left."""
    store.delete(record.id)
    assert store.trials(record.id) == []
    assert store.finished(record.id) == []
    with pytest.raises(UnknownStudyError, match="; use one of another"):
        store.study("small")
    with pytest.raises(UnknownStudyError, match="was deleted in the meantime"):
        store.counts(record.id)
