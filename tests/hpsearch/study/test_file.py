"""What a study file says: its rules, its defaults, and what it tells of a mistake."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.errors import StudyFileError
from hpsearch.search.history import History
from hpsearch.search.seeds import training_seed
from hpsearch.search.suggest import suggest
from hpsearch.study import config
from hpsearch.study import file as study_file
from hpsearch.study.config import Choices, Range, Study
from tests.conftest import study

SMALLEST: Mapping[str, Any] = {
    "name": "smallest",
    "data": {"dataset": "digits", "train": 60},
    "network": {"hidden": [8]},
    "training": {"lr": 0.1, "epochs": 2},
}
SECTIONS = {
    "data": config.DataConfig,
    "network": config.NetworkConfig,
    "training": config.TrainingConfig,
    "search": config.SearchConfig,
    "tracking": config.TrackingConfig,
}


def changed(**changes: Any) -> dict[str, Any]:
    """The smallest study's table with changes keyed by path, dots as ``__``."""
    table = {key: dict(v) if isinstance(v, dict) else v for key, v in SMALLEST.items()}
    for path, value in changes.items():
        section, _, key = path.partition("__")
        if key:
            table[section] = {**table.get(section, {}), key: value}
        else:
            table[section] = value
    return table


def complaint(**changes: Any) -> str:
    """What is said of the smallest study with these changes; it is always one line."""
    with pytest.raises(StudyFileError) as caught:
        study_file.parse(changed(**changes))
    message = str(caught.value)
    assert [message] == message.splitlines()
    return message


# -- what a file may say


def test_defaults() -> None:
    """Only six keys are required; everything else has the default that is written down."""
    parsed = study_file.parse(SMALLEST)
    assert config.DataConfig(dataset="digits", train=60, validation=0.2, seed=0) == parsed.data
    assert dict(parsed.fixed["network"]) == {
        "hidden": [8],
        "activation": "relu",
        "init": "he",
        "dropout": 0.0,
        "dropout_form": "inverted",
        "batch_norm": False,
        "dtype": "float32",
    }
    assert dict(parsed.fixed["training"]) == {
        "optimizer": "sgd",
        "lr": 0.1,
        "weight_decay": 0.0,
        "momentum": 0.9,
        "batch_size": 100,
        "epochs": 2,
        "schedule": "constant",
        "warmup": 0,
        "shift": 0,
        "record": "epoch",
        "measure": "every",
    }
    assert config.plain(parsed.search) == {
        "sampler": "random",
        "trials": 100,
        "metric": "val_accuracy",
        "direction": "maximize",
        "seed": 0,
        "lag": 8,
        "pruner": "none",
        "min_epochs": 1,
        "reduction_factor": 3,
    }
    assert parsed.space == {}


@pytest.mark.parametrize("path", ["name", "data.dataset", "data.train", "network.hidden"])
def test_required(path: str) -> None:
    """A missing key is named, with the section it belongs into."""
    section, _, key = path.partition(".")
    table = changed()
    del (table[section] if key else table)[key or section]
    with pytest.raises(StudyFileError, match=f"^{path}: is missing; add"):
        study_file.parse(table)


@pytest.mark.parametrize("section", ["data", "network", "training"])
def test_required_section(section: str) -> None:
    """Without a required section, its first required key is what is missing."""
    table = changed()
    del table[section]
    with pytest.raises(StudyFileError, match=rf"^{section}\.\w+: is missing; add it to"):
        study_file.parse(table)


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("val_accuracy", "maximize"),
        ("train_accuracy", "maximize"),
        ("val_loss", "minimize"),
        ("train_loss", "minimize"),
    ],
)
def test_direction_follows_the_metric(metric: str, direction: str) -> None:
    """Losses are minimized and accuracies maximized where the file does not say."""
    assert direction == study_file.parse(changed(search__metric=metric)).search.direction


def test_metric_that_is_not_reported() -> None:
    """The search looks for what its trainings report, and the nearest name is proposed."""
    said = 'search.metric: "val_acuracy" is not a metric of this study; did you mean val_accuracy?'
    with pytest.raises(StudyFileError, match=f"^{re.escape(said)}$"):
        study_file.parse(changed(search__metric="val_acuracy"))


@pytest.mark.parametrize("file", sorted(Path("studies").glob("*.toml")), ids=lambda f: f.stem)
def test_studies_that_come_along(file: Path) -> None:
    """Every study in ``studies/`` is valid, and bears the name of its file."""
    assert file.stem == study_file.load(file).name


