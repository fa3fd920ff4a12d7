"""What is known of a study's rounds, from the trials that are in the ledger."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Result, State, StudyRecord, curve
from hpsearch.ledger.store import Store
from hpsearch.search.known import Round, hull, narrowed, rounds_of, space_of, widened
from hpsearch.study.config import Params, Range, Study
from tests.conftest import study

ROUNDS: dict[str, Any] = {
    "training__epochs": [1, 2, 3],
    "search__rounds": [6, 4, 3],
    "search__trials": 13,
}
LR, DROPOUT = Range(1e-3, 1.0, log=True), Range(0.0, 0.5)


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> Store:
    """An empty ledger."""
    return Store(Database(f"sqlite:///{shutil.copy(empty_store, tmp_path / 'studies.db')}"))


def filled(store: Store, of: Study, ended: int, running: int = 0) -> StudyRecord:
    """The study with so many trials that ended, ever better and around lr = 0.014."""
    record = store.register(of, {"dataset": "d"})
    leases = Leases(store.database, record, lag=None, seed=int, owner=Owner.of())
    for number in range(ended):
        assert isinstance(leases.claim(), Claim)
        lr = 0.014 + 1e-5 * number * (-1) ** number
        params: Params = {"training.lr": lr, "network.dropout": 0.2}
        if record.study.epochs_by_round:
            epochs = next(e for e, first in ((3, 10), (2, 6), (1, 0)) if number >= first)
            params = {**params, "training.epochs": epochs}
        rows = curve([(1.0, 0.1, 1.0, 0.5)])
        leases.finish(number, Result(State.COMPLETE, number / 100, params, rows, "0" * 64))
    for slot in range(running):
        owner = replace(Owner.of(), host=f"host-{slot}")
        Leases(store.database, record, lag=None, seed=int, owner=owner).claim()
    return store.study("small")


@pytest.mark.parametrize(
    ("ended", "running", "known"),
    [(0, 0, 1), (5, 0, 1), (5, 1, 1), (6, 0, 2), (6, 1, 2), (10, 0, 3), (13, 0, 3)],
)
def test_a_round_is_known_once_the_one_before_has_ended(
    store: Store, ended: int, running: int, known: int
) -> None:
    """Its trials, its epochs and how many it is to have; the epochs are none of its ranges."""
    found = rounds_of(store, filled(store, study(**ROUNDS), ended, running))
    expected = [(1, 0, 6, 1), (2, 6, 10, 2), (3, 10, None, 3)][:known]
    assert [(one.number, one.first, one.end, one.epochs) for one in found] == expected
    assert [one.planned(12) for one in found] == [6, 4, 2][:known]
    assert found[0].space == {"training.lr": LR, "network.dropout": DROPOUT}
    for one in found[1:]:
        lr = one.space["training.lr"]
        assert isinstance(lr, Range)
        assert LR.low < lr.low < lr.high < LR.high


def test_whose_trials_they_are(store: Store) -> None:
    """Each trial is one round's."""
    record = filled(store, study(**ROUNDS), 13)
    trials = store.trials(record.id)
    numbers = [[t.number for t in one.among(trials)] for one in rounds_of(store, record)]
    assert numbers == [list(range(6)), list(range(6, 10)), list(range(10, 13))]
    assert [one.has(10) for one in rounds_of(store, record)] == [False, False, True]


def test_a_study_without_rounds(store: Store) -> None:
    """It has none, is shown as it is, and may be narrowed all the same."""
    record = filled(store, study(search__trials=13), 13)
    assert (rounds_of(store, record), widened(store, record)) == ([], record)
    assert space_of(record.study, [], 3) == record.study.space
    lr = narrowed(store, record)["training.lr"]
    assert isinstance(lr, Range)
    assert LR.low < lr.low < 0.014 < lr.high < LR.high


def test_what_would_be_searched_next(store: Store) -> None:
    """It follows from the last round's trials, and has no epochs among its ranges."""
    record = filled(store, study(**ROUNDS), 13)
    last, found = rounds_of(store, record)[-1].space, narrowed(store, record)
    assert found.keys() == {"training.lr", "network.dropout"}
    assert found != last
    for path, open_ in found.items():
        assert last[path].ends()[0] <= open_.ends()[0] < open_.ends()[1] <= last[path].ends()[1]


def test_epochs_that_are_the_same_in_all_rounds(store: Store) -> None:
    """No round has any of its own."""
    record = filled(store, study(**{**ROUNDS, "training__epochs": 1}), 13)
    assert [one.epochs for one in rounds_of(store, record)] == [None] * 3
    assert narrowed(store, record).keys() == {"training.lr", "network.dropout"}


def test_all_that_was_searched() -> None:
    """From the lowest end of any round to the highest; the choices are the study's."""
    kinds = {"choices": ["relu", "tanh"]}
    of = study(**ROUNDS, network__activation=kinds)
    made: Study = replace(of, space={k: v for k, v in of.space.items() if k != "training.epochs"})
    grown, shrunk = replace(LR, high=10.0), replace(LR, low=0.1, high=0.5)
    one_left = replace(of.space["network.activation"], choices=("tanh",))  # type: ignore[type-var]
    rounds = [
        Round(1, 0, 6, 1, made.space),
        Round(2, 6, 10, 2, {**made.space, "training.lr": grown, "network.activation": one_left}),
        Round(3, 10, None, 3, {"training.lr": shrunk, "network.dropout": Range(0.2, 0.3)}),
    ]
    assert hull(made, rounds) == {**made.space, "training.lr": replace(LR, high=10.0)}
    assert space_of(made, rounds, 5) == made.space
    assert space_of(made, rounds, 6) == {**made.space, "training.lr": grown}
    assert space_of(made, rounds[:2], 12) == {**made.space, "training.lr": grown}
    assert space_of(made, rounds, 12)["training.lr"] == shrunk


def test_a_study_is_shown_with_all_of_it(store: Store) -> None:
    """The record says what all rounds together search."""
    record = filled(store, study(**ROUNDS), 13)
    space = widened(store, record).study.space
    assert space == {**record.study.space, **{p: space[p] for p in ("training.lr",)}}
    assert space["training.lr"].ends()[0] == LR.low
    assert space["training.lr"].ends()[1] >= LR.high
