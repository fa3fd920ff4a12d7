"""``report = ["f1"]``: macro F1 of both parts, from the training to what is shown of it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from hpsearch.data.datasets import load
from hpsearch.data.splits import Parts, split
from hpsearch.errors import StudyFileError
from hpsearch.study.config import NETWORK_METRICS
from hpsearch.training.network import NetworkTrainer, NetworkTraining
from tests.conftest import study
from tests.hpsearch.command_line import Call, Write

PARAMS = {"training.lr": 0.1, "network.dropout": 0.0}
WITH_F1 = (*NETWORK_METRICS, "train_f1", "val_f1")


@cache
def digits() -> Parts:
    """The small study's parts."""
    described = study().data
    assert described is not None
    return split(
        load(described.dataset), train=described.train, validation=described.validation, seed=0
    )


def training(**changes: Any) -> NetworkTraining:
    """The training of a trial of the small study."""
    return NetworkTrainer(digits()).train(study(**changes).resolve(PARAMS, 7))


@pytest.mark.parametrize("epochs", [0, 3])
def test_it_is_that_of_the_predictions(epochs: int) -> None:
    """As scikit-learn reckons it from what the network says at the end, on both parts."""
    made = training(training__report=["f1"], training__epochs=epochs)
    assert len(list(made)) == epochs
    assert made.metrics == WITH_F1
    final = dict(zip(made.metrics, made.final, strict=True))
    for name, part in (("train_f1", digits().train), ("val_f1", digits().validation)):
        said = made.probabilities(part.x).argmax(axis=1)
        assert final[name] == pytest.approx(f1_score(part.y, said, average="macro"))


def test_the_other_metrics_stay_the_same() -> None:
    """To measure more changes no bit of the training."""
    plain, more = training(), training(training__report=["f1"])
    rows = [np.array([row[:4] for row in made]) for made in (plain, more)]
    assert rows[0].tobytes() == rows[1].tobytes()
    assert plain.sha256 == more.sha256
    assert plain.metrics == NETWORK_METRICS


def test_a_search_by_it(call: Call, write: Write) -> None:
    """``val_f1`` ranks the trials, is maximized, reproduces, and stands in curve and report."""
    by_f1 = study(training__report=["f1"], search__metric="val_f1")
    assert (by_f1.metrics, by_f1.search.direction) == (WITH_F1, "maximize")
    assert call("run", write(by_f1), "--workers", "1").code == 0
    best = call("best", "small", "--json").json
    curve = call("curve", "small", "--trial", str(best["number"]), "--json").json["epochs"]
    assert best["value"] == curve[-1]["val_f1"]
    assert list(curve[0]) == ["epoch", *WITH_F1]
    trials = call("trials", "small", "--json").json
    assert max(trial["value"] for trial in trials) == best["value"]
    assert call("reproduce", "small", "--json").json["identical"]
    assert call("verify", "small", "--json").json["violations"] == []
    assert call("report", "small").code == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"training__report": ["f2"]},
            "training.report: input should be 'f1' or 'parameters' (it is \"f2\")",
        ),
        ({"training__report": ["f1", "f1"]}, "training.report: must list each name only once"),
        ({"training__report": "f1"}, "training.report: input should be a valid list"),
        (
            {"training__report": {"choices": [["f1"], []]}},
            "training.report: must be the same for all trials; write a list",
        ),
        (
            {"training__report": ["f1"], "data__task": "regression"},
            "training.report: only a classification has an F1; remove it from this regression",
        ),
        ({"search__metric": "val_f1"}, 'search.metric: "val_f1" is not a metric of this study'),
    ],
)
def test_what_is_wrong_is_said_in_a_line(changes: dict[str, Any], said: str) -> None:
    """The line begins with the key."""
    with pytest.raises(StudyFileError) as caught:
        study(**changes)
    assert said == str(caught.value)[: len(said)]
