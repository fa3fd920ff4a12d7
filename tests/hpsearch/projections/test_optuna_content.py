"""What the runs of somebody's own study of Optuna's hold: all of it follows from the study."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from hpsearch.ledger.records import State
from hpsearch.projections.optuna_content import OptunaContent, _name
from hpsearch.projections.run_content import milliseconds

BEGUN = datetime(2026, 1, 2, 3, 4, 5)
SPACE = {"x": FloatDistribution(0, 1), "kind": CategoricalDistribution([1, "1"])}


def trial(number: int, **changes: Any) -> FrozenTrial:
    """A trial that completed in two seconds."""
    start = BEGUN + timedelta(minutes=number)
    found: dict[str, Any] = {
        "number": number,
        "trial_id": number,
        "state": TrialState.COMPLETE,
        "value": None,
        "values": [0.25 + number],
        "datetime_start": start,
        "datetime_complete": start + timedelta(seconds=2),
        "params": {"x": 0.5},
        "distributions": {"x": SPACE["x"]},
        "user_attrs": {},
        "system_attrs": {},
        "intermediate_values": {},
    }
    return FrozenTrial(**found | changes)


def study(*trials: FrozenTrial, names: list[str] | None = None, **options: Any) -> optuna.Study:
    """A study in memory with these trials."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = optuna.create_study(study_name="theirs", **options)
    if names:
        made.set_metric_names(names)
    made.add_trials(trials)
    return made


def content(made: optuna.Study, experiment: str | None = None) -> OptunaContent:
    """What its runs hold."""
    return OptunaContent(made, trial(0), experiment)


def at(time: datetime) -> int:
    """A time in milliseconds."""
    return milliseconds(time.timestamp())


def test_what_tells_it_from_others() -> None:
    """Its name, when its first trial began, and whose it is; none of its ranges is a param."""
    found = content(study(direction="maximize"), "ours")
    assert found.identity == {
        "hpsearch.study": "theirs",
        "hpsearch.ledger": BEGUN.isoformat(),
        "mlflow.source.name": "optuna",
    }
    assert (found.name, found.experiment, found.start) == ("theirs", "ours", at(BEGUN))
    assert (found.metric, found.maximize, found.params()) == ("value", True, {})
    assert not content(study()).maximize


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize(
    ("directions", "names", "expected"),
    [
        (["minimize"], None, ["value"]),
        (["minimize"], ["loss!"], ["loss_21_"]),
        (["maximize", "minimize"], None, ["value_0", "value_1"]),
        (["maximize", "minimize"], ["a", "b"], ["a", "b"]),
    ],
)
def test_what_values_are_called(
    directions: list[str], names: list[str] | None, expected: list[str]
) -> None:
    """As the study names them; else by their place, of several."""
    made = study(names=names, directions=directions)
    found = content(made)
    assert found.names == {"intermediate_value", *expected}
    values = [0.5, 0.75][: len(directions)]
    series = found.run(trial(3, values=values)).series
    assert {name: series[name][1].tolist() for name in expected} == {
        name: [value] for name, value in zip(expected, values, strict=True)
    }


def test_all_of_a_trial() -> None:
    """State, times, what it tried, what it reported in the order of the steps, and its value."""
    made = content(study())
    ended = trial(
        4,
        params={"x": 0.5, "kind": "1"},
        distributions=SPACE,
        intermediate_values={20: 0.2, 3: 0.1},
        user_attrs={"by whom": "ada", "list": [1], "odd": {1, 2}.__class__},
    )
    run = made.run(ended, "above")
    start = BEGUN + timedelta(minutes=4)
    assert (run.number, run.name, run.state) == (4, "trial 4", State.COMPLETE)
    assert (run.start, run.end) == (at(start), at(start + timedelta(seconds=2)))
    assert run.params == {"x": "0.5", "kind": '"1"'}
    steps, values = run.series["intermediate_value"]
    assert (steps.tolist(), values.tolist()) == ([3, 20], [0.1, 0.2])
    assert run.series["value"][1].tolist() == [4.25]
    own = {"hpsearch.number": "4", "hpsearch.state": "COMPLETE", "mlflow.parentRunId": "above"}
    assert {**own, **made.identity, "by whom": "ada", "list": "[1]"}.items() <= run.tags.items()
    assert run.tags["odd"] == "<class 'set'>"
    assert made.run(ended).tags["mlflow.parentRunId"] == ""