def test_the_book() -> None:
    """``book`` is the search of section 6.5.2, with dropout beside its two."""
    book = study_file.load(Path("studies/book.toml"))
    assert {
        "network.dropout": Range(0.0, 0.5),
        "training.lr": Range(1e-6, 1e-2, log=True),
        "training.weight_decay": Range(1e-8, 1e-4, log=True),
    } == book.space
    assert (book.data.dataset, book.data.train, book.data.validation) == ("mnist5k", 500, 0.2)
    assert tuple(book.fixed["network"][key] for key in ("hidden", "activation", "init")) == (
        [100] * 6,
        "relu",
        "he",
    )
    assert tuple(book.fixed["training"][key] for key in ("optimizer", "batch_size", "epochs")) == (
        "sgd",
        100,
        50,
    )
    assert (book.search.sampler, book.search.trials) == ("random", 100)


OPEN_PLACES = [
    ("network__hidden", {"choices": [[8], [8, 8], []]}, Choices(([8], [8, 8], []))),
    ("network__activation", {"choices": ["relu", "tanh"]}, Choices(("relu", "tanh"))),
    ("network__init", {"choices": ["he", 0.01]}, Choices(("he", 0.01))),
    ("network__init", {"low": 0.01, "high": 1}, Range(0.01, 1.0)),
    ("network__dropout", {"low": 0, "high": 0.5}, Range(0.0, 0.5)),
    ("network__dropout_form", {"choices": ["inverted", "book"]}, Choices(("inverted", "book"))),
    ("network__batch_norm", {"choices": [True, False]}, Choices((True, False))),
    ("network__dtype", {"choices": ["float32", "float64"]}, Choices(("float32", "float64"))),
    ("training__optimizer", {"choices": ["sgd", "adam"]}, Choices(("sgd", "adam"))),
    ("training__lr", {"low": 1, "high": 2, "log": True}, Range(1.0, 2.0, log=True)),
    ("training__weight_decay", {"low": 0, "high": 1, "step": 0.5}, Range(0.0, 1.0, step=0.5)),
    ("training__momentum", {"choices": [0, 0.5]}, Choices((0.0, 0.5))),
    ("training__batch_size", {"low": 10, "high": 30, "step": 10}, Range(10, 30, step=10)),
    ("training__batch_size", {"low": 1, "high": 8, "step": 2.0}, Range(1, 8, step=2)),
    ("training__epochs", {"low": 1, "high": 8, "log": True}, Range(1, 8, log=True)),
    ("training__schedule", {"choices": ["step", "cosine"]}, Choices(("step", "cosine"))),
    ("training__warmup", {"low": 0, "high": 3}, Range(0, 3)),
    ("training__clip_norm", {"low": 1, "high": 5}, Range(1.0, 5.0)),
    ("training__patience", {"choices": [3, 5]}, Choices((3, 5))),
    ("training__seed", {"low": 0, "high": 9}, Range(0, 9)),
]


@pytest.mark.parametrize(("path", "table", "expected"), OPEN_PLACES)
def test_open_places(path: str, table: dict[str, Any], expected: Range | Choices) -> None:
    """Any scalar may be a range or choices, and takes on the type of its place."""
    found = study_file.parse(changed(**{path: table})).space[path.replace("__", ".")]
    assert expected == found
    assert [type(end) for end in expected.ends()] == [type(end) for end in found.ends()]


@pytest.mark.parametrize("name", ["a", "a" * 128, "Versuch 3, größer", "x.y-z_0"])
def test_names(name: str) -> None:
    """A name is any line of up to 128 printable characters without a slash."""
    assert name == study_file.parse(changed(name=name)).name


# -- what it may not say, and what is said then

