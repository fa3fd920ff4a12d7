"""A study that ends by itself ends with the same trial, whoever runs it and wherever it is."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpsearch.ledger.database import Database
from hpsearch.ledger.endings import by_clock
from hpsearch.ledger.leases import Claim, Idle, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Ended, Result, State, StudyRecord, curve, digest
from hpsearch.ledger.store import Store
from hpsearch.search.ends import verdict
from hpsearch.study.config import Study
from hpsearch.verify import endings
from hpsearch.verify.ledger_reading import read
from hpsearch.work import clock
from tests.conftest import study
from tests.hpsearch.work.crew import ran

RULES: dict[str, dict[str, Any]] = {
    "target": {"search__target": 0.2},
    "patience": {"search__patience": 4},
    "gain": {"search__gain": 0.2, "training__epochs": 1},
    "max_epochs": {"search__max_epochs": 12, "search__pruner": "halving"},
}
DIGESTS = {"dataset": "d"}


def ends(by: str, name: str = "small") -> Study:
    """A study of at most forty trials that ends before."""
    common = {"training__epochs": 2, "search__trials": 40, "search__lag": 3}
    return replace(study(**{**common, **RULES[by]}), name=name)


def summed(store: Store, record: StudyRecord) -> str:
    """Its digest."""
    return digest(store.finished(record.id), store.steps(record.id))


def unsound(store: Store, record: StudyRecord) -> list[str]:
    """What ``verify`` says of its end."""

    class Look:
        ledger = read(store.database, record.name)

    return list(endings.ended(Look()))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all studies, each under a name of its own: making it takes longer than they."""
    return tmp_path_factory.mktemp("ends")


@pytest.mark.parametrize("by", RULES)
def test_the_number_of_workers_does_not_matter(by: str, place: Path) -> None:
    """Nor does running it again: the same trials, and nothing more."""
    found = {}
    for workers in (1, 3):
        store, record = ran(ends(by, f"{by} {workers}"), place, workers)
        assert record.ended is not None
        assert record.ended.by == by
        assert record.ended.at == len(store.trials(record.id)) < 40
        assert store.counts(record.id).done
        assert unsound(store, record) == []
        found[workers] = (record.ended, summed(store, record))
        again, now = ran(ends(by, f"{by} {workers}"), place, workers)
        assert (now.ended, summed(again, now)) == found[workers]
    assert found[1] == found[3]


@pytest.mark.parametrize("by", RULES)
def test_it_is_the_beginning_of_the_longer_study(by: str, place: Path) -> None:
    """It goes on without its rule from where it was."""
    of = ends(by, f"{by} longer")
    store, record = ran(of, place, 2)
    at = record.budget
    before = store.finished(record.id)
    free = replace(of, search=of.search.model_copy(update={by: None, "trials": at + 2}))
    store, record = ran(free, place, 2)
    assert record.ended is None
    assert len(store.trials(record.id)) == at + 2
    known = [(t.number, t.value, t.params, rows.tolist()) for t, rows in before]
    after = store.finished(record.id)[:at]
    assert [(t.number, t.value, t.params, rows.tolist()) for t, rows in after] == known


def test_stores_come_to_the_same_end(fresh_postgres: str, place: Path) -> None:
    """PostgreSQL ends as SQLite does."""
    of = ends("max_epochs", "max_epochs anywhere")
    store, record = ran(of, place, 2, fresh_postgres)
    other, same = ran(of, place, 1)
    assert (record.ended, summed(store, record)) == (same.ended, summed(other, same))
    store.database.engine.dispose()


def test_only_the_epochs_that_a_continuation_adds_count(place: Path) -> None:
    """Those of the trial that it continues were counted with that one."""
    paused = {"search__pruner": "pausing", "search__reduction_factor": 2, "training__epochs": 4}
    of = study(search__max_epochs=40, search__trials=40, search__lag=3, **paused)
    store, record = ran(replace(of, name="paused"), place, 1)
    trials = store.trials(record.id)
    assert record.ended is not None
    assert record.ended.by == "max_epochs"
    assert 40 - 4 < sum(trial.trained for trial in trials) <= 40 < sum(t.epochs for t in trials)
    assert unsound(store, record) == []


# -- trials that are entered by hand


class Entered:
    """A study whose trials are entered without training."""

    def __init__(self, database: Database, of: Study) -> None:
        self.database = database
        self.store = Store(database)
        self.record = self.store.register(of, DIGESTS)

    def leases(self, host: str = "a", lease: float = 60.0) -> Leases:
        """A worker's."""
        owner = replace(Owner.of(), host=host)
        return Leases(
            self.database, self.record, lag=None, seed=int, ends=verdict, owner=owner, lease=lease
        )

    def finish(self, number: int, value: float, host: str = "a") -> None:
        """End a trial."""
        rows = curve([[0.1, 0.2, 0.3, value]])
        done = Result(State.COMPLETE, value, {}, rows, "ab")
        assert self.leases(host).finish(number, done)

    @property
    def ended(self) -> Ended | None:
        """What the ledger says of its end."""
        return self.store.study("small").ended


