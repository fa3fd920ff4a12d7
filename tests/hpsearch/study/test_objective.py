"""``[objective]`` and ``[params]``: what they may say, and one clear line for what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from hpsearch.errors import StudyFileError
from hpsearch.study import file as study_file
from hpsearch.study.config import Choices, Range

GIVEN: dict[str, Any] = {
    "name": "own",
    "objective": {"function": "mine:train", "metrics": ["error", "val_loss"]},
    "params": {
        "lr": {"low": 1e-3, "high": 1, "log": True},
        "model": {"depth": {"low": 1, "high": 4}, "act": {"choices": ["relu", "tanh"]}},
        "units": [8, 8],
    },
}


def given(**changes: Any) -> dict[str, Any]:
    """Such a file's content, with other tables; None leaves one out."""
    whole = {**GIVEN, **changes}
    return {key: value for key, value in whole.items() if value is not None}


def test_params_are_values_and_ranges_by_dotted_names() -> None:
    """Whole ends make a range of whole numbers, and a real one makes all of it real."""
    study = study_file.parse(given())
    assert dict(study.space) == {
        "params.lr": Range(1e-3, 1.0, log=True),
        "params.model.act": Choices(("relu", "tanh")),
        "params.model.depth": Range(1, 4),
    }
    assert study.fixed == {"params": {"units": [8, 8]}}
    assert isinstance(study.space["params.lr"].ends()[1], float)


def test_first_metric_ranks() -> None:
    """Unless another is named; the direction follows the name."""
    study = study_file.parse(given())
    assert (study.search.metric, study.search.direction) == ("error", "maximize")
    study = study_file.parse(given(search={"metric": "val_loss"}))
    assert (study.search.metric, study.search.direction) == ("val_loss", "minimize")


def test_file_is_read_back() -> None:
    """What is written of a study, or of one of its trials, is the same study again."""
    study = study_file.parse(given(search={"sampler": "tpe", "seed": 3}))
    text = study_file.toml(study)
    assert study_file.toml(_read(text)) == text
    params = {"params.lr": 0.1, "params.model.act": "tanh", "params.model.depth": 2}
    alone = study.of_trial(4, study.resolve(params, 99))
    again = _read(study_file.toml(alone))
    assert again.resolve({}, 1) == study.resolve(params, 99)


def _read(text: str) -> Any:
    import tomllib

    return study_file.parse(tomllib.loads(text))


OBJECTIVE = GIVEN["objective"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"objective": None}, "params: requires [objective]"),
        ({"network": {"hidden": [8]}}, "network: cannot be combined with [objective]; remove one"),
        ({"training": {"lr": 1}}, "training: cannot be combined with [objective]"),
        ({"data": {"dataset": "digits"}}, "data: cannot be combined with [objective]"),
        ({"objective": {"metrics": ["a"]}}, "objective: needs either a function or a command"),
        ({"objective": {**OBJECTIVE, "command": ["x"]}}, "objective: needs either a function or a"),
        ({"objective": {"function": "mine:train"}}, "objective.metrics: is missing"),
        (
            {"objective": {**OBJECTIVE, "metrics": []}},
            "objective.metrics: must list at least one name",
        ),
        (
            {"objective": {**OBJECTIVE, "metrics": ["a", "a"]}},
            "objective.metrics: must list at least one name",
        ),
        (
            {"objective": {**OBJECTIVE, "metrics": ["epoch"]}},
            "objective.metrics: epoch is a reserved name",
        ),
        ({"objective": {**OBJECTIVE, "metrics": ["a b"]}}, "objective.metrics: "),
        ({"objective": {**OBJECTIVE, "function": "mine"}}, "objective.function: "),
        ({"objective": {**OBJECTIVE, "timeout": "soon"}}, "objective.timeout: "),
        ({"objective": {**OBJECTIVE, "outputs": ["x"]}}, "objective.outputs: applies to commands"),
        ({"objective": {**OBJECTIVE, "metric": ["x"]}}, "objective.metric: unknown key; did you"),
        (
            {"search": {"metric": "val_los"}},
            'search.metric: "val_los" is not a metric of this study; did',
        ),
        (
            {"search": {"pruner": "median"}},
            "search.pruner: median needs the maximum number of epochs",
        ),
        ({"params": {"a b": 1}}, "params.a b: must be a name of letters, digits, _ and -"),
        ({"params": {"x": {"low": 2, "high": 1}}}, "params.x: low 2 is above high 1; swap them"),
        ({"params": {"x": float("nan")}}, "params.x: must be a number, text, true or false"),
        ({"params": {"x": {"choices": [1, 1]}}}, "params.x: choices contains a value twice"),
        ({"search": {"sampler": "grid"}}, "params.lr: the grid sampler needs choices or a step"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(changes: dict[str, Any], said: str) -> None:
    """Where, what, and what to do."""
    with pytest.raises(StudyFileError) as caught:
        study_file.parse(given(**changes))
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
