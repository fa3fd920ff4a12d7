"""A study that Optuna alone has made is looked at, and nothing in it changed."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from tests.conftest import study
from tests.hpsearch.command_line import Call, Write, one_line
from tests.hpsearch.workspace import MLFLOWS_WARNINGS

pytestmark = MLFLOWS_WARNINGS


def objective(trial: optuna.Trial) -> float:
    """An accuracy of 100 examples."""
    x = trial.suggest_float("x", 0.0, 1.0)
    for step in range(10):
        trial.report(x * step, step)
    return round(100 * x) / 100


@pytest.fixture
def theirs(tmp_path: Path) -> tuple[Path, optuna.Study]:
    """A study of five trials, in a file."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = tmp_path / "study.db"
    sampler = optuna.samplers.RandomSampler(0)
    made = optuna.create_study(
        study_name="theirs", storage=f"sqlite:///{file}", direction="maximize", sampler=sampler
    )
    made.optimize(objective, n_trials=5)
    return file, made


def test_a_study_in_order(call: Call, theirs: tuple[Path, optuna.Study]) -> None:
    """Exit code 0, what its best value is worth, and not a byte changed."""
    file, made = theirs
    before = file.read_bytes()
    outcome = call("audit", f"sqlite:///{file}", "--examples", "100")
    assert outcome.code == 0
    assert outcome.out.startswith("theirs: 5 trials (5 COMPLETE)\n  in order: ")
    assert f"best: trial {made.best_trial.number}, {made.best_value:.4g}; the first" in outcome.out
    assert "for choosing by 100 examples; on others expect 0." in outcome.out
    assert "curve: still improving" in outcome.out
    assert "luck: at most 0." in call("audit", f"sqlite:///{file}").out
    found = call("audit", f"sqlite:///{file}", "--json").json[0]
    assert (found["study"], found["ok"], found["trials"]) == ("theirs", True, {"COMPLETE": 5})
    assert found["best"]["value"] == made.best_value
    assert file.read_bytes() == before


def test_a_worker_was_killed(call: Call, theirs: tuple[Path, optuna.Study]) -> None:
    """Its trial is RUNNING for ever, and is named; exit code 1."""
    file, _ = theirs
    program = textwrap.dedent(
        f"""
        import os, signal, optuna
        study = optuna.load_study(study_name="theirs", storage="sqlite:///{file}")
        study.optimize(lambda trial: os.kill(os.getpid(), signal.SIGKILL), n_trials=1)
        """
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert ended.returncode == -signal.SIGKILL
    outcome = call("audit", f"sqlite:///{file}")
    assert outcome.code == 1
    assert "  RUNNING: trial 5, for " in outcome.out
    assert list(call("audit", f"sqlite:///{file}", "--json").json[0]["running"]) == ["5"]


def test_a_trial_is_doubled(call: Call, theirs: tuple[Path, optuna.Study]) -> None:
    """Two workers that took one enqueued point are named, and a number that is gone, too."""
    file, made = theirs
    for _ in range(2):
        made.enqueue_trial({"x": 0.25})
    made.optimize(objective, n_trials=2)
    with closing(sqlite3.connect(file)) as store, store:
        for table in ("trial_values", "trial_params", "trial_intermediate_values"):
            store.execute(f"DELETE FROM {table} WHERE trial_id = 2")
        store.execute("DELETE FROM trials WHERE trial_id = 2")
    outcome = call("audit", f"sqlite:///{file}")
    assert outcome.code == 1
    assert "  DOUBLED: trials 5, 6 tried the same\n" in outcome.out
    assert "  MISSING: numbers that no trial has: 1\n" in outcome.out


def test_a_journal_and_several_objectives(call: Call, tmp_path: Path) -> None:
    """Any storage of Optuna's; of several objectives no value is the best."""
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal.log"))
    made = optuna.create_study(
        study_name="two",
        storage=optuna.storages.JournalStorage(backend),
        directions=["minimize", "maximize"],
    )
    made.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), n_trials=2)
    before = (tmp_path / "journal.log").read_bytes()
    outcome = call("audit", f"journal:{tmp_path / 'journal.log'}")
    assert outcome.code == 0
    assert "several objectives: there is no one best value" in outcome.out
    assert (tmp_path / "journal.log").read_bytes() == before


