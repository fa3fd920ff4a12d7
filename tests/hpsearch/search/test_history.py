"""At which trials does a trial look, and what does Optuna see of them?"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from typing import Any

import optuna
import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from hpsearch.ledger.records import State, Trial, curve
from hpsearch.search.history import History, sees
from hpsearch.search.optuna_terms import distributions, frozen, inward, outward
from hpsearch.study.config import Choices, Range
from tests.conftest import study
from tests.hpsearch.search.test_race import raced

TRIAL = Trial(
    number=3,
    state=State.COMPLETE,
    value=0.9,
    params={"training.lr": 0.1, "network.dropout": 0.25},
    epochs=9,
    seed=1,
    attempts=1,
    started=1e9,
    ended=1e9 + 60,
    weights_sha256=None,
    mlflow_run_id=None,
    reason=None,
    rungs={"completed_rung_0": 0.2},
    environment=None,
    in_optuna=False,
    in_mlflow=False,
)
CURVE = curve([(1.0, 0.1, 1.0, epoch / 10) for epoch in range(1, 10)])


@pytest.mark.parametrize(
    ("sampler", "pruner", "looks"),
    [
        ("random", "none", False),
        ("qmc", "none", False),
        ("tpe", "none", True),
        ("random", "median", True),
        ("random", "hyperband", True),
    ],
)
def test_who_looks_at_others(sampler: str, pruner: str, looks: bool) -> None:
    """Where a sampler learns or a pruner compares, at those that are older by the lag."""
    found = sees(study(search__sampler=sampler, search__pruner=pruner, search__lag=4))
    assert (None if found is None else [found(0), found(10)]) == ([-4, 6] if looks else None)


def test_trials_of_a_race_look_at_the_looks_before() -> None:
    """And at nothing that comes after these."""
    found = sees(raced(5))
    assert found is not None
    assert [found(0), found(6), found(14)] == [-1, 5, 11]


@pytest.mark.parametrize("pruner", ["none", "median", "hyperband"])
def test_a_trial_in_optunas_terms(pruner: str) -> None:
    """Its times are local ones, and the metric is there after the rungs, the last, and others."""
    of = study(training__epochs=9, search__pruner=pruner)
    told = frozen(of, TRIAL, CURVE, more=[2])
    rungs = {"none": [], "median": range(1, 9), "hyperband": [1, 3]}[pruner]
    assert told.intermediate_values == {e: CURVE[e - 1, 3] for e in {*rungs, 2, 9}}
    assert (told.number, told.state, told.value) == (3, TrialState.COMPLETE, 0.9)
    assert (told.params, told.system_attrs) == (TRIAL.params, TRIAL.rungs)
    assert told.distributions == distributions(of)
    assert told.datetime_start == datetime.fromtimestamp(1e9)
    assert told.datetime_complete == datetime.fromtimestamp(1e9 + 60)


def test_a_trial_with_a_part_of_the_values() -> None:
    """It has the distributions of these alone; one without an end is over when it began."""
    part = replace(TRIAL, params={"training.lr": 0.1}, ended=None)
    told = frozen(study(), part, curve([]))
    assert list(told.distributions) == ["training.lr"]
    assert (told.intermediate_values, told.datetime_complete) == ({}, told.datetime_start)


def test_trials_of_an_earlier_study() -> None:
    """They have numbers below zero, and are over."""
    values = {"training.lr": 0.1, "network.dropout": 0.25}
    of = study(
        search__sampler="tpe",
        search__history=[{"value": 0.5, "values": values}, {"value": 0.25, "values": values}],
    )
    first, second = History(of).window(0)
    assert [(t.number, t.value) for t in (first, second)] == [(-2, 0.5), (-1, 0.25)]
    assert (first.state, first.params) == (TrialState.COMPLETE, values)
    assert first.distributions == distributions(of)
    assert first.datetime_start == first.datetime_complete == datetime.fromtimestamp(0)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"low": 0.0, "high": 0.5}, FloatDistribution(0.0, 0.5)),
        ({"low": 0.1, "high": 0.5, "log": True}, FloatDistribution(0.1, 0.5, log=True)),
        ({"low": 0.0, "high": 0.5, "step": 0.25}, FloatDistribution(0.0, 0.5, step=0.25)),
        ({"choices": [0.0, 0.5]}, CategoricalDistribution([0.0, 0.5])),
    ],
)
def test_real_ranges(table: dict[str, Any], expected: Any) -> None:
    """With their scale and their steps."""
    assert distributions(study(network__dropout=table))["network.dropout"] == expected


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"low": 4, "high": 64}, IntDistribution(4, 64)),
        ({"low": 4, "high": 64, "log": True}, IntDistribution(4, 64, log=True)),
        ({"low": 4, "high": 64, "step": 20}, IntDistribution(4, 64, step=20)),
    ],
)
def test_whole_numbers(table: dict[str, Any], expected: Any) -> None:
    """With their scale and their steps."""
    found = distributions(study(training__batch_size=table))["training.batch_size"]
    assert found == expected


@pytest.mark.parametrize(
    ("open_", "value", "out"),
    [
        (Range(0.0, 1.0), 0.5, 0.5),
        (Range(1, 4), 3, 3),
        (Choices(("a", "b")), "a", "a"),
        (Choices(([8], [4, 4])), [4, 4], "[4,4]"),
        (Choices((1, True)), True, "true"),
        (Choices((1, True)), 1, "1"),
        (Choices((1, 2)), 2, 2),
    ],
)
def test_there_and_back(open_: Any, value: Any, out: Any) -> None:
    """What goes out to Optuna comes back as it was, of the same type."""
    assert (outward(open_, value), type(outward(open_, value))) == (out, type(out))
    back = inward(open_, outward(open_, value))
    assert (back, type(back)) == (value, type(value))


def test_optuna_says_nothing_of_its_own() -> None:
    """A worker's log holds no line for each trial. Other tests change the verbosity of theirs."""
    code = "import optuna, hpsearch.search.history; print(optuna.logging.get_verbosity())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(told.stdout) == optuna.logging.WARNING
