"""A round's ranges follow from the trials of the rounds before it, whoever ran them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from hpsearch.ledger.records import State
from hpsearch.search.history import sees
from hpsearch.search.rounds import complete, decade, inside, limits, ranges
from hpsearch.study.config import Choices, Range, Study
from tests.conftest import study
from tests.hpsearch.work.crew import digest_of, ran

ROUNDS: dict[str, Any] = {
    "training__epochs": [1, 2, 3],
    "search__rounds": [6, 4, 3],
    "search__trials": 13,
    "search__lag": 2,
}


@pytest.mark.parametrize("sampler", ["random", "tpe"])
@pytest.mark.parametrize("pruner", ["none", "median"])
def test_the_number_of_workers_does_not_matter(sampler: str, pruner: str, tmp_path: Path) -> None:
    """One worker and three give the same trials, each with the epochs and ranges of its round."""
    of = study(**ROUNDS, search__sampler=sampler, search__pruner=pruner)
    digests = {digest_of(of, tmp_path / str(workers), workers) for workers in (1, 3)}
    assert len(digests) == 1


def test_trials_lie_in_the_ranges_of_their_round(tmp_path: Path) -> None:
    """Each round's ranges are recomputed from the ledger, and its trials lie inside them."""
    of = study(**ROUNDS)
    store, record = ran(of, tmp_path / "one", 1)
    trials = store.trials(record.id)
    spaces = ranges(of, complete(trials), 3)
    for place, (first, last) in enumerate(((0, 6), (6, 10), (10, 13))):
        assert all(inside(spaces[place], trial.params) for trial in trials[first:last])
        assert {place + 1} == {trial.epochs for trial in trials[first:last]}
    assert len({tuple(space["training.lr"].ends()) for space in spaces}) == 3


def test_a_budget_runs_a_prefix(tmp_path: Path) -> None:
    """A study that ends in its second round has the first trials of the whole one."""
    store, record = ran(study(**ROUNDS), tmp_path / "whole", 1)
    part = study(**{**ROUNDS, "search__trials": 8})
    other, begun = ran(part, tmp_path / "part", 1)
    wanted = [(t.params, t.weights_sha256) for t in store.trials(record.id)[:8]]
    assert wanted == [(t.params, t.weights_sha256) for t in other.trials(begun.id)]


def test_a_rounds_first_trial_waits_for_the_last_of_the_one_before() -> None:
    """All before its round, whatever the lag; and within it, what the sampler looks at."""
    of = study(**ROUNDS)
    assert list(map(sees(of), (0, 5, 6, 9, 12))) == [-1, -1, 5, 5, 9]
    back = study(**ROUNDS, search__sampler="tpe")
    assert list(map(sees(back), (0, 5, 6, 9, 12))) == [-1, 3, 5, 7, 10]


def test_only_comparable_trials_are_looked_at() -> None:
    """A round goes by trials with its own epochs, since longer ones are better by that alone."""
    of = study(**ROUNDS)
    tried: Any = {
        number: ({"training.lr": 0.1, "network.dropout": 0.1, "training.epochs": 1}, 0.9)
        for number in range(6)
    }
    after_one = ranges(of, tried, 2)[1]
    assert Choices((2,)) == after_one["training.epochs"]
    # None of the second round's is known: the third searches what the second did.
    assert {**after_one, "training.epochs": Choices((3,))} == ranges(of, tried, 3)[2]


def grown(of: Study, path: str) -> tuple[Any, ...]:
    """How far a range may grow."""
    return limits(of)[path].ends()


def test_how_far_ranges_grow() -> None:
    """By a decade on a log scale where that is valid, else within the limits that are given."""
    assert grown(study(), "training.lr") == (1e-4, 10.0)
    assert "network.dropout" not in limits(study())
    log = {"low": 0.1, "high": 0.5, "log": True}
    assert grown(study(network__dropout=log), "network.dropout") == (0.01, 0.5)
    given = study(search__limits={"training.lr": {"high": 2.0}})
    assert grown(given, "training.lr") == (1e-3, 2.0)
    whole = study(training__batch_size={"low": 4, "high": 64, "log": True})
    assert grown(whole, "training.batch_size") == (1, 640)
    normal = study(
        training__batch_size={"low": 4, "high": 64, "log": True}, network__batch_norm=True
    )
    assert grown(normal, "training.batch_size") == (4, 640)
    assert decade(Range(4, 64, log=True)) == (1, 640)


def test_what_failed_is_no_part_of_it(tmp_path: Path) -> None:
    """Trials that failed have no value, and no round goes by them."""
    store, record = ran(study(**ROUNDS), tmp_path / "one", 1)
    trials = store.trials(record.id)
    failed = [dataclasses.replace(t, state=State.FAIL, value=None) for t in trials[:2]]
    assert set(range(2, 13)) == set(complete([*failed, *trials[2:]]))