def test_a_killed_workers_trial_is_run_before_the_study_ends(database: Database) -> None:
    """The end by epochs is known once all trials have ended, whoever runs them."""
    of = Entered(database, study(search__max_epochs=6, search__trials=9))
    gone, other = of.leases("gone", lease=-1.0), of.leases("other")
    assert isinstance(gone.claim(), Claim)
    assert other.claim() == Claim(0, 0)  # it takes the dead one's over
    assert of.leases("third").claim() == Claim(1, 1)
    assert of.leases("fourth").claim() is Idle.WAIT
    of.finish(0, 0.5, "other")
    assert other.claim() is Idle.WAIT
    of.finish(1, 0.5, "third")  # each has trained for one epoch of three
    assert other.claim() == Claim(2, 2)
    of.finish(2, 0.5, "other")
    assert other.claim() == Claim(3, 3)
    of.finish(3, 0.5, "other")
    assert other.claim() is Idle.DONE
    assert of.ended == Ended("max_epochs", 4)
    assert unsound(of.store, of.record) == []


def test_rules_are_those_of_the_store(database: Database) -> None:
    """A worker that began before a rule was changed goes by the new one."""
    of = Entered(database, study(search__target=0.9, search__lag=1))
    worker = of.leases()
    assert worker.claim() == Claim(0, 0)
    of.finish(0, 0.95)
    of.store.register(study(search__target=0.99, search__lag=1), DIGESTS)
    assert worker.claim() == Claim(1, 1)
    of.finish(1, 0.99)
    assert worker.claim() is Idle.DONE
    assert of.ended == Ended("target", 2)


def test_an_ended_study_goes_on_when_it_is_told_to(database: Database) -> None:
    """With more trials or another rule; not because it is run again."""
    of = Entered(database, study(search__target=0.9, search__lag=1))
    worker = of.leases()
    worker.claim()
    of.finish(0, 0.95)
    assert worker.claim() is Idle.DONE
    of.store.register(study(search__target=0.9, search__lag=1), DIGESTS)
    assert of.ended == Ended("target", 1)
    assert of.store.counts(of.record.id).done
    longer = study(search__target=0.9, search__lag=1, search__trials=8)
    assert of.store.register(longer, DIGESTS).ended is None
    assert worker.claim() is Idle.DONE  # the target is reached all the same
    assert of.ended == Ended("target", 1)
    assert of.store.register(study(search__lag=1, search__trials=8), DIGESTS).ended is None
    assert worker.claim() == Claim(1, 1)


def test_a_failed_trial_counts_for_nothing_even_when_it_was_run_again(database: Database) -> None:
    """What ended the study stays what ended it."""
    of = Entered(database, study(search__max_epochs=6, search__trials=9))
    worker = of.leases()
    worker.claim()
    failed = Result(State.FAIL, None, {}, curve([[0.0] * 4] * 3), None, reason="ValueError: no")
    assert worker.finish(0, failed)
    number = 1
    while isinstance(worker.claim(), Claim):
        of.finish(number, 0.5)
        number += 1
    assert of.ended == Ended("max_epochs", 5)
    of.store.retry(of.record.id)
    assert worker.claim() == Claim(0, 0)
    of.finish(0, 0.5)
    assert worker.claim() is Idle.DONE
    assert of.ended == Ended("max_epochs", 5)
    assert unsound(of.store, of.record) == []


def test_the_clock_ends_a_study_with_the_trials_that_were_begun(database: Database) -> None:
    """They are run to their end; none is begun after."""
    of = Entered(database, study(search__max_time=60))
    one, other = of.leases("one"), of.leases("other")
    assert by_clock(database, of.record, 61.0) == 61.0  # there is no trial yet
    assert one.claim() == Claim(0, 0)
    assert other.claim() == Claim(1, 1)
    assert by_clock(database, of.record, 59.0) == 60.0
    assert of.ended is None
    assert by_clock(database, of.record, 60.0) == math.inf
    assert by_clock(database, of.record, 60.0) == math.inf
    assert of.ended == Ended("max_time", 2)
    of.finish(0, 0.5, "one")
    assert one.claim() is Idle.WAIT
    of.finish(1, 0.5, "other")
    assert one.claim() is Idle.DONE
    assert unsound(of.store, of.record) == []
    assert of.store.register(study(search__max_time="2m"), DIGESTS).ended is None
    assert one.claim() == Claim(2, 2)


def test_a_clock_knows_that_there_is_more_time_now(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run may have given it."""
    of = Entered(database, study(search__max_time=60))
    now = 100.0
    monkeypatch.setattr(clock.time, "monotonic", lambda: now)
    watched = clock.Clock(of.store, of.record)
    of.leases().claim()
    of.store.register(study(search__max_time=90), DIGESTS)
    now += 60.0
    watched.look()
    assert of.ended is None
    now += 30.0
    watched.look()
    assert of.ended == Ended("max_time", 1)


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        ('{"by": "patience", "at": 1}', "which the study file does not have"),
        ('{"by": "target", "at": 3}', "but its next trial is 1"),
        ('{"by": "target", "at": 1}', "but its trials do not say so"),
    ],
)
def test_verify_knows_an_end_that_is_none(database: Database, ended: str, said: str) -> None:
    """It works it out by itself."""
    of = Entered(database, study(search__target=0.9, search__lag=1))
    of.leases().claim()
    of.finish(0, 0.5)
    of.store._update(of.record.id, ended=ended)
    (found,) = unsound(of.store, of.record)
    assert said in found
