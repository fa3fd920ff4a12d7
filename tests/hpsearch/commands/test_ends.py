"""What ended a study is said wherever it is looked at."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hpsearch
from hpsearch import settings
from hpsearch.ledger.database import Database
from hpsearch.ledger.store import Store
from tests.conftest import study
from tests.hpsearch.command_line import Call, Write
from tests.hpsearch.workspace import MLFLOWS_WARNINGS

pytestmark = MLFLOWS_WARNINGS


def test_what_ended_a_study_is_said(call: Call, write: Write, home: Path) -> None:
    """By ``run``, ``status``, the report, MLflow and ``verify``; and it is not run again."""
    of = study(search__max_epochs=7, search__trials=9)
    said = "ended after 2 of 9 trials by max_epochs = 7 (a further trial could exceed it)"
    first = call("run", write(of), "--workers", "1")
    assert first.code == 0, first.err
    assert "small: 2 of 2 trials (2 complete)" in first.out
    assert f"{said}; to go on, change it with --set, or ask for more with --trials" in first.out
    assert said in call("status", "small").out
    ended = json.loads(call("status", "small", "--json").out)["ended"]
    assert ended == {"by": "max_epochs", "at": 2}
    again = call("run", write(of), "--workers", "1")
    assert (again.code, said in again.out) == (0, True)
    assert call("verify", "small").code == 0
    assert call("report", "small", "--out", str(home / "report")).code == 0
    assert f"It {said}." in (home / "report" / "small.html").read_text()
    assert _parent().data.tags["hpsearch.ended"] == "max_epochs"
    assert f"It {said}." in _parent().data.tags["mlflow.note.content"]


def slow(params: Any, seed: int) -> Iterator[dict[str, float]]:
    """A training that takes its time."""
    time.sleep(0.02)
    yield {"loss": params["lr"]}


def test_the_clock_ends_a_run_in_this_process(home: Path) -> None:
    """The trial that is running is finished."""
    mine = hpsearch.Study(
        "timed",
        function=slow,
        params={"lr": hpsearch.Float(0.1, 1.0)},
        metrics=["loss"],
        trials=10**6,
        max_time=0.2,
    )
    mine.run(workers=0, tracking=False)
    record = Store(Database(settings.read().storage)).study("timed")
    assert record.ended is not None
    assert record.ended.by == "max_time"
    assert record.ended.at == len(mine.trials) == record.budget
    assert {str(trial.state) for trial in mine.trials} == {"COMPLETE"}
    mine.run(workers=0, tracking=False)
    assert len(mine.trials) == record.budget


def _parent() -> Any:
    from mlflow import MlflowClient

    client = MlflowClient(settings.read().tracking_uri)
    experiment = client.get_experiment_by_name("small")
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    return parent