MISTAKES = [
    ({"name": 3}, "name: must be text, and not empty"),
    ({"name": " "}, "name: must be text, and not empty"),
    ({"name": "a" * 129}, "name: has 129 characters; the maximum is 128"),
    ({"name": "a/b"}, "name: 'a/b' has a slash, a control character or a space at an end"),
    ({"name": "a\\b"}, "name: 'a\\\\b' has a slash, a control character or a space at an end"),
    ({"name": "a\nb"}, "name: 'a\\nb' has a slash, a control character or a space at an end"),
    ({"name": " a"}, "name: ' a' has a slash, a control character or a space at an end"),
    ({"data": 3}, "data: must be a table, such as [data]"),
    ({"data__validation": 0}, "data.validation: "),
    ({"data__validation": 1}, "data.validation: "),
    ({"data__validation": 0.0}, "data.validation: "),
    ({"data__validation": 1.0}, "data.validation: "),
    ({"data__train": 0}, "data.train: input should be greater than or equal to 1 (it is 0)"),
    ({"data__train": 60.0}, "data.train: input should be a valid integer (it is 60.0)"),
    ({"data__seed": -1}, "data.seed: "),
    ({"data__scaling": "log"}, "data.scaling: "),
    ({"data__dataset": ""}, "data.dataset: "),
    ({"network__hidden": 8}, "network.hidden: input should be a valid list (it is 8)"),
    ({"network__hidden": [8, 0]}, "network.hidden: "),
    ({"network__hidden": {"low": 1, "high": 9}}, "network.hidden: input should be a valid list"),
    ({"network__dropout": 1}, "network.dropout: input should be less than 1 (it is 1)"),
    ({"network__dropout": {"low": 0.0, "high": 1.0}}, "network.dropout: input should be less"),
    ({"network__dropout_form": "spatial"}, "network.dropout_form: input should be 'inverted' or "),
    ({"network__init": "hee"}, "network.init: input should be 'he' or 'xavier' or "),
    ({"network__batch_norm": 1}, "network.batch_norm: input should be a valid boolean (it is 1)"),
    ({"training__lr": "0.1"}, 'training.lr: input should be a valid number (it is "0.1")'),
    ({"training__lr": 0}, "training.lr: input should be greater than 0 (it is 0)"),
    ({"training__lr": math.nan}, "training.lr: input should be a finite number (it is NaN)"),
    ({"training__lr": True}, "training.lr: "),
    ({"training__lr": [0.1]}, "training.lr: "),
    ({"training__lr": {"low": 0.0, "high": 1}}, "training.lr: input should be greater than 0"),
    ({"training__lr": {"low": 2, "high": 1}}, "training.lr: low 2 is above high 1; swap them"),
    ({"training__lr": {"low": 1}}, "training.lr: a range needs low and high (high is missing)"),
    ({"training__lr": {}}, "training.lr: a range needs low and high (low is missing)"),
    ({"training__lr": {"low": 1, "high": "2"}}, "training.lr.high: must be a finite number"),
    ({"training__lr": {"low": 1, "high": math.inf}}, "training.lr.high: must be a finite number"),
    ({"training__lr": {"low": 1, "high": 10**400}}, "training.lr.high: must be a finite number"),
    ({"training__lr": {"low": True, "high": 2}}, "training.lr.low: must be a finite number"),
    ({"training__lr": {"low": 1, "high": 2, "log": 1}}, "training.lr.log: must be true or false"),
    ({"training__lr": {"low": 1, "high": 2, "step": 0}}, "training.lr: step must be above 0"),
    (
        {"training__lr": {"low": 1, "high": 2, "step": 1, "log": True}},
        "training.lr: step must be above 0, and cannot be combined with log",
    ),
    (
        {"training__weight_decay": {"low": 0, "high": 1, "log": True}},
        "training.weight_decay: log needs low > 0, and low is 0",
    ),
    (
        {"training__lr": {"low": 0.1, "high": 1.0, "step": 1e-29}},
        "training.lr.step: 1e-29 makes 9.00e+28 steps from 0.1 to 1.0; "
        "use a wider step, or remove it",
    ),
    (
        {"training__lr": {"low": 0.1, "high": 1.0, "step": 5e-324}, "search__sampler": "grid"},
        "training.lr.step: 5e-324 makes 1.82e+323 steps from 0.1 to 1.0; "
        "use a wider step, or remove it",
    ),
    (
        {"training__epochs": {"low": 1, "high": 9, "step": 0.5}},
        "training.epochs: takes integers, so step must be an integer",
    ),
    ({"training__epochs": {"low": 1.5, "high": 9}}, "training.epochs: "),
    ({"training__epochs": -1}, "training.epochs: input should be greater than or equal to 0"),
    ({"training__lr": {"choices": []}}, "training.lr: choices is empty; add at least one"),
    (
        {"training__lr": {"choices": 3}},
        "training.lr: choices cannot be combined with other keys; write choices = [a, b]",
    ),
    ({"training__lr": {"choices": [1], "log": True}}, "training.lr: choices cannot be c"),
    ({"training__lr": {"choices": [1, 1.0]}}, "training.lr: choices contains a value twice"),
    ({"training__lr": {"choices": [0.1, -1]}}, "training.lr: input should be greater than 0"),
    ({"network__activation": {"low": 0, "high": 1}}, "network.activation: input should be 'relu'"),
    ({"training__seed": 2**63}, "training.seed: "),
    ({"search__trials": 0}, "search.trials: input should be greater than or equal to 1 (it is 0)"),
    ({"search__trials": 2**31}, "search.trials: input should be less than or equal to"),
    (
        {"search__sampler": "tpee"},
        "search.sampler: input should be 'random', 'grid', 'qmc', 'tpe', 'cmaes', 'nsgaii', "
        "'gp' or 'given'",
    ),
    ({"search__lag": 0}, "search.lag: "),
    ({"search__reduction_factor": 1}, "search.reduction_factor: "),
    ({"search__enqueue": {}}, "search.enqueue: input should be a valid list (it is {})"),
    ({"tracking__tags": {"team": 3}}, "tracking.tags: input should be a valid string (it is 3)"),
    ({"tracking__experiment": ""}, "tracking.experiment: "),
]


