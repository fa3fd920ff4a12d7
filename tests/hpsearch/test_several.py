"""Several objectives, from the study file to all that shows what came of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import optuna
import pytest

import hpsearch
from hpsearch.errors import StudyFileError
from hpsearch.study import file as study_file
from hpsearch.study.config import Study
from tests.conftest import study
from tests.hpsearch.command_line import Call, Write, one_line
from tests.hpsearch.training.test_f1 import training


def several(**changes: Any) -> Study:
    """Accuracy, and the number of weights, of networks of some sizes."""
    small = {
        "network__hidden": {"choices": [[2], [4], [8], [16]]},
        "training__report": ["parameters"],
        "search__also": {"parameters": "minimize"},
        "search__trials": 10,
        "search__lag": 2,
    }
    return study(**small | changes)


def test_what_is_shown(
    call: Call, write: Write, home: Path, mlflow_db: Path, empty_store: Path
) -> None:
    """The front is in `best`, `status`, the report, MLflow and Optuna's copy, and is verified."""
    home.mkdir()
    shutil.copy(mlflow_db, home / "mlflow.db")
    shutil.copy(empty_store, home / "studies.db")
    ran = call(
        "run", write(several(search__sampler="nsgaii", search__population=4)), "--workers", "1"
    )
    assert ran.code == 0
    assert "reproduced" in ran.out
    assert "with several objectives, no single value was chosen" in ran.out
    best = call("best", "small", "--json").json
    front = [member["number"] for member in best["front"]]
    assert best["number"] == front[0] == call("status", "small", "--json").json["best_trial"]
    assert call("status", "small", "--json").json["front"] == front
    curves = [call("curve", "small", "--trial", str(n), "--json").json["epochs"] for n in front]
    assert [member["values"] for member in best["front"]] == [
        {name: rows[-1][name] for name in ("val_accuracy", "parameters")} for rows in curves
    ]
    table = call("best", "small").out.splitlines()
    assert table[0].startswith("Pareto front: ")
    assert table[1].split() == ["trial", "val_accuracy", "parameters", "dropout", "hidden", "lr"]
    assert [int(line.split()[0]) for line in table[3 : 3 + len(front)]] == front
    copied = optuna.load_study(study_name="small", storage=f"sqlite:///{home / 'studies.db'}")
    assert [way.name for way in copied.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert copied.metric_names == ["val_accuracy", "parameters"]
    assert {trial.number for trial in copied.best_trials} == set(front)
    assert [placed.trial.number for placed in hpsearch.load("small").front] == front
    assert "has several objectives" in one_line(call("narrow", "small"))
    assert _parents_tag(home) == " ".join(map(str, front))
    assert call("verify", "small", "--json").json["violations"] == []
    assert call("sync", "small").code == 0
    assert call("report", "small").code == 0
    page = (home / "reports" / "small.html").read_text()
    assert "The Pareto front" in page


def _parents_tag(home: Path) -> str:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    (parent,) = client.search_runs(
        [experiment.experiment_id], "tags.`mlflow.runName` = 'small'", max_results=5
    )
    return str(parent.data.tags["hpsearch.front"])


def test_the_number_of_weights_is_reported() -> None:
    """It is 64 · h + h + 10 · h + 10 for h hidden units, after every epoch."""
    made = training(training__report=["parameters"])
    assert made.metrics[-1] == "parameters"
    assert {row[-1] for row in made} == {64 * 8 + 8 + 10 * 8 + 10} == {made.final[-1]}


def test_a_file_keeps_them() -> None:
    """They are in the order of their names, whatever the file's order."""
    one = several(search__also={"val_loss": "minimize", "parameters": "minimize"})
    other = several(search__also={"parameters": "minimize", "val_loss": "minimize"})
    assert study_file.toml(one) == study_file.toml(other)
    assert list(one.search.also) == ["parameters", "val_loss"]
    assert one.search.directions == ["maximize", "minimize", "minimize"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"search__pruner": "median"},
            "search.pruner: median compares trials by one objective; with `also`, set `pruner = "
            '"none"`',
        ),
        (
            {"search__sampler": "cmaes"},
            "search.sampler: cmaes has one objective; with `also`, use nsgaii or tpe",
        ),
        ({"search__rounds": 2}, "search.rounds: is of one objective; remove it, or `also`"),
        ({"search__target": 0.5}, "search.target: is of one objective; remove it, or `also`"),
        (
            {"search__also": {"epoch_seconds": "minimize"}},
            'search.also: "epoch_seconds" is not a metric of this study, for time differs from run '
            "to run, and trials must not; take what it depends on, such as `parameters` (`report = "
            '["parameters"]` in [training])',
        ),
        (
            {"training__report": []},
            'search.also: "parameters" is not a metric of this study; add `report = '
            '["parameters"]` to [training]',
        ),
        (
            {"search__also": {"val_los": "minimize"}},
            'search.also: "val_los" is not a metric of this study; did you mean val_loss?',
        ),
        (
            {"search__also": {"val_accuracy": "minimize"}},
            "search.also: val_accuracy is the metric already; remove it",
        ),
        ({"training__epochs": 0}, "training.epochs: several objectives need an epoch at least"),
    ],
)
def test_what_does_not_go_together(changes: dict[str, Any], message: str) -> None:
    """It is an error of one line, which says what to do."""
    with pytest.raises(StudyFileError) as raised:
        several(**changes)
    assert str(raised.value) == message