def test_a_trial_without_all_of_it() -> None:
    """One that was pruned has no value, and one that was added may have no times."""
    made = content(study())
    pruned = made.run(trial(1, state=TrialState.PRUNED, intermediate_values={1: 0.5}))
    assert (pruned.state, pruned.series.keys()) == (State.PRUNED, {"intermediate_value"})
    timeless = made.run(trial(1, datetime_start=None, datetime_complete=None))
    assert (timeless.start, timeless.end) == (at(BEGUN), at(BEGUN))
    begun = made.run(trial(1, datetime_complete=None))
    assert begun.start == begun.end == at(BEGUN + timedelta(minutes=1))


def test_an_attribute_may_be_long() -> None:
    """As long as a tag may be."""
    tags = content(study()).run(trial(0, user_attrs={"long": "x" * 9000})).tags
    assert 1000 < len(tags["long"]) <= 8000


def test_how_the_study_stands() -> None:
    """How many trials have ended and how, the best of them, and the ranges."""
    failed = trial(2, state=TrialState.FAIL, values=None, params={}, distributions={})
    waiting = trial(3, state=TrialState.WAITING, values=None, datetime_complete=None)
    made = study(trial(0), trial(1), failed, waiting)
    told = content(made).summary(made, made.get_trials())
    assert told.metrics == {"complete": 2, "pruned": 0, "failed": 1, "best_value": 0.25}
    assert (told.status, told.step) == ("FINISHED", 3)
    assert told.end == at(BEGUN + timedelta(minutes=2, seconds=2))
    assert told.note.split("\n\n") == [
        "3 trials of a study of Optuna's have finished: 2 complete, 0 pruned, 1 failed.",
        "Best: trial 0, value 0.25 (x = 0.5).",
        f"- `x`: {SPACE['x']}",
    ]
    assert (told.reproduced, told.ended, told.definition) == (None, None, None)


def test_how_one_stands_that_has_only_begun() -> None:
    """Nothing has ended, and there is no best."""
    made = study()
    told = content(made).summary(made, made.get_trials())
    assert told.metrics == {"complete": 0, "pruned": 0, "failed": 0}
    assert (told.end, told.step) == (None, 0)
    assert "Best" not in told.note


def test_several_objectives() -> None:
    """The trials that no other surpasses in all of them, twenty at most; nobody is the best."""
    ended = [trial(n, values=[float(n), float(-n)], params={}, distributions={}) for n in range(30)]
    made = study(*ended, directions=["minimize", "minimize"])
    told = content(made).summary(made, made.get_trials())
    first, second, *named = told.note.split("\n\n")
    assert first.startswith("30 trials of ")
    assert second == "No trial is better in all objectives than one of these 30:"
    assert len(named) == 20
    assert named[1].endswith(", value_1 -" + named[1].split()[4].rstrip(","))
    assert named[1].startswith("- trial ")
    assert "best_value" not in told.metrics


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("a-b.c d:e/f_1", "a-b.c d:e/f_1"),
        ("é,", "_e9__2c_"),
        ("/a.b", "_2f_a_2e_b"),
        ("a//b", "a_2f__2f_b"),
        ("../a", "_2e__2e__2f_a"),
        ("a/.", "a_2f__2e_"),
        ("", "_"),
    ],
)
def test_names_that_mlflow_takes(given: str, taken: str) -> None:
    """What it does not take is spelt by its code, so that two names stay two; it is no path."""
    assert _name(given) == taken


def test_an_infinite_value() -> None:
    """It is kept as it is."""
    series = content(study()).run(trial(0, values=[np.inf])).series
    assert series["value"][1].tolist() == [np.inf]
