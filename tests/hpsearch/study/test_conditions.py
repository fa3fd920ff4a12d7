"""A place with `when` has a value only where that holds; choices of mixed kinds keep theirs."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from hpsearch.errors import StudyFileError
from hpsearch.study import file as study_file
from hpsearch.study.conditions import filled, needed, order, points, possible
from hpsearch.study.config import Choices, Range, Space, same
from tests.conftest import study

OPTIMIZER = {"choices": ["sgd", "momentum", "nesterov"]}
MOMENTUM = {"low": 0.5, "high": 0.99, "when": {"training.optimizer": ["momentum", "nesterov"]}}
NESTED: Space = {
    "params.a": Choices((1, 2)),
    "params.b": Choices((True, False), (("params.a", (2,)),)),
    "params.c": Range(1, 3, when=(("params.b", (True,)),)),
}


def own(**params: Any) -> Any:
    """A study of a function with these parameters."""
    return study_file.parse(
        {
            "name": "own",
            "objective": {"function": "train:train", "metrics": ["loss"]},
            "params": params,
        }
    )


def complaint(**changes: Any) -> str:
    """What is said of a study with these changes; it is always one line."""
    with pytest.raises(StudyFileError) as caught:
        study(training__optimizer=OPTIMIZER, **changes)
    message = str(caught.value)
    assert [message] == message.splitlines()
    return message


def test_a_condition_is_read() -> None:
    """It names an open place, quoted or as a table, and values of it."""
    quoted = study(training__optimizer=OPTIMIZER, training__momentum=MOMENTUM)
    nested = {**MOMENTUM, "when": {"training": {"optimizer": ["momentum", "nesterov"]}}}
    expected = Range(0.5, 0.99, when=(("training.optimizer", ("momentum", "nesterov")),))
    assert expected == quoted.space["training.momentum"]
    assert quoted == study(training__optimizer=OPTIMIZER, training__momentum=nested)
    assert quoted == study_file.parse(tomllib.loads(study_file.toml(quoted)))


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({}, "training.momentum.when: must be a table such as"),
        ("sgd", "training.momentum.when: must be a table such as"),
        ({"training.optimizer": "sgd"}, "training.optimizer must be a list of values"),
        ({"training.optimizer": []}, "training.optimizer must be a list of values"),
        ({"training.optimiser": ["sgd"]}, "is not searched; did you mean training.optimizer?"),
        ({"training.epochs": [3]}, "training.momentum.when: training.epochs is not searched"),
        ({"training.optimizer": ["adam"]}, 'training.optimizer is never "adam"'),
        ({"training.optimizer": [["sgd"]]}, 'training.optimizer is never ["sgd"]'),
        ({"training.lr": [0.1]}, "training.lr is a range of real numbers; name choices or whole"),
        ({"training.momentum": [0.5]}, "training.momentum is a range of real numbers"),
    ],
)
def test_conditions_that_cannot_be(when: Any, said: str) -> None:
    """Each is one line that names the place and what is wrong."""
    assert said in complaint(training__momentum={**MOMENTUM, "when": when})


def test_what_every_trial_needs_has_no_condition() -> None:
    """The learning rate has no default that could stand for it."""
    lr = {"low": 0.1, "high": 1.0, "when": {"training.optimizer": ["sgd"]}}
    assert "training.lr.when: every trial needs training.lr" in complaint(training__lr=lr)


def test_conditions_that_go_round() -> None:
    """They are found however long the way is."""
    with pytest.raises(
        StudyFileError, match=r"^params\.\w\.when: conditions form a cycle: params\."
    ):
        own(
            a={"choices": [1, 2], "when": {"params.c": [1]}},
            b={"choices": [1, 2], "when": {"params.a": [1]}},
            c={"choices": [1, 2], "when": {"params.b": [1]}},
        )
    with pytest.raises(StudyFileError, match=r"params\.a -> params\.a"):
        own(a={"choices": [1, 2], "when": {"params.a": [1]}})


def test_a_command_cannot_name_what_is_not_always_there() -> None:
    """It reads such a value from its configuration."""
    table = {
        "name": "own",
        "objective": {"command": ["sh", "{params.b}"], "metrics": ["loss"]},
        "params": {
            "a": {"choices": [1, 2]},
            "b": {"choices": [1, 2], "when": {"params.a": [1]}},
        },
    }
    with pytest.raises(StudyFileError, match=r"\{params.b\} has a value only under its condition"):
        study_file.parse(table)


def test_conditions_nest() -> None:
    """Where a place has no value, nothing that depends on it has."""
    assert {"params.a"} == needed(NESTED, {"params.a": 1})
    assert {"params.a", "params.b"} == needed(NESTED, {"params.a": 2, "params.b": False})
    assert set(NESTED) == needed(NESTED, {"params.a": 2, "params.b": True, "params.c": 1})
    assert filled(NESTED, {"params.a": 1})
    assert not filled(NESTED, {"params.a": 2})


def test_a_place_stands_behind_those_it_asks_for() -> None:
    """So the values of a trial can be chosen one after the other."""
    backwards = dict(reversed(NESTED.items()))
    assert order(backwards) == ["params.a", "params.b", "params.c"]


def test_a_grid_has_no_copies() -> None:
    """Its points are those that a trial can have: 1, 2 without c, 2 with each of three."""
    one, two = {"params.a": 1}, {"params.a": 2, "params.b": True}
    expected = [
        one,
        *({**two, "params.c": c} for c in (1, 2, 3)),
        {"params.a": 2, "params.b": False},
    ]
    assert expected == points(NESTED)


def test_a_grid_with_conditions_caps_the_trials() -> None:
    """There are as many trials as points, and of too many it is said."""
    a, many = {"choices": [1, 2]}, {"low": 1, "high": 100_001, "when": {"params.a": [1]}}
    b = {"low": 1, "high": 5, "when": {"params.a": [1]}}
    table = {
        "name": "own",
        "objective": {"function": "train:train", "metrics": ["loss"]},
        "params": {"a": a, "b": b},
        "search": {"sampler": "grid"},
    }
    assert study_file.parse(table).search.trials == 6
    with pytest.raises(StudyFileError, match="the maximum is 100000"):
        study_file.parse({**table, "params": {"a": a, "b": many}})
    wide = {f"c{i}": {"choices": list(range(100))} for i in range(4)}
    with pytest.raises(StudyFileError, match="the maximum is 100000"):
        study_file.parse({**table, "params": {"a": a, "b": b, **wide}})


def test_points_to_try_meet_their_conditions() -> None:
    """A value that the trial would not have is refused."""
    changes: dict[str, Any] = {"training__momentum": MOMENTUM}
    for point in ({"training.momentum": 0.9}, {"training": {"optimizer": "sgd", "momentum": 0.9}}):
        said = complaint(**changes, search__enqueue=[point])
        assert "search.enqueue[0]: training.momentum has a value only under its condition" in said
    fine = {"training.optimizer": "nesterov", "training.momentum": 0.9}
    of = study(training__optimizer=OPTIMIZER, search__enqueue=[fine], **changes)
    assert [fine] == of.search.enqueue


def test_without_its_value_a_trial_has_the_default() -> None:
    """The configuration says what the training did."""
    of = study(training__optimizer=OPTIMIZER, training__momentum=MOMENTUM)
    config = of.resolve({"training.optimizer": "sgd", "training.lr": 0.1, "network.dropout": 0}, 0)
    assert config.training.momentum == 0.9  # type: ignore[union-attr]
    assert "momentum" not in of.fixed["training"]
    a, b = {"choices": [1, 2]}, {"choices": [3], "when": {"params.a": [2]}}
    assert own(a=a, b=b).resolve({"params.a": 1}, 0).params == {"a": 1}


def test_a_narrowed_space_keeps_what_is_possible() -> None:
    """A condition forgets what went, and a place that can have no value goes with it."""
    narrower = {**NESTED, "params.b": Choices((False,), (("params.a", (1, 2)),))}
    narrower["params.a"] = Choices((2,))
    expected = {"params.a": Choices((2,)), "params.b": Choices((False,), (("params.a", (2,)),))}
    assert expected == possible(narrower)


# -- choices of mixed kinds

MIXED = [1, True, "1", 1.0, "true", [1], [True], "[1]"]


def test_mixed_choices_keep_their_kind() -> None:
    """None of them is another, in the study and in its file."""
    of = own(x={"choices": MIXED})
    again = study_file.parse(tomllib.loads(study_file.toml(of)))
    assert list(map(repr, MIXED)) == list(map(repr, again.space["params.x"].ends()))
    assert all(
        same(one, other) == (one is other) for one in MIXED for other in MIXED if one is not other
    )


@pytest.mark.parametrize("twice", [[1, 2, 1], [1.0, 1.0], [[1], [1]], ["a", "a"]])
def test_a_choice_twice(twice: list[Any]) -> None:
    """Equal values of one kind are one choice."""
    with pytest.raises(StudyFileError, match=r"params\.x: choices contains a value twice"):
        own(x={"choices": twice})


def test_numbers_are_meant_where_they_are_equal() -> None:
    """In a condition or a point, 1 is the choice 1.0 where there is no other 1."""
    assert repr(1.0) == repr(Choices((1.0, 2.0)).meant(1))
    assert repr(1) == repr(Choices((1.0, 1)).meant(1))
    assert Choices((True, "1")).meant(1) is None
