"""``plan`` says what a study would do, and trains a few epochs for the time it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import HpsearchError
from hpsearch.study.config import Study
from hpsearch.training.make import trainer
from hpsearch.work.plan import Leg, Timed, legs, seconds, timed
from tests.conftest import study
from tests.hpsearch.command_line import Call, Write
from tests.hpsearch.work.crew import ran


def test_what_a_study_would_do(call: Call, write: Write, home: Path) -> None:
    """Trials, rounds, epochs and ranges; and nothing is written anywhere."""
    of = study(training__epochs=[1, 2, 4], search__rounds=[6, 3, 2], search__trials=11)
    ended = call("plan", write(of), "--no-timing")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "small: 11 trials, 20 epochs in all",
        "  round 1: 6 trials of 1 epochs",
        "  round 2: 3 trials of 2 epochs",
        "  round 3: 2 trials of 4 epochs",
        "  network.dropout: 0 to 0.5",
        "  training.lr: 0.001 to 1",
    ]
    assert not home.exists()


def test_what_the_lag_and_the_pruner_cost(call: Call, write: Write) -> None:
    """Rungs, the epochs that are left, and how many trials are left to chance."""
    of = study(
        training__epochs=27, search__sampler="tpe", search__pruner="halving", search__trials=40
    )
    lines = call("plan", write(of), "--no-timing").out.splitlines()
    assert lines[0] == "small: 40 trials, 1,080 epochs in all"
    assert "the halving pruner decides after epoch 1, 3 and 9" in lines
    assert any(line.startswith("with lag 4, the tpe sampler draws the first 13") for line in lines)
    assert any(line.startswith("with lag 4, the halving pruner prunes none") for line in lines)


def test_json(call: Call, write: Write) -> None:
    """One document, with the estimate and what it rests on."""
    document = call("plan", write(study()), "--workers", "2", "--json").json
    assert document.keys() == {
        "study",
        "trials",
        "epochs",
        "expected_epochs",
        "rounds",
        "space",
        "ends",
        "rungs",
        "seconds_per_epoch",
        "workers",
        "seconds",
        "remarks",
    }
    assert (document["trials"], document["epochs"], document["workers"]) == (6, 18, 2)
    assert 0 < document["seconds_per_epoch"] < document["seconds"]


@pytest.mark.parametrize("pruner", ["median", "halving", "pausing", "hyperband"])
def test_what_a_pruner_leaves(pruner: str, tmp_path: Path) -> None:
    """The epochs that are to be expected are about those that are trained."""
    of = study(
        training__epochs=9,
        search__pruner=pruner,
        search__trials=40,
        training__lr={"low": 1e-4, "high": 1.0, "log": True},
    )
    (leg,) = legs(of) or ()
    store, record = ran(of, tmp_path, 1)
    epochs = sum(trial.trained for trial in store.trials(record.id))
    assert leg.most == 9
    assert leg.expected < 8
    assert epochs / 1.5 < 40 * leg.expected < epochs * 1.5


def test_what_may_end_it_before(call: Call, write: Write) -> None:
    """Trials for which no epochs are left are not counted, and no more time than there is."""
    of = study(search__max_epochs=10, search__max_time="1s", search__target=0.9)
    lines = call("plan", write(of), "--no-timing").out.splitlines()
    assert lines[0] == "small: 3 trials, 9 epochs in all"
    assert lines[1] == (
        "  at most; what may end it before 6 trials: target = 0.9, max_epochs = 10, max_time = 1s"
    )
    by_round = study(
        training__epochs=[1, 5], search__rounds=[4, 4], search__trials=8, search__max_epochs=15
    )
    assert [(leg.trials, leg.most) for leg in legs(by_round) or ()] == [(4, 1), (2, 5)]
    assert call("plan", write(of), "--json").json["seconds"] == 1.0


def test_epochs_that_are_searched_count_in_the_mean() -> None:
    """Half of 2 and 10 each."""
    (leg,) = legs(study(training__epochs={"choices": [2, 10]})) or ()
    assert 4 < leg.most < 8


def test_the_time_follows_from_epochs_and_workers() -> None:
    """A second worker halves what the trials take, and not the rest."""
    took = Timed(setup=0.0, epoch=1.0, trial=0.03, start=5.0)
    one, two = (seconds([Leg(100, 10.0, 5.0)], took, workers) for workers in (1, 2))
    assert one == pytest.approx(5 + 100 * 5.03 + 10)
    assert two == pytest.approx(5 + 50 * 5.03 + 10)


def own(tmp_path: Path, **more: Any) -> Study:
    """A study that fails at once."""
    from hpsearch.study import file as study_file

    (tmp_path / "failing.py").write_text("def train(params, seed):\n    raise ValueError('no')\n")
    objective = {"function": "failing:train", "metrics": ["val_loss"], **more}
    return study_file.parse({"name": "own", "objective": objective, "params": {"x": 1}})


def test_a_training_that_fails_is_said(tmp_path: Path) -> None:
    """What cannot be timed has no estimate, but a reason."""
    of = own(tmp_path, epochs=3)
    with pytest.raises(HpsearchError, match="'own': no trial could be timed: ValueError: no"):
        timed(of, trainer(of, tmp_path, tmp_path / "cache"))


def test_unknown_epochs_have_no_estimate(call: Call, write: Write, tmp_path: Path) -> None:
    """A training of one's own need not say how many epochs it has."""
    ended = call("plan", write(own(tmp_path)))
    assert (ended.code, ended.out.splitlines()) == (
        0,
        [
            "own: 100 trials",
            "no estimate of the time: the study does not say how many epochs a trial has",
        ],
    )
