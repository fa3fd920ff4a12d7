"""Where all is choices and whole numbers, each point is trained once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hpsearch.search.distinct import Distinct
from hpsearch.search.history import History
from hpsearch.search.suggest import suggest
from hpsearch.study.config import Params, Study
from hpsearch.study.finite import points, size
from tests.conftest import study
from tests.hpsearch.command_line import Call, Write
from tests.hpsearch.work.crew import digest_of, ran

SPACE: dict[str, Any] = {
    "network__dropout": {"low": 0.0, "high": 0.4, "step": 0.2},
    "training__lr": 0.1,
    "training__batch_size": {"low": 10, "high": 12},
    "training__momentum": {"choices": [0.5, 0.9], "when": {"training.optimizer": ["momentum"]}},
    "training__optimizer": {"choices": ["sgd", "momentum"]},
}
"""Three times three times three points: momentum has two values, and sgd none."""


def tried(of: Study, count: int) -> list[str]:
    """What the first trials of a random search try."""
    history = History(of)
    return [json.dumps(dict(suggest(of, history, number))) for number in range(count)]


def test_each_point_once() -> None:
    """As many trials as points try them all, in the order of the random draws as far as it goes."""
    of = study(**SPACE, search__trials=27)
    found = tried(of, 27)
    assert sorted(found) == sorted(json.dumps(point) for point in points(of.space) or ())
    again = tried(study(**SPACE, search__trials=27, search__repeat=True), 27)
    assert len(set(again)) < 27
    same = next(n for n in range(27) if again[n] in again[:n])
    assert found[:same] == again[:same]


def test_whoever_asks_gets_the_same() -> None:
    """A worker that has just come works out what the earlier trials try."""
    of = study(**SPACE)
    assert json.dumps(dict(suggest(of, History(of), 20))) == tried(of, 21)[20]


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_number_of_workers_does_not_matter(sampler: str, tmp_path: Path) -> None:
    """A trial avoids those that run beside it as well, and the digests are equal."""
    of = study(**SPACE, search__trials=27, search__sampler=sampler, search__lag=4)
    digests = {digest_of(of, tmp_path / str(workers), workers) for workers in (1, 3)}
    assert len(digests) == 1


def test_tpe_tries_each_point_once(tmp_path: Path) -> None:
    """Though it would rather try the best one again."""
    of = study(**SPACE, search__trials=27, search__sampler="tpe", search__startup=4)
    store, record = ran(of, tmp_path, 1)
    assert len({json.dumps(dict(trial.params)) for trial in store.trials(record.id)}) == 27


def test_a_used_up_space_ends_the_study(call: Call, write: Write) -> None:
    """Its trials are no more than its points, and the end says so."""
    of = study(**SPACE, search__trials=100)
    assert (of.points, of.search.trials) == (27, 27)
    small = study(
        network__dropout={"choices": [0.0, 0.1]}, training__lr={"choices": [0.1, 0.2]}, name="four"
    )
    lines = call("run", write(small), "--no-tracking", "--workers", "1").out.splitlines()
    assert lines[0] == "four: 4 of 4 trials (4 complete)"
    assert lines[1].startswith("all 4 points of the space have been tried, and none is trained")


def test_points_of_enqueue_are_trained_as_they_are() -> None:
    """Who lists a point twice gets it twice, and no other trial tries it."""
    point = {"network.dropout": 0.0, "training.lr": 0.1}
    of = study(
        network__dropout={"choices": [0.0, 0.1]},
        training__lr={"choices": [0.1, 0.2]},
        search__enqueue=[point, point],
    )
    found = tried(of, 4)
    assert found[0] == found[1]
    assert len(set(found)) == 3


def test_none_tries_an_enqueued_point_again() -> None:
    """Not even the very next trial, whatever it draws."""
    choices = {
        "network__dropout": {"choices": [0.0, 0.1]},
        "training__lr": {"choices": [0.1, 0.2]},
    }
    point = {"network.dropout": 0.0, "training.lr": 0.1}
    for seed in range(10):
        of = study(**choices, search__enqueue=[point], search__seed=seed)
        assert len(set(tried(of, 4))) == 4


def test_a_sampler_is_asked_again_twenty_times() -> None:
    """Then one of the points that are left is drawn, by the trial's own seed: of three, each is."""
    found = set()
    for seed in range(20):
        of = study(
            network__dropout={"choices": [0.0, 0.1]},
            training__lr={"choices": [0.1, 0.2]},
            search__seed=seed,
        )
        asked: list[tuple[int, int]] = []

        def draw(number: int, again: int, asked: list[tuple[int, int]] = asked) -> Params:
            asked.append((number, again))
            return {"network.dropout": 0.0, "training.lr": 0.1}

        distinct = Distinct(of, History(of), draw)
        assert distinct.point(0) == {"network.dropout": 0.0, "training.lr": 0.1}
        assert asked == [(0, 0)]
        found.add(json.dumps(dict(distinct.point(1))))
        assert asked == [(0, 0), *((1, again) for again in range(21))]
    assert found == {json.dumps(point) for point in (points(of.space) or ())[1:]}


def test_beyond_the_last_point() -> None:
    """A store of before may hold a study with more trials than points: they try some again, as
    their sampler draws them."""
    choices = {
        "network__dropout": {"choices": [0.0, 0.1]},
        "training__lr": {"choices": [0.1, 0.2]},
    }
    found = tried(study(**choices), 8)
    assert len(set(found[:4])) == 4
    assert found[4:] == tried(study(**choices, search__repeat=True), 8)[4:]


@pytest.mark.parametrize(
    "changes",
    [
        {},  # real numbers
        {"network__dropout": 0.0, "training__lr": 0.1},  # nothing is open: seeds are all there is
        {**SPACE, "search__repeat": True},
        {**SPACE, "search__sampler": "qmc"},
        {**SPACE, "training__lr": 0.1, "search__rounds": 2},
        {
            "network__dropout": 0.0,
            "training__lr": 0.1,
            "training__batch_size": {"low": 1, "high": 10**6},
        },
    ],
    ids=["real", "nothing", "repeat", "qmc", "rounds", "large"],
)
def test_others_are_as_they_were(changes: dict[str, Any]) -> None:
    """They end after as many trials as the file says."""
    of = study(**{**changes, "search__trials": 30})
    assert (of.points, of.search.trials) == (None, 30)


def test_size() -> None:
    """Conditions count, and so does a step that does not divide its range."""
    of = study(**SPACE)
    assert size(of.space) == len(points(of.space) or ()) == 27
    uneven = study(network__dropout={"low": 0.0, "high": 0.5, "step": 0.2}, training__lr=0.1)
    assert size(uneven.space) == 3
