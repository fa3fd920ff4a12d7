"""Rounds are settled once, from the file, and what does not fit is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import StudyFileError
from hpsearch.study import file as study_file
from hpsearch.study.config import Choices
from hpsearch.study.rounds import first_of, round_of, settled
from tests.conftest import study


@pytest.mark.parametrize(
    ("trials", "rounds", "epochs", "expected"),
    [
        (265, 3, [10, 25, 50], [166, 66, 33]),  # each round costs as many epochs
        (9, 3, 50, [3, 3, 3]),
        (10, 3, 50, [4, 3, 3]),
        (3, 3, [1, 10, 100], [1, 1, 1]),
        (5, 3, [1, 100, 1000], [3, 1, 1]),
        (4, 2, [50, 10], [1, 3]),
    ],
)
def test_trials_are_divided(trials: int, rounds: int, epochs: Any, expected: list[int]) -> None:
    """Each round trains for as many epochs in total, and has one trial at least."""
    table = {"training": {"epochs": epochs}, "search": {"trials": trials, "rounds": rounds}}
    assert expected == settled(table)["search"]["rounds"]


def test_rounds_do_not_move_with_the_budget(tmp_path: Path) -> None:
    """``--trials`` runs a part of the study that the file describes."""
    file = tmp_path / "study.toml"
    text = study_file.toml(study()).replace("trials = 6", "trials = 9\nrounds = 3")
    file.write_text(text)
    whole, part = study_file.load(file), study_file.load(file, ["search.trials=4"])
    assert [3, 3, 3] == whole.search.rounds == part.search.rounds
    assert part.search.trials == 4
    assert study_file.differences(whole, part) == []


def test_a_list_of_rounds_says_how_many_trials() -> None:
    """Without ``trials``, a study has those of its rounds."""
    of = study(search={"rounds": [5, 3]})
    assert (of.search.rounds, of.search.trials) == ([5, 3], 8)
    assert [round_of([5, 3], n) for n in (0, 4, 5, 7, 99)] == [0, 0, 1, 1, 1]
    assert [first_of([5, 3], n) for n in (4, 6)] == [0, 5]


def test_one_round_is_none() -> None:
    """A study of one round is a study without rounds."""
    assert study(search__rounds=1).search.rounds == []


def test_epochs_by_round() -> None:
    """A list of epochs is what a trial has by its round, and is written as it was read."""
    of = study(training__epochs=[1, 2, 2], search__rounds=3, search__trials=9)
    assert of.epochs_by_round == (1, 2, 2)
    assert Choices((1, 2)) == of.space["training.epochs"]
    assert of.epochs == 2
    assert of == study_file.parse(of.definition())
    assert of.definition()["training"]["epochs"] == [1, 2, 2]


def test_limits() -> None:
    """A limit names one end or both, in tables or by its path."""
    of = study(search__limits={"training": {"lr": {"high": 10}}, "network.dropout": {"high": 0.9}})
    assert of.search.limits == {
        "training.lr": {"low": 1e-3, "high": 10.0},
        "network.dropout": {"low": 0.0, "high": 0.9},
    }
    assert of == study_file.parse(of.definition())


WHEN = {"low": 0.0, "high": 0.1, "when": {"training.epochs": [2]}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"search__rounds": 7}, "search.rounds: 7 rounds do not fit 6 trials; use fewer rounds"),
        ({"search__rounds": 0}, "search.rounds: must be a number of rounds, such as 3, or a list"),
        ({"search__rounds": True}, "search.rounds: must be a number of rounds"),
        ({"search__rounds": [3, 0]}, "search.rounds: must be a number of rounds"),
        ({"search__rounds": "3"}, "search.rounds: must be a number of rounds"),
        ({"training__epochs": [1, 2]}, "training.epochs: a list gives the epochs of each round;"),
        (
            {"training__epochs": [1, 2], "search__rounds": 3},
            "training.epochs: lists 2 numbers for 3 rounds; list one for each",
        ),
        (
            {"training__epochs": [1, 0], "search__rounds": 2},
            "training.epochs: must list integers above 0 (it is [1, 0])",
        ),
        (
            {
                "training__epochs": [1, 2],
                "search__rounds": 2,
                "search__enqueue": [{"training.epochs": 2}],
            },
            "search.enqueue: training.epochs depends on the round; remove it",
        ),
        (
            {
                "training__epochs": [1, 2],
                "search__rounds": 2,
                "training__weight_decay": WHEN,
            },
            "training.weight_decay.when: training.epochs depends on the round; remove it",
        ),
        (
            {"search__rounds": [1, 5], "search__enqueue": [{}, {}]},
            "search.enqueue: has 2 points, and the first round 1 trials",
        ),
        (
            {
                "search__sampler": "grid",
                "search__rounds": 2,
                "training__lr": 0.1,
                "network__dropout": {"choices": [0.0, 0.1]},
            },
            "search.rounds: a grid cannot be narrowed; use another sampler",
        ),
        ({"search__limits": {"training.l": {"high": 1}}}, "search.limits: training.l is not sea"),
        (
            {"search__limits": {"training.lr": {"hi": 1}}},
            "search.limits: training.lr: hi is unknown; write low and high",
        ),
        (
            {"search__limits": {"training.lr": {"high": "1"}}},
            'search.limits: training.lr.high: must be a number, not "1"',
        ),
        (
            {"search__limits": {"training.lr": {"high": 0.5}}},
            "search.limits: training.lr.high: 0.5 lies inside the range, 0.001 to 1.0",
        ),
        (
            {"search__limits": {"training.lr": {"low": 0}}},
            "search.limits: training.lr.low: must be above 0 on a log scale",
        ),
        (
            {"search__limits": {"network.dropout": {"high": 2}}},
            "search.limits: network.dropout.high: 2.0: network.dropout: ",
        ),
        (
            {
                "network__activation": {"choices": ["relu", "tanh"]},
                "search__limits": {"network.activation": {"high": 2}},
            },
            "search.limits: network.activation has choices; limits are for ranges",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit_is_said(changes: dict[str, Any], message: str) -> None:
    """In one line: what is wrong, where, and what to do."""
    with pytest.raises(StudyFileError) as raised:
        study(**changes)
    assert message == str(raised.value)[: len(message)]