@pytest.mark.parametrize(("changes", "expected"), MISTAKES)
def test_mistakes(changes: dict[str, Any], expected: str) -> None:
    """A mistake is one line that begins with the key and says what is wrong with it."""
    said = complaint(**changes)
    assert expected == said[: len(expected)]


MAY_NORMALIZE = [True, {"choices": [True, False]}, {"choices": [False, True]}]


@pytest.mark.parametrize("batch_norm", MAY_NORMALIZE)
@pytest.mark.parametrize(
    "batch_size",
    [1, {"low": 1, "high": 9}, {"low": 1, "high": 1}, {"choices": [9, 1]}, {"choices": [1]}],
)
def test_batch_norm_refuses_batches_of_one(batch_norm: Any, batch_size: Any) -> None:
    """Wherever a trial could have both, the study is refused, whatever comes first."""
    said = complaint(network__batch_norm=batch_norm, training__batch_size=batch_size)
    expected = (
        "training.batch_size: can be 1, but network.batch_norm needs batches of at least 2 examples"
    )
    assert expected == said


@pytest.mark.parametrize("batch_norm", MAY_NORMALIZE)
@pytest.mark.parametrize(("train", "validation"), [(1, 2), (2, 0.5), (9, 0.9)])
def test_batch_norm_refuses_one_example(batch_norm: Any, train: int, validation: Any) -> None:
    """Nor is there anything to normalize where one example alone is trained on."""
    changes = {"data__train": train, "data__validation": validation}
    said = complaint(network__batch_norm=batch_norm, **changes)
    assert said.startswith(
        "data.train: leaves 1 training examples, and network.batch_norm needs bat"
    )
    study_file.parse(changed(**changes))


def test_batch_norm_and_batches_of_one_apart() -> None:
    """Each is fine without the other."""
    study_file.parse(changed(network__batch_norm=False, training__batch_size=1))
    study_file.parse(changed(network__batch_norm={"choices": [False]}, training__batch_size=1))
    study_file.parse(changed(network__batch_norm=True, training__batch_size={"low": 2, "high": 3}))
    study_file.parse(changed(network__batch_norm=True, data__train=2, data__validation=2))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"trainin": {}}, "trainin: unknown key; did you mean training?"),
        (
            {"zzz": 1},
            "zzz: unknown key; use one of name, data, network, training, objective, params",
        ),
        ({"data__trian": 1}, "data.trian: unknown key; did you mean train?"),
        ({"network__hiden": [8]}, "network.hiden: unknown key; did you mean hidden?"),
        ({"training__wieght_decay": 0.1}, "training.wieght_decay: unknown key; did you mean wei"),
        ({"training__zzz": {"low": 1, "high": 2}}, "training.zzz: unknown key; use one of opt"),
        ({"training__lr": {"low": 1, "hihg": 2}}, "training.lr.hihg: unknown key; did you mean hi"),
        ({"training__a.b": {"low": 1, "high": 2}}, "training.a.b: unknown key; use one of optimi"),
        ({"search__sampller": "tpe"}, "search.sampller: unknown key; did you mean sampler?"),
        ({"tracking__tag": {}}, "tracking.tag: unknown key; did you mean tags?"),
    ],
)
def test_unknown_keys_name_the_nearest(changes: dict[str, Any], expected: str) -> None:
    """An unknown key is an error that names the nearest known one, or else all of them."""
    assert expected == complaint(**changes)[: len(expected)]


def test_a_misspelt_required_key() -> None:
    """Of a misspelt key and the one that is missing for it, the misspelt one is told."""
    table = changed(training__epoch=5)
    del table["training"]["epochs"]
    with pytest.raises(StudyFileError) as caught:
        study_file.parse(table)
    assert str(caught.value) == "training.epoch: unknown key; did you mean epochs?"


@given(st.sampled_from(sorted(SECTIONS)), st.data())
def test_any_misspelling_is_refused(section: str, data: st.DataObject) -> None:
    """No key with a letter too many passes silently, and the right one is named."""
    key = data.draw(st.sampled_from(sorted(SECTIONS[section].model_fields)))
    place = data.draw(st.integers(1, len(key)))
    wrong = f"{key[:place]}{key[place - 1]}{key[place:]}"
    said = complaint(**{f"{section}__{wrong}": 1})
    assert f"{section}.{wrong}: unknown key; did you mean {key}?" == said


