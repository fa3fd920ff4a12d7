"""Is a run in MLflow as it should be, as far as a search shows it, and where is its page?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hpsearch.ledger.records import State, curve
from hpsearch.projections.mlflow_look import Found, Reader
from hpsearch.projections.run_content import TrialRun
from tests.hpsearch.projections.test_mlflow_content import content, trial


def reader(experiment: str | None = "5", viewed: bool = False, **changes: Any) -> Reader:
    """One that has not asked MLflow anything."""
    made = Reader.__new__(Reader)
    made._content, made.experiment, made._viewed = content(**changes), experiment, viewed
    return made


def wanted() -> TrialRun:
    """What a run is to hold."""
    rows = curve([(1.0, 0.1, np.inf, 0.2), (0.5, 0.3, np.inf, 0.5)])
    return content().run(trial(reason="pruned"), rows)


def found(**changes: Any) -> Found:
    """The run that holds it."""
    run = wanted()
    last = {name: float(values[-1]) for name, (_, values) in run.series.items() if len(values)}
    whole = Found(
        run_id="a",
        status="FINISHED",
        start=run.start,
        end=run.end,
        tags=run.tags,
        params={**run.params, "training.epochs": "3"},
        metrics={**last, "val_loss": 1.7976931348623157e308, "other": 1.0},
    )
    return replace(whole, **changes)


def without(known: Any, key: str, **more: Any) -> dict[str, Any]:
    """Without one of its entries."""
    return {name: value for name, value in known.items() if name != key} | more


@pytest.mark.parametrize(
    ("change", "complete"),
    [
        ({}, True),
        ({"status": "RUNNING"}, False),
        ({"status": "KILLED"}, False),
        ({"start": 1}, False),
        ({"end": 1}, False),
        ({"end": None}, False),
        ({"params": without(found().params, "training.lr")}, False),
        ({"params": {**found().params, "training.lr": "0.25"}}, False),
        ({"metrics": without(found().metrics, "value")}, False),
        ({"metrics": {**found().metrics, "val_accuracy": 0.2}}, False),
        ({"metrics": {**found().metrics, "val_loss": 2.0}}, False),
        *[
            ({"tags": without(found().tags, f"hpsearch.{tag}")}, False)
            for tag in ("state", "seed", "weights_sha256", "reason")
        ],
        ({"tags": {**found().tags, "hpsearch.reason": "another"}}, False),
        ({"tags": {**found().tags, "a person's": "own"}}, True),
    ],
)
def test_what_is_complete(change: dict[str, Any], complete: bool) -> None:
    """Status, times, what says how it ended, params, and the last value of each metric; what else
    people have written there does not count."""
    assert reader().complete(found(**change), wanted()) is complete


@pytest.mark.parametrize(
    ("change", "mendable"),
    [
        ({"status": "RUNNING"}, True),
        ({"tags": without(found().tags, "hpsearch.state")}, True),
        ({}, False),  # it says that it is whole
        ({"status": "RUNNING", "start": 1}, False),
        ({"status": "RUNNING", "tags": without(found().tags, "hpsearch.seed")}, False),
        ({"status": "RUNNING", "params": {}}, True),
        ({"status": "RUNNING", "params": {"training.lr": "0.25"}}, False),
        ({"status": "RUNNING", "params": {"seed": "8"}}, False),
    ],
)
def test_what_may_be_written_on(change: dict[str, Any], mendable: bool) -> None:
    """A run of the same trial that has no end yet, and no param that would have to change."""
    assert reader().mendable(found(**change), wanted()) is mendable


def test_a_run_of_a_trial_that_failed() -> None:
    """Has no weights, and is as complete as another."""
    run = content().run(trial(state=State.FAIL, value=None, weights_sha256=None), curve())
    whole = Found("a", "FAILED", run.start, run.end, run.tags, run.params, {})
    assert reader().complete(whole, run)
    assert not reader().complete(replace(whole, tags={**run.tags, "hpsearch.reason": "x"}), run)


def test_its_pages() -> None:
    """The table of runs and their charts, in a view of its own or sorted by the metric, the best
    first; and a run's own page. Without an experiment there is none."""
    plain = reader().pages
    runs = "/#/experiments/5/runs?workflowType=machine_learning"
    assert plain["runs"] == f"{runs}&orderByKey=metrics.%60val_accuracy%60&orderByAsc=false"
    assert plain["charts"] == f"{plain['runs']}&compareRunsMode=CHART"
    assert reader(search__metric="val_loss").pages["runs"].endswith("&orderByAsc=true")
    assert reader(viewed=True).pages["runs"] == f"{runs}&viewStateShareKey=hpsearch"
    assert reader(None).pages == {}
    assert reader().page_of("a") == "/#/experiments/5/runs/a"
