"""Which configurations of a study are trained again, and what the study of them is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest

from hpsearch.errors import UsageError
from hpsearch.ledger.records import StudyRecord, Trial
from hpsearch.search.seeds import Purpose, seed
from hpsearch.study import file as study_file
from hpsearch.study.config import Params, Study
from hpsearch.study.given import Configuration, GivenConfig
from hpsearch.trust.contenders import baseline, best, given, to_confirm
from tests.conftest import study


@dataclass
class Tried:
    """A trial, of which the number and the values count."""

    number: int
    params: Params


def trials(*params: Params) -> list[Trial]:
    """Trials with these values, the best first; their numbers count down from 9."""
    return [cast("Trial", Tried(9 - place, each)) for place, each in enumerate(params)]


def confirming(tried: Study, *params: Params, **options: Any) -> Study:
    """The study that confirms these trials."""
    record = cast("StudyRecord", type("Record", (), {"study": tried}))
    asked = {"top": 3, "seeds": 2, "resplit": False, **options}
    return to_confirm(record, trials(*params), **asked)


def at(lr: float) -> Params:
    """The values of a trial."""
    return {"training.lr": lr, "network.dropout": 0.125}


def test_the_best_and_the_baseline() -> None:
    """The configurations are the best ones in order, and behind them the middle of every range."""
    definition = confirming(study(), at(0.1), at(0.2), at(0.3), at(0.4), resplit=True)
    found = definition.given
    assert found is not None
    assert [one.trial for one in found.configurations] == [9, 8, 7, None]
    assert found.configurations[1].values == at(0.2)
    middle = found.configurations[3].values
    assert middle == {"network.dropout": 0.25, "training.lr": pytest.approx(0.0316, abs=1e-4)}
    assert found.seeds == [seed(study(), n, Purpose.CONFIRMATION) for n in range(2)]
    assert (len(set(found.seeds)), found.draws, found.part) == (2, [1, 2], "validation")
    assert (definition.name, found.study) == ("small/confirm", "small")
    for resplit, draws in ((None, [1, 2]), (False, None)):
        again = confirming(study(), at(0.1), resplit=resplit).given
        assert again is not None
        assert again.draws == draws


def test_the_baseline_is_one_of_them_once() -> None:
    """Where a trial among the best had its values, nothing is trained twice."""
    found = confirming(study(), at(0.1), baseline(study())).given
    assert found is not None
    assert [one.trial for one in found.configurations] == [9, 8]


def test_trials_of_the_same_values() -> None:
    """They are one configuration, which is the better trial's; a seed is none of its values."""
    found = best(trials(at(0.1), {**at(0.1), "training.seed": 3}, at(0.2), at(0.3)), 2)
    assert [(one.trial, one.values) for one in found] == [(9, at(0.1)), (7, at(0.2))]
    tried = study(training__lr=0.5, network__dropout=0.0, training__seed={"choices": [1, 2]})
    definition = confirming(tried, {"training.seed": 1}, {"training.seed": 2})
    assert definition.given is not None
    assert [one.values for one in definition.given.configurations] == [{}]
    assert definition.space == {}


def test_the_baseline_of_the_file() -> None:
    """``[confirm] baseline`` names values; of the others it is the middle, as their kind asks."""
    tried = study(
        confirm__baseline={"training.lr": 0.5},
        training__batch_size={"low": 10, "high": 33, "step": 10},
        network__activation={"choices": ["tanh", "relu"]},
        training__optimizer={"choices": ["momentum", "sgd"]},
        training__momentum={"low": 0.5, "high": 0.9, "when": {"training.optimizer": ["sgd"]}},
    )
    assert baseline(tried) == {
        "network.activation": "tanh",
        "network.dropout": 0.25,
        "training.batch_size": 20,
        "training.lr": 0.5,
        "training.optimizer": "momentum",
    }
    assert study_file.differences(study(), study(confirm__baseline={"training.lr": 0.5})) == []


def opening(of: Study, part: Any, **values: Any) -> Study:
    """A study of one configuration, scored on that part."""
    one = Configuration(values={**at(0.1), **values})
    return given(of, GivenConfig(study=of.name, part=part, configurations=[one], seeds=[7]))


@pytest.mark.parametrize(
    ("part", "metric"),
    [("validation", "val_loss"), ("test", "test_loss"), ("both", "train_loss")],
)
def test_what_is_kept_of_the_other_study(part: str, metric: str) -> None:
    """All that decides a training and what is better; not how it was searched, and no seed."""
    tried = study(
        training__seed=5,
        training__repeats=3,
        confirm__baseline={"training.lr": 0.5},
        search__metric="val_loss",
        search__seed=4,
        search__sampler="tpe",
        tracking__tags={"team": "a"},
    )
    definition = opening(tried, part)
    search = definition.search
    assert (search.sampler, search.metric, search.direction, search.seed) == (
        "given",
        metric,
        "minimize",
        4,
    )
    assert (definition.confirm, definition.fixed["training"].get("seed")) == (None, None)
    assert definition.space == tried.space
    assert ("repeats" in definition.definition()["training"]) is (part == "validation")
    assert (definition.tracking.experiment, definition.tracking.tags) == ("small", {"team": "a"})
    named = study(tracking__experiment="ours")
    assert opening(named, part).tracking.experiment == "ours"


def test_ranges_hold_what_their_rounds_found() -> None:
    """Where a round moved its range beyond the file's, the study of its trial has both."""
    tried = study(search__rounds=[3, 3], search__trials=6)
    assert opening(tried, "validation").space == tried.space
    lr = opening(tried, "validation", **{"training.lr": 5.0}).space["training.lr"]
    assert (getattr(lr, "low", None), getattr(lr, "high", None)) == (1e-3, 5.0)
    lr = opening(tried, "validation", **{"training.lr": 1e-4}).space["training.lr"]
    assert (getattr(lr, "low", None), getattr(lr, "high", None)) == (1e-4, 1.0)


def test_a_name_has_a_bounded_length() -> None:
    """That of a study with what is added to it; one character more is refused."""
    longest = study(name="a" * (128 - len("/confirm")))
    assert len(confirming(longest, at(0.1)).name) == 128
    with pytest.raises(UsageError, match="has 129 characters; the maximum is 128; give the study"):
        confirming(study(name="a" * (129 - len("/confirm"))), at(0.1))


@pytest.mark.parametrize(
    ("objective", "own"),
    [
        ({"function": "a:b", "metrics": ["val_loss"], "seed": 3}, "a function"),
        ({"command": ["a"], "metrics": ["val_loss"]}, "a command"),
    ],
)
def test_an_own_training_has_no_other_draws(objective: dict[str, Any], own: str) -> None:
    """Its validation examples are its own affair."""
    params = {"x": {"low": 0.0, "high": 1.0}}
    tried = study_file.parse({"name": "own", "objective": objective, "params": params})
    definition = confirming(tried)
    assert definition.search.metric == "val_loss"
    unasked = confirming(tried, resplit=None).given
    assert unasked is not None
    assert unasked.draws is None
    assert "seed" not in definition.definition()["objective"]
    with pytest.raises(UsageError, match=f"'own' trains with {own}, .* leave --resplit out"):
        confirming(tried, resplit=True)