# -- points to try first


def test_enqueue() -> None:
    """Points name open places, nested or dotted, and take on the type of the place."""
    points = [{"training": {"lr": 1}}, {"training.lr": 0.5, "network.hidden": [8, 8]}]
    parsed = study_file.parse(
        changed(
            network__hidden={"choices": [[8], [8, 8]]},
            training__lr={"low": 0.1, "high": 1},
            search__enqueue=points,
        )
    )
    first, second = parsed.search.enqueue
    assert ({"training.lr": 1.0}, float) == (first, type(first["training.lr"]))
    assert second == {"training.lr": 0.5, "network.hidden": [8, 8]}


@pytest.mark.parametrize(
    ("open_", "value", "fits"),
    [
        ({"low": 10, "high": 20}, 15, True),
        ({"low": 10, "high": 20}, 15.0, False),
        ({"low": 10, "high": 20}, 21, False),
        ({"low": 10, "high": 20}, True, False),
        ({"low": 10, "high": 20}, "15", False),
        ({"low": 10, "high": 20, "step": 5}, 15, True),
        ({"low": 10, "high": 20, "step": 5}, 16, False),
        ({"low": 1, "high": 2, "step": 1}, True, False),
        ({"choices": [1, 2]}, 2, True),
        ({"choices": [1, 2]}, True, False),
        ({"choices": [1, 2]}, 3, False),
        ({"choices": [1, 2]}, math.nan, False),
        ({"low": 10, "high": 20, "step": 5}, math.nan, False),
        ({"low": 10, "high": 20, "step": 5}, math.inf, False),
    ],
)
def test_enqueued_points_lie_within(open_: dict[str, Any], value: Any, fits: bool) -> None:
    """A point that the sampler could not have drawn is refused, and what could be drawn is said."""
    changes = {"training__batch_size": open_, "search__enqueue": [{"training.batch_size": value}]}
    if fits:
        parsed = study_file.parse(changed(**changes))
        assert value == suggest(parsed, History(parsed), 0)["training.batch_size"]
    else:
        said = complaint(**changes)
        assert said[:41] == "search.enqueue[0]: training.batch_size = "
        assert "is not in { low" in said or "is not in { choices" in said


def test_enqueue_of_what_is_not_searched() -> None:
    """A point at a place that has a value is refused, with the nearest open place."""
    said = complaint(
        training__lr={"low": 0.1, "high": 1}, search__enqueue=[{"training.l": 1, "training.lr": 1}]
    )
    assert said == "search.enqueue[0]: training.l is not searched; did you mean training.lr?"
    said = complaint(search__enqueue=[{"training.lr": 1}])
    assert said == "search.enqueue[0]: training.lr is not searched; this study searches nothing"


# -- the grid


def test_grid_size_caps_the_trials() -> None:
    """A grid study has as many trials as the grid has points, or fewer where that is asked."""
    axes: dict[str, Any] = {
        "network__dropout": {"low": 0, "high": 0.3, "step": 0.1},
        "training__batch_size": {"low": 10, "high": 20, "step": 5},
        "training__epochs": {"low": 1, "high": 2},
        "network__hidden": {"choices": [[8], [4, 4]]},
        "search__sampler": "grid",
    }
    assert study_file.parse(changed(**axes)).search.trials == 4 * 3 * 2 * 2
    assert study_file.parse(changed(**axes, search__trials=5)).search.trials == 5


@pytest.mark.parametrize(
    ("open_", "expected"),
    [
        (Range(0.0, 0.3, step=0.1), [0.0, 0.1, 0.2, 0.3]),
        (Range(0.0, 0.35, step=0.1), [0.0, 0.1, 0.2, 0.30000000000000004]),
        (Range(1, 3), [1, 2, 3]),
        (Range(1, 8, step=3), [1, 4, 7]),
        (Range(2, 2), [2]),
        (Choices(("a", [1])), ["a", [1]]),
    ],
)
def test_grid_values(open_: Range | Choices, expected: list[Any]) -> None:
    """A grid goes from low by step, never beyond high; choices are its points as they are."""
    assert expected == config.grid("training.lr", open_)


@given(
    low=st.floats(-1e3, 1e3),
    width=st.floats(0, 10),
    step=st.floats(0.01, 5),
)
def test_grid_values_lie_in_their_range(low: float, width: float, step: float) -> None:
    """Rounding carries no grid value out of its range."""
    values = config.grid("x.y", Range(low, low + width, step=step))
    assert values == [value for value in values if low <= value <= low + width]


