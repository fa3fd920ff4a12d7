"""A search whose whole process group is killed goes on to the very same end."""

from __future__ import annotations

import os
import signal
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.workspace import Definition, Workspace, children

STUDY = """
name = "killed"
[data]
dataset = "digits"
train = 300
validation = 0.2
[network]
hidden = [32, 32]
dropout = { low = 0.0, high = 0.5 }
[training]
lr = { low = 1e-4, high = 1.0, log = true }
epochs = 27
batch_size = 10
[search]
trials = 40
lag = 4
"""

KINDS = {
    "random": "",
    "tpe-hyperband": 'sampler = "tpe"\npruner = "hyperband"\nseed = 3\n',
    "tpe-pausing": 'sampler = "tpe"\npruner = "pausing"\nmin_epochs = 3\n',
}


def workspace(folder: Path, kind: str) -> Workspace:
    """One with such a study."""
    return Workspace(folder, Definition("killed", STUDY + KINDS[kind], 40))


@pytest.mark.parametrize(
    "kind", ["tpe-hyperband", pytest.param("tpe-pausing", marks=pytest.mark.soak)]
)
def test_killed_twice_is_the_same_search(kind: str, tmp_path: Path) -> None:
    """One worker, two workers, and two killed twice: one digest, and each trial once in MLflow."""
    alone = workspace(tmp_path / "alone", kind)
    alone("run", str(alone.file), "--workers", "1", "--no-tracking")
    expected = alone("digest", "killed")

    pair = workspace(tmp_path / "pair", kind)
    pair("run", str(pair.file), "--workers", "2", "--no-tracking")
    assert expected == pair("digest", "killed")

    killed = workspace(tmp_path / "killed", kind)
    killed.kill_at(8, "run", str(killed.file), "--workers", "2")
    assert 8 <= killed.json("digest", "killed")["trials"] < 40
    killed.kill_at(20, "run", str(killed.file), "--workers", "2")
    killed("run", str(killed.file), "--workers", "2")
    assert expected == killed("digest", "killed")

    trials = killed.json("trials", "killed")
    assert {"COMPLETE", "PRUNED"} == {trial["state"] for trial in trials}
    pruned = next(trial["number"] for trial in trials if trial["state"] == "PRUNED")
    assert killed.json("reproduce", "killed", "--trial", str(pruned))["identical"]
    assert killed.json("reproduce", "killed")["identical"]
    assert killed.json("status", "killed")["unprojected"] == 0
    assert_in_mlflow_once(killed, trials)
    assert "0 trials written to Optuna's storage, 0 to MLflow" in killed("sync", "killed")


def assert_in_mlflow_once(workspace: Workspace, trials: list[dict[str, Any]]) -> None:
    """Every trial is one run of the experiment, ended, its curves the ledger's bit for bit."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{workspace.home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("killed")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    children = [run for run in runs if "hpsearch.number" in run.data.tags]
    assert len(runs) - len(children) == 1
    numbers = sorted(int(run.data.tags["hpsearch.number"]) for run in children)
    assert [trial["number"] for trial in trials] == numbers
    ended = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
    for run in children:
        trial = trials[int(run.data.tags["hpsearch.number"])]
        assert ended[trial["state"]] == run.info.status
        assert trial["mlflow_run_id"] == run.info.run_id
    for trial in trials[::10]:
        epochs = workspace.json("curve", "killed", "--trial", str(trial["number"]))["epochs"]
        for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"):
            logged = client.get_metric_history(trial["mlflow_run_id"], name)
            assert [(row["epoch"], struct.pack("<d", row[name])) for row in epochs] == [
                (metric.step, struct.pack("<d", metric.value))
                for metric in sorted(logged, key=lambda metric: metric.step)
            ]


@pytest.mark.soak
def test_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    """Killing one worker of two neither stops the other nor costs a trial."""
    alone = workspace(tmp_path / "alone", "random")
    alone("run", str(alone.file), "--workers", "1", "--no-tracking")
    other = workspace(tmp_path / "other", "random")
    process = other.start("run", str(other.file), "--workers", "2", "--no-tracking")
    killed = 0
    while killed < 3 and process.poll() is None:
        workers = children(process.pid)
        if len(workers) == 2 and other.finished() >= 8 * (killed + 1):
            os.kill(workers[killed % 2], signal.SIGKILL)
            killed += 1
        time.sleep(0.01)
    _, error = process.communicate(timeout=120)
    assert (process.returncode, killed) == (0, 3)
    assert error.count("a worker died") == 3
    assert alone("digest", "killed") == other("digest", "killed")


def test_workers_end_with_their_launcher(tmp_path: Path) -> None:
    """A launcher that is killed alone takes its workers along."""
    space = workspace(tmp_path / "alone", "random")
    process = space.start("run", str(space.file), "--workers", "2", "--no-tracking")
    while space.finished() < 5:
        assert process.poll() is None
        time.sleep(0.02)
    workers = children(process.pid)
    assert len(workers) == 2
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}/stat").exists() for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.soak)],
)
def test_signal_ends_in_order(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """A signal ends the run soon, with nothing lost and nothing held."""
    space = workspace(tmp_path / "alone", "random")
    process = space.start("run", str(space.file), "--workers", "2")
    while space.finished() < 5:
        assert process.poll() is None
        time.sleep(0.02)
    began = time.monotonic()
    os.killpg(process.pid, number)  # as a terminal does
    _, error = process.communicate(timeout=120)
    assert time.monotonic() - began < 30  # five seconds, where the machine is idle
    assert code == process.returncode
    assert "run the same command to resume" in error
    assert "Traceback" not in error
    status = space.json("status", "killed")
    assert status["running"] == 0
    space("run", str(space.file), "--workers", "2")
    assert space.json("status", "killed")["complete"] == 40
