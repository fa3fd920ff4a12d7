"""Whole studies of trainings of one's own, those of ``examples/`` among them."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run
from tests.faults.workspace import Definition, Workspace

EXAMPLES = Path(__file__).parents[3] / "examples"
TRIALS = {"boosting": 4, "branin": 8, "shell": 8, "pytorch": 4, "steady": 8}
NEEDS = {"pytorch": "torch"}
OWN = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            find_spec(NEEDS.get(name, "sys")) is None, reason=f"{NEEDS.get(name)} is not installed"
        ),
    )
    for name in sorted(file.stem for file in EXAMPLES.glob("*.toml"))
]


def ran(hpsearch: Run, *arguments: str, code: int = 0) -> str:
    """What a command prints; that it ends as it should is asserted."""
    outcome = hpsearch(*arguments)
    assert code == outcome.returncode, outcome.stderr + outcome.stdout
    return outcome.stdout


def parsed(hpsearch: Run, *arguments: str, code: int = 0) -> Any:
    """The JSON document that a command prints."""
    return json.loads(ran(hpsearch, *arguments, "--json", code=code))


@pytest.mark.parametrize("name", OWN)
def test_examples(hpsearch: Run, name: str) -> None:
    """Each runs, reproduces, keeps every promise, and is what the ledger and MLflow agree on."""
    ran(hpsearch, "run", str(EXAMPLES / f"{name}.toml"), "--trials", str(TRIALS[name]))
    assert {trial["state"] for trial in parsed(hpsearch, "trials", name)} <= {"COMPLETE", "PRUNED"}
    assert parsed(hpsearch, "reproduce", name)["identical"]
    assert parsed(hpsearch, "verify", name, "--reproduce", "1")["violations"] == []


def steady(folder: Path) -> Path:
    """A study of a function whose trials take some time, and none of a processor's."""
    (folder / "steady.py").write_text(
        "import time\nimport numpy as np\n\ndef train(params, seed):\n"
        "    rng = np.random.default_rng(seed)\n    for _ in range(3):\n        time.sleep(0.05)\n"
        "        yield {'loss': params['lr'] * rng.random()}\n    return {'w': rng.random(3)}\n"
    )
    (folder / "steady.toml").write_text(
        'name = "steady"\n[objective]\nfunction = "steady:train"\nmetrics = ["loss"]\n'
        "epochs = 3\n[params]\nlr = { low = 0.0, high = 1.0 }\n[search]\ntrials = 8\n"
        'sampler = "tpe"\nlag = 3\npruner = "median"\n'
    )
    return folder / "steady.toml"


@pytest.mark.parametrize("name", ["steady", pytest.param("shell", marks=pytest.mark.soak)])
def test_digest_is_the_same_however_it_is_run(
    hpsearch: Run,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fresh_postgres: str,
    name: str,
) -> None:
    """With one worker or three, on SQLite or PostgreSQL: the same trials, bit for bit."""
    file = str(steady(tmp_path) if name == "steady" else EXAMPLES / f"{name}.toml")
    trials = str(TRIALS[name])
    digests = set()
    for workers, storage in (("1", None), ("3", None), ("2", fresh_postgres)):
        shutil.rmtree(home, ignore_errors=True)
        if storage:
            monkeypatch.setenv("HPSEARCH_STORAGE", storage)
        how = ("--trials", trials, "--workers", workers, "--no-tracking")
        ran(hpsearch, "run", file, *how)
        digests.add(parsed(hpsearch, "digest", name)["digest"])
    assert len(digests) == 1


def test_tolerance(hpsearch: Run, tmp_path: Path) -> None:
    """What differs by less than the study allows is within it, and not identical: exit code 0."""
    write(
        tmp_path, "import os\ndef train(params, seed): return {'loss': 1 + os.getpid() * 1e-12}\n"
    )
    study = tmp_path / "mine.toml"
    ran(hpsearch, "run", str(study), "--set", "objective.tolerance=1e-6", "--no-tracking")
    outcome = parsed(hpsearch, "reproduce", "mine")
    assert (outcome["identical"], outcome["within_tolerance"]) == (False, True)
    assert "within the study's tolerance" in ran(hpsearch, "reproduce", "mine")