@pytest.mark.parametrize("open_", [{"low": 0.1, "high": 1}, {"low": 1, "high": 8, "log": True}])
def test_a_grid_needs_steps(open_: dict[str, Any]) -> None:
    """A range of real numbers without a step has no grid."""
    said = complaint(training__lr=open_, search__sampler="grid")
    assert said[:59] == "training.lr: the grid sampler needs choices or a step; give"


def test_a_grid_too_large() -> None:
    """A grid that no study visits is refused, without being listed first."""
    said = complaint(training__seed={"low": 0, "high": 2**62}, search__sampler="grid")
    assert said[:55] == "search.sampler: the grid has 4611686018427387905 points"


def test_a_grid_takes_no_points() -> None:
    """A grid visits every point, so none is to be tried first."""
    said = complaint(
        training__lr={"choices": [1, 2]},
        search__sampler="grid",
        search__enqueue=[{"training.lr": 1}],
    )
    assert said == "search.enqueue: a grid includes every point; remove it"


# -- files


def written(folder: Path, text: str) -> Path:
    """A study file of this text."""
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


TEXT = """
name = "file"  # a comment
data = { dataset = "digits", train = 60 }
network.hidden = [8]
[training]
lr = { low = 0.1, high = 1 }
epochs = 2
"""


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_load(tmp_path: Path, mark: str) -> None:
    """A file is read as TOML, also with the mark that Windows editors put first."""
    loaded = study_file.load(written(tmp_path, mark + TEXT))
    assert ("file", {"training.lr": Range(0.1, 1.0)}) == (loaded.name, loaded.space)


def test_name_in_place_of_the_files(tmp_path: Path) -> None:
    """``--name`` goes before the file's, and is held to the same rules."""
    assert study_file.load(written(tmp_path, TEXT), name="other").name == "other"
    with pytest.raises(StudyFileError, match="has a slash"):
        study_file.load(written(tmp_path, TEXT), name="a/b")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "no such study file"),
        (b"name = ", "is not valid TOML: Invalid value"),
        (b"a = 1\na = 2", "is not valid TOML: Cannot overwrite a value"),
        (b"a = " + b"[" * 10_000, "is nested more than 16 levels deep"),
        (b"\xff\xfe", "cannot be read as text"),
        (b"", "name: is missing"),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: bytes | None, expected: str) -> None:
    """What is wrong with a file is told in one line that begins with its path."""
    path = tmp_path / "study.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StudyFileError) as caught:
        study_file.load(path)
    assert [f"{path}: {expected}"] == [
        line[: len(f"{path}: {expected}")] for line in str(caught.value).splitlines()
    ]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """A folder in a file's place is told as such."""
    with pytest.raises(StudyFileError, match="is not a regular file"):
        study_file.load(tmp_path)


@pytest.mark.parametrize(
    ("override", "path", "expected"),
    [
        ("training.epochs=5", "training.epochs", 5),
        ("training.epochs = 5", "training.epochs", 5),
        ("training.lr=0.5", "training.lr", 0.5),
        ("training.lr.high=2", "training.lr.high", 2.0),
        ("training.lr={low=0.2, high=0.4}", "training.lr.low", 0.2),
        ("network.activation=tanh", "network.activation", "tanh"),
        ('network.activation="tanh"', "network.activation", "tanh"),
        ("network.hidden=[4, 4]", "network.hidden", [4, 4]),
        ("network.batch_norm=true", "network.batch_norm", True),
        ("data.dataset=npz:/a/b.npz", "data.dataset", "npz:/a/b.npz"),
        ("search.trials=7", "search.trials", 7),
        ("tracking.tags.team=a=b", "tracking.tags.team", "a=b"),
        ("name=other", "name", "other"),
    ],
)
def test_overrides(tmp_path: Path, override: str, path: str, expected: Any) -> None:
    """``--set path=value`` puts a value in TOML, or a bare word, in the place of the file's."""
    found: Any = study_file.load(written(tmp_path, TEXT), [override]).definition()
    for key in path.split("."):
        found = found[key]
    assert expected == found


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.epochs", "--set training.epochs: must be path=value, such as"),
        ("=5", "--set =5: must be path=value, such as"),
        ("training.epochs=x", 'training.epochs: input should be a valid integer (it is "x")'),
        ("training.epoch=5", "training.epoch: unknown key; did you mean epochs?"),
        (
            "training.epochs.low=5",
            "--set training.epochs.low=5: epochs is not a table in the study",
        ),
        ("name.x=5", "--set name.x=5: name is not a table in the study file"),
        ("training=5", "training: must be a table, such as [training]"),
        ("training.=5", "training.: unknown key"),
        ("search.trials=0", "search.trials: input should be greater than or equal to 1"),
    ],
)
def test_overrides_that_do_not_fit(tmp_path: Path, override: str, expected: str) -> None:
    """A wrong override is told like a wrong file."""
    with pytest.raises(StudyFileError) as caught:
        study_file.load(written(tmp_path, TEXT), [override])
    assert expected in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