@pytest.fixture
def with_mlflow(
    tmp_path: Path, mlflow_db: Path, theirs: tuple[Path, optuna.Study]
) -> tuple[str, Callable[[str], None]]:
    """An MLflow with a run for each trial, and what changes its database."""
    from mlflow import MlflowClient

    database = tmp_path / "mlflow.db"
    database.write_bytes(mlflow_db.read_bytes())
    client = MlflowClient(f"sqlite:///{database}")
    experiment = client.create_experiment("theirs", artifact_location=(tmp_path / "a").as_uri())
    parent = client.create_run(experiment, run_name="whole").info.run_id
    for number in range(5):
        tags = {"mlflow.parentRunId": parent}
        run = client.create_run(experiment, run_name=f"trial {number}", tags=tags)
        client.set_terminated(run.info.run_id)

    def change(statement: str) -> None:
        with closing(sqlite3.connect(database)) as mlflow, mlflow:
            assert mlflow.execute(statement).rowcount

    return f"sqlite:///{database}", change


def test_runs_are_held_against_trials(
    call: Call,
    theirs: tuple[Path, optuna.Study],
    with_mlflow: tuple[str, Callable[[str], None]],
) -> None:
    """One that is deleted, one too many and one that never ended are named."""
    (file, _), (uri, change) = theirs, with_mlflow
    words = ("audit", f"sqlite:///{file}", "--mlflow", uri)
    assert call(*words).code == 0
    change("UPDATE runs SET status = 'RUNNING' WHERE name = 'trial 3'")
    change("UPDATE tags SET value = 'trial 9' WHERE key = 'mlflow.runName' AND value = 'trial 2'")
    change("UPDATE tags SET value = '0' WHERE key = 'mlflow.runName' AND value = 'trial 1'")
    outcome = call(*words)
    assert outcome.code == 1
    assert "  NO RUN: trials without a run in MLflow: 1, 2\n" in outcome.out
    assert "  NO TRIAL: runs in MLflow without a trial: " in outcome.out
    assert "  TWICE: trials with several runs in MLflow: 0\n" in outcome.out
    assert "  RUNNING: runs in MLflow that are still RUNNING, of trials that ended: " in outcome.out
    assert "has no experiment 'x'" in one_line(call(*words, "--experiment", "x"))


def test_our_own_studies_are_optunas_too(
    call: Call, write: Write, home: Path, mlflow_db: Path
) -> None:
    """A study of hpsearch is in order, its runs too."""
    home.mkdir()
    (home / "mlflow.db").write_bytes(mlflow_db.read_bytes())
    assert call("run", write(study(search__trials=3)), "--workers", "1").code == 0
    outcome = call(
        *("audit", f"sqlite:///{home / 'studies.db'}"),
        *("--mlflow", f"sqlite:///{home / 'mlflow.db'}"),
    )
    assert (outcome.code, "small: 3 trials (3 COMPLETE)\n  in order" in outcome.out) == (0, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sqlite:///none.db"], "sqlite:///none.db: there is no such file"),
        (["journal:none"], "journal:none: there is no such file"),
        (["none"], "none: is no address, such as sqlite:///study.db"),
        (["sqlite:///text.db"], "sqlite:///text.db: cannot be read: "),
        (["sqlite:///study.db", "--study", "mine"], "sqlite:///study.db: holds no study 'mine'"),
        (["sqlite:///study.db", "--experiment", "x"], "--experiment: name the MLflow that has it"),
    ],
)
def test_what_cannot_be_looked_at(
    call: Call,
    theirs: tuple[Path, optuna.Study],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
) -> None:
    """One line says what is wrong: exit code 2."""
    monkeypatch.chdir(theirs[0].parent)
    Path("text.db").write_text("no database, and longer than a header of one" * 10)
    outcome = call("audit", *words)
    assert outcome.code == 2
    assert one_line(outcome).startswith(f"hpsearch: {said}")
    assert not Path("none.db").exists()


def test_a_server_is_only_read(call: Call, fresh_postgres: str) -> None:
    """On PostgreSQL, in transactions that could write nothing."""
    storage = optuna.storages.RDBStorage(fresh_postgres)
    made = optuna.create_study(study_name="theirs", storage=storage)
    made.optimize(objective, n_trials=2)
    made.ask()
    outcome = call("audit", fresh_postgres, "--json")
    (found,) = outcome.json
    assert (outcome.code, found["trials"]) == (1, {"COMPLETE": 2, "RUNNING": 1})
    assert len(made.trials) == 3
    storage.remove_session()
    storage.engine.dispose()
