"""``hidden`` by its depth and width: what a study file may say, and what a trial has."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from hpsearch.errors import StudyFileError
from hpsearch.search.history import History
from hpsearch.search.suggest import suggest
from hpsearch.study import file as study_file
from hpsearch.study.conditions import grid_size
from hpsearch.study.config import Choices, Range, Study, resolved_table
from tests.conftest import study

DEEP = {"low": 1, "high": 4}
WIDE = {"choices": [50, 100, 200]}


def layered(depth: Any, width: Any, **changes: Any) -> Study:
    """A small study with ``hidden`` by its depth and width."""
    return study(network__hidden={"depth": depth, "width": width}, **changes)


@pytest.mark.parametrize(
    ("depth", "width", "open_", "fixed"),
    [
        (DEEP, WIDE, {"depth": Range(1, 4), "width": Choices((50, 100, 200))}, {}),
        (DEEP, 100, {"depth": Range(1, 4)}, {"hidden.width": 100}),
        (3, WIDE, {"width": Choices((50, 100, 200))}, {"hidden.depth": 3}),
        (3, 100, {}, {"hidden": [100, 100, 100]}),
        (
            {"choices": [1, 3]},
            {"low": 16, "high": 64, "log": True},
            {"depth": Choices((1, 3)), "width": Range(16, 64, log=True)},
            {},
        ),
    ],
)
def test_two_open_places(depth: Any, width: Any, open_: dict[str, Any], fixed: Any) -> None:
    """Each of the two is open or has a value; where both have one, it is a list of layers."""
    parsed = layered(depth, width)
    found = {path: place for path, place in parsed.space.items() if "hidden" in path}
    assert {f"network.hidden.{key}": place for key, place in open_.items()} == found
    assert fixed == {k: v for k, v in parsed.fixed["network"].items() if "hidden" in k}


@pytest.mark.parametrize(("depth", "width"), [(DEEP, WIDE), (DEEP, 100), (3, WIDE), (3, 100)])
def test_it_is_read_back(depth: Any, width: Any) -> None:
    """The definition says all of it, and TOML does."""
    parsed = layered(depth, width)
    assert parsed == study_file.parse(parsed.definition())
    assert parsed == study_file.parse(tomllib.loads(study_file.toml(parsed)))


def test_a_trial_has_a_list_of_layers() -> None:
    """A trial's configuration is a file with as many equal layers, that is the same training."""
    parsed = layered(DEEP, WIDE)
    params = {
        "network.dropout": 0.1,
        "network.hidden.depth": 3,
        "network.hidden.width": 50,
        "training.lr": 0.1,
    }
    config = parsed.resolve(params, 5)
    assert resolved_table(config)["network"]["hidden"] == [50, 50, 50]
    alone = study_file.parse(tomllib.loads(study_file.toml(parsed.of_trial(7, config))))
    assert config == alone.resolve({}, 0)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_what_is_suggested_resolves(sampler: str) -> None:
    """Whatever a sampler draws makes a network of that depth and width."""
    parsed = layered(DEEP, WIDE, search__sampler=sampler)
    for number in range(12):
        params = suggest(parsed, History(parsed), number)
        depth, width = params["network.hidden.depth"], params["network.hidden.width"]
        hidden = resolved_table(parsed.resolve(params, 0))["network"]["hidden"]
        assert [width] * int(str(depth)) == hidden


def test_a_grid_visits_each_network() -> None:
    """Four depths and three widths are twelve points."""
    parsed = study_file.parse(
        {
            "name": "grid",
            "data": {"dataset": "digits", "train": 60},
            "network": {"hidden": {"depth": DEEP, "width": WIDE}},
            "training": {"lr": 0.1, "epochs": 1},
            "search": {"sampler": "grid"},
        }
    )
    assert (grid_size(parsed.space), parsed.search.trials) == (12, 12)


def test_points_and_conditions_name_the_two() -> None:
    """``enqueue`` has values for them, and what matters for some depths only says so."""
    point = {"network": {"hidden": {"depth": 2, "width": 100}}}
    parsed = layered(
        DEEP,
        WIDE,
        search__enqueue=[point],
        network__dropout={"low": 0.0, "high": 0.5, "when": {"network.hidden.depth": [3, 4]}},
    )
    assert parsed.search.enqueue == [{"network.hidden.depth": 2, "network.hidden.width": 100}]
    assert parsed.space["network.dropout"].when == (("network.hidden.depth", (3, 4)),)


@pytest.mark.parametrize(
    ("hidden", "said"),
    [
        ({"depth": DEEP}, "network.hidden.width: is missing; add it to network.hidden"),
        ({"width": 9}, "network.hidden.depth: is missing; add it to network.hidden"),
        ({"depth": 1, "widht": 9}, "network.hidden.widht: unknown key; did you mean width?"),
        ({"depth": 0, "width": 9}, "network.hidden.depth: input should be greater than or equal"),
        ({"depth": 1, "width": 0}, "network.hidden.width: input should be greater than or equal"),
        ({"depth": 1.5, "width": 9}, "network.hidden.depth: input should be a valid integer"),
        ({"depth": [2], "width": 9}, "network.hidden.depth: input should be a valid integer"),
        ({"depth": 1001, "width": 9}, "network.hidden.depth: input should be less than or equal"),
        (
            {"depth": {"low": 0, "high": 3}, "width": 9},
            "network.hidden.depth: input should be greater than or equal to 1 (it is 0)",
        ),
        (
            {"depth": 1, "width": {"low": 1.0, "high": 9.0}},
            "network.hidden.width: input should be a valid integer (it is 1.0)",
        ),
        (
            {"depth": 1, "width": {"low": 1}},
            "network.hidden.width: a range needs low and high (high is missing)",
        ),
        (
            {"depth": 1, "width": {"low": 1, "high": 9, "when": {"training.lr": [1]}}},
            "network.hidden.width.when: every trial needs network.hidden.width; leave `when` out",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_line(hidden: dict[str, Any], said: str) -> None:
    """The line begins with the key, as a file has it."""
    with pytest.raises(StudyFileError) as caught:
        study(network__hidden=hidden)
    assert said == str(caught.value)[: len(said)]


def test_a_quoted_key_is_none() -> None:
    """``"hidden.depth"`` is one key, and unknown."""
    with pytest.raises(StudyFileError, match=r"^network\.hidden\.depth: unknown key; write hidden"):
        study(**{"network__hidden.depth": 3})