# -- round trips, for any study


def ranges(low: float, high: float) -> st.SearchStrategy[dict[str, Any]]:
    """Ranges of real numbers between two that are above zero."""
    ends = st.tuples(st.floats(low, high), st.floats(low, high)).map(sorted)
    kind = st.sampled_from([{}, {"log": True}, {"step": (high - low) / 4}])
    return st.builds(lambda e, more: {"low": e[0], "high": e[1], **more}, ends, kind)


def real(low: float, high: float) -> st.SearchStrategy[Any]:
    """A real number, a range of them or choices among some."""
    number = st.floats(low, high)
    choices = st.lists(number, min_size=1, max_size=3, unique=True)
    return number | ranges(low, high) | choices.map(lambda values: {"choices": values})


def whole(low: int, high: int) -> st.SearchStrategy[Any]:
    """A whole number, a range of them or choices among some."""
    number = st.integers(low, high)
    ends = st.tuples(number, number).map(sorted).map(lambda e: {"low": e[0], "high": e[1]})
    choices = st.lists(number, min_size=1, max_size=3, unique=True)
    return number | ends | choices.map(lambda values: {"choices": values})


def word(*words: str) -> st.SearchStrategy[Any]:
    """One of some words, or a choice among them."""
    return st.sampled_from(words) | st.permutations(words).map(lambda all_: {"choices": all_})


layers = st.lists(st.integers(1, 9), max_size=3)
names = st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters="/\\"))
tables = st.fixed_dictionaries(
    {
        "name": names.map(lambda name: f"n{name}"[:128]),
        "data": st.fixed_dictionaries(
            {"dataset": st.just("digits") | names.map("npz:{}".format), "train": st.just(60)},
            optional={
                "validation": st.integers(2, 99) | st.floats(0.1, 0.9),
                "test": st.integers(1, 99),
                "seed": st.integers(0, 2**63 - 1),
                "scaling": st.sampled_from(["minmax", "minmax-per-feature", "standard", "none"]),
            },
        ),
        "network": st.fixed_dictionaries(
            {
                "hidden": layers
                | st.lists(layers, min_size=1, max_size=3, unique_by=tuple).map(
                    lambda values: {"choices": values}
                )
            },
            optional={
                "activation": word("relu", "sigmoid", "tanh"),
                "init": word("he", "xavier") | real(0.01, 1),
                "dropout": real(0.1, 0.9),
                "dropout_form": word("inverted", "book"),
                "batch_norm": st.booleans() | st.just({"choices": [False, True]}),
                "dtype": word("float32", "float64"),
            },
        ),
        "training": st.fixed_dictionaries(
            {"lr": real(1e-6, 10), "epochs": whole(1, 9)},
            optional={
                "optimizer": word("sgd", "momentum", "adam", "adamw"),
                "weight_decay": real(1e-8, 1e-2),
                "momentum": real(0.1, 0.9),
                "batch_size": whole(2, 99),
                "schedule": word("constant", "step", "cosine"),
                "warmup": whole(0, 3),
                "clip_norm": real(0.1, 9),
                "patience": whole(1, 9),
                "record": word("epoch", "step"),
                "seed": whole(0, 2**53),
            },
        ),
    },
    optional={
        "search": st.fixed_dictionaries(
            {},
            optional={
                "sampler": st.sampled_from(["random", "tpe"]),
                "trials": st.integers(1, 1000),
                "metric": st.sampled_from(["val_accuracy", "val_loss", "train_loss"]),
                "direction": st.sampled_from(["maximize", "minimize"]),
                "seed": st.integers(0, 2**63 - 1),
                "lag": st.integers(1, 99),
                "pruner": st.sampled_from(["none", "median", "hyperband"]),
                "min_epochs": st.integers(1, 9),
                "reduction_factor": st.integers(2, 9),
            },
        ),
        "tracking": st.fixed_dictionaries(
            {},
            optional={
                "experiment": names.map(lambda name: f"e{name}"[:256]),
                "tags": st.dictionaries(names, st.text(max_size=20), max_size=3),
            },
        ),
    },
)
studies = tables.map(study_file.parse)


@given(studies)
def test_definition_is_parsed_as_the_same(given_: Study) -> None:
    """``definition`` says all of a study."""
    assert given_ == study_file.parse(given_.definition())


@given(studies)
def test_a_definition_says_no_more_the_second_time(given_: Study) -> None:
    """A definition is canonical: whatever spelled a study, there is one for it."""
    written_ = config.dumps(given_.definition())
    assert written_ == config.dumps(study_file.parse(given_.definition()).definition())


