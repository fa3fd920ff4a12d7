"""``Study.confirm`` and ``Study.test``: what the commands do, from Python."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hpsearch
from hpsearch import Float
from hpsearch.errors import StudyChangedError, UsageError
from tests.hpsearch.command_line import Call
from tests.hpsearch.workspace import MLFLOWS_WARNINGS

pytestmark = MLFLOWS_WARNINGS
HERE: dict[str, Any] = {"workers": 0, "tracking": False}


def network(**changes: Any) -> hpsearch.Study:
    """A small study of the network."""
    tables: dict[str, Any] = {
        "data": {"dataset": "digits", "train": 60, "validation": 30},
        "network": {"hidden": [8], "dropout": Float(0, 0.5)},
        "training": {"lr": Float(1e-3, 1, log=True), "epochs": 2},
        "trials": 3,
    }
    return hpsearch.Study("net", **(tables | changes))


def train(params: Any, seed: int) -> Iterator[dict[str, float]]:
    """A training of one's own, made one that no other process can import."""
    yield {"loss": params["lr"] + seed % 7}


def test_what_the_commands_do(home: Path, call: Call) -> None:
    """The confirmation and the opening are the command line's, which go on with them."""
    study = network().run(**HERE)
    found = study.confirm(top=2, seeds=2, **HERE)
    assert [each.trial for each in found.contenders][-1] is None
    assert found.contenders[0].trial == study.best.number
    said = call("confirm", "net", "--json").json
    assert said["winner"]["trial"] == found.winner.trial
    assert said["winner"]["probability_best"] == found.winner.best
    assert found == study.confirm(**HERE)

    opened = study.test(seeds=2, **HERE)
    (shown,) = call("best", "net", "--json").json["test"]
    assert shown["result"]["value"] == opened.value
    assert opened.trial == found.winner.trial
    with pytest.raises(UsageError, match=r"opened once: test_accuracy.*again=True"):
        study.test(**HERE)
    study.test(seeds=2, again=True, **HERE)
    assert call("best", "net").out.startswith("test part, opened 2 times")


def test_a_function_of_this_process(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is confirmed in this process, and has no test part."""
    monkeypatch.setattr(train, "__module__", "__main__")
    study = hpsearch.Study(
        "own", function=train, params={"lr": Float(0, 1)}, metrics=["loss"], trials=3
    ).run(tracking=False)
    found = study.confirm(top=2, seeds=3, tracking=False)
    assert {each.seeds for each in found.contenders} == {3}
    assert found.winner.values == {"params.lr": 0.5}  # the baseline is better than all three
    with pytest.raises(UsageError, match="is a training of your own"):
        study.test(tracking=False)


def test_refused(home: Path) -> None:
    """What is no number of seeds, and a study of another definition."""
    study = network().run(**HERE)
    for asked in ({"seeds": 1}, {"top": 0}, {"seeds": True}):
        with pytest.raises(UsageError, match=f"{next(iter(asked))}: must be a whole number"):
            study.confirm(**asked, **HERE)
    with pytest.raises(UsageError, match="seeds: must be a whole number from 2 to 1000, not 1"):
        study.test(seeds=1, **HERE)
    with pytest.raises(StudyChangedError):
        network(training={"lr": 0.1, "epochs": 2}).confirm(**HERE)


def test_mlflow_has_it(home: Path, mlflow_db: Path) -> None:
    """Both are in MLflow, and the study's own run says how often its test part was opened."""
    from mlflow import MlflowClient

    home.mkdir()
    shutil.copy(mlflow_db, home / "mlflow.db")
    study = network().run(**HERE)
    study.confirm(top=1, seeds=2, workers=0)
    study.test(seeds=2, workers=0)
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'net'")
    runs = client.search_runs([experiment.experiment_id])
    (own,) = [run for run in runs if "test_openings" in run.data.metrics]
    assert own.data.metrics["test_openings"] == 1
