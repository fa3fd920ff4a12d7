"""A trial is trained again of which nothing is known but its run in MLflow."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import study
from tests.hpsearch.command_line import Call, Write, one_line
from tests.hpsearch.training.own import FUNCTION, objective
from tests.hpsearch.workspace import MLFLOWS_WARNINGS

pytestmark = MLFLOWS_WARNINGS


@pytest.fixture
def runs(
    call: Call, write: Write, home: Path, mlflow_db: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[int, str]:
    """The runs of a study's trials, by number; the study's own store is gone."""
    home.mkdir()
    (home / "mlflow.db").write_bytes(mlflow_db.read_bytes())
    described = study(
        search__trials=5,
        search__pruner="median",
        search__lag=2,
        training__record="step",
        training__optimizer={"choices": ["sgd", "adam"]},
    )
    assert call("run", write(described), "--workers", "1").code == 0
    trials = call("trials", "small", "--json").json
    for file in home.glob("studies.db*"):
        file.unlink()
    return {trial["number"]: trial["mlflow_run_id"] for trial in trials}


def test_it_reproduces(call: Call, runs: dict[int, str], home: Path) -> None:
    """Every trial, a pruned one, too; nothing is written for that."""
    for number, run in runs.items():
        found = call("reproduce", "--run", run, "--json")
        assert (found.code, found.json["identical"]) == (0, True)
        assert found.json["number"] == number
    assert not (home / "studies.db").exists()


def test_what_differs_there(call: Call, runs: dict[int, str], home: Path) -> None:
    """One bit of a curve is exit code 3, and a digest of the data 4."""
    with closing(sqlite3.connect(home / "mlflow.db")) as mlflow, mlflow:
        mlflow.execute(
            "UPDATE metrics SET value = value + 1e-15 WHERE run_uuid = ? AND key = 'val_loss' "
            "AND step = 1",
            (runs[0],),
        )
    outcome = call("reproduce", "--run", runs[0])
    assert (outcome.code, "DIFFERENT: epoch 1: val_loss " in outcome.out) == (3, True)
    with closing(sqlite3.connect(home / "mlflow.db")) as mlflow, mlflow:
        mlflow.execute('UPDATE datasets SET dataset_profile = \'{"dataset_sha256": "d"}\'')
    outcome = call("reproduce", "--run", runs[0])
    assert outcome.code == 4
    assert "the data digits with sha256 d is neither at its place" in one_line(outcome)


def test_what_is_no_trials_run(call: Call, runs: dict[int, str], home: Path) -> None:
    """One line says which it is, and what to do."""
    with closing(sqlite3.connect(home / "mlflow.db")) as mlflow, mlflow:
        ((parent,),) = mlflow.execute(
            "SELECT value FROM tags WHERE key = 'mlflow.parentRunId' AND run_uuid = ?", (runs[0],)
        )
        mlflow.execute(
            "DELETE FROM tags WHERE key = 'hpsearch.environment' AND run_uuid = ?", (runs[1],)
        )
        mlflow.execute("DELETE FROM metrics WHERE key = 'val_loss' AND run_uuid = ?", (runs[2],))
        mlflow.execute(
            "UPDATE tags SET value = 'DONE' WHERE key = 'hpsearch.state' AND run_uuid = ?",
            (runs[3],),
        )
    for run, said in (
        (parent, "is not the run of a trial that hpsearch wrote"),
        (runs[1], "does not name the trial's environment, since an earlier version wrote it"),
        (runs[2], "does not have the same epochs of every metric"),
        (runs[3], "state: 'DONE' is no state of a trial"),
    ):
        outcome = call("reproduce", "--run", run)
        assert outcome.code == 2
        assert said in one_line(outcome)
    assert "not found" in one_line(call("reproduce", "--run", "f" * 32))
    for words in ([], ["small", "--run", runs[0]], ["--run", runs[0], "--trial", "0"]):
        said = one_line(call("reproduce", *words))
        assert said.endswith("name a study, or a run in MLflow with --run alone")


def test_nobodys_program_is_run(
    call: Call, write: Write, tmp_path: Path, home: Path, mlflow_db: Path
) -> None:
    """Whoever writes to MLflow decides nothing about what runs here."""
    home.mkdir()
    (home / "mlflow.db").write_bytes(mlflow_db.read_bytes())
    (tmp_path / "mine.py").write_text("def train(params, seed):\n    yield {'loss': 1.0}\n")
    assert call("run", write(objective(FUNCTION)), "--workers", "1").code == 0
    (trial,) = call("trials", "own", "--json").json
    outcome = call("reproduce", "--run", trial["mlflow_run_id"])
    assert outcome.code == 2
    assert "nobody else's code is run from here" in one_line(outcome)