@given(studies)
def test_toml_is_read_as_the_same(given_: Study) -> None:
    """What ``config`` prints is a file that says the same study."""
    assert given_.definition() == tomllib.loads(study_file.toml(given_))
    assert given_ == study_file.parse(tomllib.loads(study_file.toml(given_)))


@given(tables)
def test_points_survive(table: dict[str, Any]) -> None:
    """A study's points are read back from its definition, from TOML and from JSON as they were."""
    open_ = study_file.parse(table).space
    point = {path: place.ends()[0] for path, place in open_.items()}
    enqueue = [point] if point else []
    table = {**table, "search": {**table.get("search", {}), "enqueue": enqueue}}
    whole_ = study_file.parse(table)
    assert enqueue == whole_.search.enqueue
    assert whole_ == study_file.parse(tomllib.loads(study_file.toml(whole_)))


@given(studies, st.integers(0, 10**6), st.integers(0, 2**53 - 1))
def test_a_trials_file_is_a_fixed_point(given_: Study, number: int, seed: int) -> None:
    """A trial's file is a valid study of one trial, which has the trial's very configuration."""
    params = {path: open_.ends()[-1] for path, open_ in given_.space.items()}
    resolved = given_.resolve(params, seed)
    alone = given_.of_trial(number, resolved)
    again = study_file.parse(tomllib.loads(study_file.toml(alone)))
    assert (alone, {}, 1) == (again, dict(again.space), again.search.trials)
    assert resolved == again.resolve({}, training_seed(again, 0))
    assert resolved == again.resolve({}, seed + 1)
    assert config.plain(resolved.network) == dict(again.fixed["network"])


@given(studies, st.integers(0, 99))
def test_what_is_suggested_resolves(given_: Study, number: int) -> None:
    """Whatever a sampler draws from the space is in its range, and makes a valid trial."""
    params = suggest(given_, History(given_), number)
    assert list(given_.space) == list(params)
    for path, value in params.items():
        assert value in given_.space[path]
    resolved = given_.resolve(params, training_seed(given_, number))
    assert given_.data == resolved.data


def test_the_files_seed_goes_before_the_trials() -> None:
    """A seed that the file names is every trial's; one that is searched is among the params."""
    named = study(training__seed=7)
    assert [training_seed(named, number) for number in (0, 1)] == [7, 7]
    assert named.resolve({"training.lr": 0.1, "network.dropout": 0.0}, 8).training.seed == 7
    open_ = study(training__seed={"low": 1, "high": 3})
    params = {"training.lr": 0.1, "network.dropout": 0.0, "training.seed": 2}
    assert open_.resolve(params, 8).training.seed == 2


# -- what two studies say differently


@given(studies, st.integers(1, 10**6))
def test_the_budget_is_no_difference(given_: Study, trials: int) -> None:
    """Raising ``trials`` goes on with the same study."""
    assert study_file.differences(given_, given_.with_trials(trials)) == []


def test_scaling_left_to_the_data_is_no_difference() -> None:
    """What it became shows in the data's digests; two that are written down are compared."""
    open_ = study_file.parse(SMALLEST)
    one, other = open_.with_scaling("minmax"), open_.with_scaling("standard")
    assert study_file.differences(open_, one) == study_file.differences(one, open_) == []
    assert study_file.differences(one, other) == ['data.scaling: stored "minmax", now "standard"']


def test_differences() -> None:
    """Each difference is a line that says what is stored and what is given."""
    table = changed(training__lr={"low": 0.1, "high": 1}, tracking__tags={"team": "a"})
    stored = study_file.parse(table)
    table["training"] = {"lr": 0.1, "epochs": 3, "patience": 2}
    table["tracking"] = {}
    assert study_file.differences(stored, study_file.parse(table)) == [
        'tracking.tags.team: stored "a", now nothing',
        "training.epochs: stored 2, now 3",
        "training.lr: stored nothing, now 0.1",
        "training.lr.high: stored 1.0, now nothing",
        "training.lr.low: stored 0.1, now nothing",
        "training.patience: stored nothing, now 2",
    ]


def test_a_longer_list_is_shown_shortened() -> None:
    """A difference stays readable however long the values are."""
    one, two = (study_file.parse(changed(network__hidden=[100 + n] * 40)) for n in (0, 1))
    (line,) = study_file.differences(one, two)
    assert len(line) < 160
    assert line.startswith("network.hidden: stored [100, 100,")


def test_canonical_json_has_one_spelling() -> None:
    """The order in which keys were written does not matter."""
    assert config.dumps({"b": "ü", "a": [1, 2.0]}) == '{"a":[1,2.0],"b":"ü"}'