def test_unseeded_function_is_found_out_at_once(hpsearch: Run, tmp_path: Path) -> None:
    """``run`` trains the first COMPLETE trial again, and says what differs while others run."""
    write(
        tmp_path,
        f"""
import os, time
from pathlib import Path
def train(params, seed, trial):
    calls = Path({str(tmp_path / "calls")!r})
    with calls.open("a") as file:
        file.write(f"{{trial.number}}\\n")
    deadline = time.monotonic() + 120
    while trial.number == 1 and time.monotonic() < deadline:  # until trial 0 has come again
        if calls.read_text().count("0") > 1:
            time.sleep(5)
            break
        time.sleep(0.1)
    yield {{"loss": int.from_bytes(os.urandom(4), "big")}}
""",
    )
    outcome = hpsearch("run", str(tmp_path / "mine.toml"), "--no-tracking", "--workers", "1")
    said = [line for line in outcome.stderr.splitlines() if "does NOT reproduce" in line]
    assert len(said) == 1
    assert said[0].startswith("hpsearch: trial 0, trained a second time, does NOT reproduce: epoch")


def test_log_and_curve(hpsearch: Run, home: Path, tmp_path: Path) -> None:
    """What a trial printed, in MLflow, too, and its metrics by their own names."""
    write(tmp_path, "def train(params, seed):\n    print('hello')\n    yield {'loss': 0.5}\n")
    ran(hpsearch, "run", str(tmp_path / "mine.toml"))
    logs = [file.read_text() for file in home.glob("artifacts/**/log.txt")]
    assert logs == ["hello\n", "hello\n"]
    assert ran(hpsearch, "log", "mine", "--trial", "0") == "hello\n"
    assert parsed(hpsearch, "curve", "mine")["epochs"] == [{"epoch": 1, "loss": 0.5}]


def test_changed_file_is_refused(hpsearch: Run, tmp_path: Path) -> None:
    """A study whose function's file has changed is not gone on with, nor compared."""
    write(tmp_path, "def train(params, seed): return {'loss': 1}\n")
    ran(hpsearch, "run", str(tmp_path / "mine.toml"), "--no-tracking")
    write(tmp_path, "def train(params, seed): return {'loss': 2}\n")
    again = hpsearch("run", str(tmp_path / "mine.toml"), "--trials", "4", "--no-tracking")
    assert again.returncode == 2
    assert "has changed since the study started (mine.py sha256 " in again.stderr
    assert hpsearch("reproduce", "mine").returncode == 4


def test_trials_configuration_is_a_study_of_one_trial(hpsearch: Run, tmp_path: Path) -> None:
    """Run, it gives the trial again: its value, with its seed."""
    source = "import random\ndef train(params, seed): return {'loss': random.random()}\n"
    write(tmp_path, source)
    ran(hpsearch, "run", str(tmp_path / "mine.toml"), "--no-tracking")
    (tmp_path / "one.toml").write_text(ran(hpsearch, "config", "mine", "--trial", "1"))
    ran(hpsearch, "run", str(tmp_path / "one.toml"), "--no-tracking")
    (again,) = parsed(hpsearch, "trials", "mine-trial-1")
    before = parsed(hpsearch, "trials", "mine")[1]
    assert (before["value"], before["seed"]) == (again["value"], again["seed"])


def write(folder: Path, source: str) -> None:
    """A study of two trials of a function."""
    (folder / "mine.py").write_text(source)
    (folder / "mine.toml").write_text(
        'name = "mine"\n[objective]\nfunction = "mine:train"\nmetrics = ["loss"]\n'
        "[params]\nlr = { low = 0.0, high = 1.0 }\n[search]\ntrials = 2\n"
    )


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.soak)])
@pytest.mark.parametrize("name", ["steady", "shell"])
def test_killed_groups_make_the_same_search(
    tmp_path: Path, request: pytest.FixtureRequest, name: str, kind: str
) -> None:
    """Three process groups killed at any moment: the digest of an undisturbed run, nothing left."""
    storage = {}
    if kind == "postgresql":
        storage = {"HPSEARCH_STORAGE": request.getfixturevalue("fresh_postgres")}
    steady(tmp_path)
    source = tmp_path if name == "steady" else EXAMPLES
    definition = Definition(name, (source / f"{name}.toml").read_text(), TRIALS[name])
    alone = Workspace(tmp_path / "alone", definition)
    killed = Workspace(tmp_path / "killed", definition, **storage)
    for workspace in (alone, killed):
        for file in source.glob(f"{name}.*"):
            if file.suffix != ".toml":
                shutil.copy(file, workspace.folder)
    how = ("--trials", str(TRIALS[name]), "--no-tracking", "--workers")
    alone("run", str(alone.file), *how, "1")
    for finished in (1, 3, 5):
        killed.kill_at(finished, "run", str(killed.file), *how, "2")
    killed("run", str(killed.file), *how, "2")
    assert alone("digest", name) == killed("digest", name)
    assert killed.json("reproduce", name)["identical"]
