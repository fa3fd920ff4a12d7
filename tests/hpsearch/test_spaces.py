"""Spaces with conditions and choices of mixed kinds, from the file to the last store."""

from __future__ import annotations

import json
import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest

from hpsearch.study import file as study_file
from tests.conftest import Run
from tests.hpsearch.work.crew import digest_of

CONDITIONAL = """
name = "conditional"
[data]
dataset = "digits"
train = 80
validation = 20
[network]
hidden = { depth = { low = 1, high = 2 }, width = { choices = [4, 8] } }
[training]
optimizer = { choices = ["sgd", "momentum", "nesterov"] }
lr = { low = 1e-3, high = 1.0, log = true }
momentum = { low = 0.5, high = 0.99, when = { "training.optimizer" = ["momentum", "nesterov"] } }
patience = { low = 1, high = 2, when = { "training.optimizer" = ["nesterov"] } }
epochs = 3
batch_size = 20
[search]
sampler = "tpe"
trials = 16
lag = 4
"""
MIXED = """
name = "mixed"
[objective]
function = "kinds:train"
metrics = ["loss"]
[params]
x = { choices = [1, true, "1", 1.0, "true"] }
y = { low = 1, high = 3, when = { params.x = ["1"] } }
[search]
sampler = "grid"
"""
KINDS = """
def train(params, seed):
    assert ("y" in params) == (params["x"] == "1")
    kinds = [bool, int, float, str]
    return {"loss": 10.0 * kinds.index(type(params["x"])) + params.get("y", 0)}
"""


def described(hpsearch: Run, *arguments: str) -> Any:
    """What a command that looks says as JSON."""
    shown = hpsearch(*arguments, "--json")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    return json.loads(shown.stdout)


def runs(home: Path, name: str) -> dict[int, dict[str, str]]:
    """The params of each trial's run in MLflow, by the trial's number."""
    query = (
        "SELECT CAST(n.value AS INTEGER), p.key, p.value FROM tags n JOIN params p USING (run_uuid)"
        " JOIN tags s USING (run_uuid) WHERE n.key = 'hpsearch.number' AND s.key = 'hpsearch.study'"
        " AND s.value = ?"
    )
    found: dict[int, dict[str, str]] = {}
    with closing(sqlite3.connect(home / "mlflow.db")) as connection:
        for number, key, value in connection.execute(query, (name,)):
            found.setdefault(number, {})[key] = value
    return found


def test_a_conditional_search(hpsearch: Run, home: Path, tmp_path: Path) -> None:
    """TPE gives the same trials with any number of workers, and no store has what a trial lacks."""
    file = tmp_path / "conditional.toml"
    file.write_text(CONDITIONAL)
    one = hpsearch("run", str(file), "--workers", "1", "--name", "one", "--no-tracking")
    three = hpsearch("run", str(file), "--workers", "3")
    assert (one.returncode, three.returncode) == (0, 0), one.stderr + three.stderr
    assert hpsearch("digest", "one").stdout == hpsearch("digest", "conditional").stdout
    trials = described(hpsearch, "trials", "conditional")
    always = {
        "training.optimizer",
        "training.lr",
        "network.hidden.depth",
        "network.hidden.width",
    }
    had = {
        "sgd": always,
        "momentum": always | {"training.momentum"},
        "nesterov": always | {"training.momentum", "training.patience"},
    }
    assert set(had) == {trial["params"]["training.optimizer"] for trial in trials}
    copies = optuna.load_study(
        study_name="conditional", storage=f"sqlite:///{home / 'studies.db'}"
    ).trials
    logged = runs(home, "conditional")
    searched = had["nesterov"]
    for trial, copied in zip(trials, copies, strict=True):
        expected = had[trial["params"]["training.optimizer"]]
        assert expected == set(trial["params"]) == set(copied.params)
        assert expected == logged[trial["number"]].keys() & searched
    number = next(t["number"] for t in trials if t["params"]["training.optimizer"] == "nesterov")
    again = hpsearch("reproduce", "conditional", "--trial", str(number))
    assert again.returncode == 0, again.stdout + again.stderr
    config = hpsearch("config", "conditional", "--trial", str(number)).stdout
    assert "when" not in config
    assert "momentum = " in config
    params = trials[number]["params"]
    layers = [params["network.hidden.width"]] * params["network.hidden.depth"]
    assert f"hidden = {layers}" in " ".join(config.split())
    alone = tmp_path / "alone.toml"
    alone.write_text(config)
    assert hpsearch("run", str(alone), "--no-tracking").returncode == 0
    (twin,) = described(hpsearch, "trials", f"conditional-trial-{number}")
    assert trials[number]["weights_sha256"] == twin["weights_sha256"]
    checked = hpsearch("verify", "conditional")
    assert checked.returncode == 0, checked.stdout
    assert hpsearch("report", "conditional", "--out", str(tmp_path / "out")).returncode == 0
    synced = hpsearch("sync", "conditional").stdout
    assert synced == "conditional: 0 trials written to Optuna's storage, 0 to MLflow\n"


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")  # on any thread
@pytest.mark.parametrize("pruner", ["none", "hyperband"])
def test_both_stores_have_the_same_search(tmp_path: Path, fresh_postgres: str, pruner: str) -> None:
    """Conditional TPE, one worker on SQLite and three on PostgreSQL: the same to the last bit."""
    table = tomllib.loads(CONDITIONAL)
    table["search"] |= {"pruner": pruner, "trials": 12, "lag": 3}
    study = study_file.parse(table)
    alone = digest_of(study, tmp_path / "alone", 1)
    assert alone == digest_of(study, tmp_path / "shared", 3, fresh_postgres)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("json_remove(params, '$.\"training.momentum\"')", "has values for"),
        ("json_set(params, '$.\"training.optimizer\"', 'sgd')", "has values for"),
    ],
)
def test_verify_knows_conditions(
    hpsearch: Run, home: Path, tmp_path: Path, damage: str, said: str
) -> None:
    """A value that is missing, or that its condition forbids, is found by verify itself."""
    file = tmp_path / "conditional.toml"
    file.write_text(CONDITIONAL)
    ran = hpsearch("run", str(file), "--trials", "6", "--no-tracking")
    assert ran.returncode == 0, ran.stderr
    with closing(sqlite3.connect(home / "studies.db")) as connection:
        changed = connection.execute(
            f"UPDATE hpsearch_trials SET params = {damage} "
            "WHERE params LIKE '%momentum\":0%' AND params LIKE '%momentum\"%'"
        ).rowcount
        connection.commit()
    assert changed
    checked = described_violations(hpsearch)
    assert any(v["invariant"] == "params" and said in v["detail"] for v in checked), checked


def described_violations(hpsearch: Run) -> list[dict[str, str]]:
    """What verify finds."""
    shown = hpsearch("verify", "conditional", "--no-tracking", "--json")
    assert shown.returncode == 1, shown.stdout + shown.stderr
    found: list[dict[str, str]] = json.loads(shown.stdout)["violations"]
    return found


def test_mixed_kinds_all_the_way(hpsearch: Run, home: Path, tmp_path: Path) -> None:
    """The function, the ledger, JSON, Optuna's copy and MLflow have five choices, not two."""
    (tmp_path / "kinds.py").write_text(KINDS)
    file = tmp_path / "mixed.toml"
    file.write_text(MIXED)
    ran = hpsearch("run", str(file), "--workers", "2")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    trials = described(hpsearch, "trials", "mixed")
    assert len(trials) == 7  # "1" with each y, and four others
    kinds = {"bool": 0.0, "int": 10.0, "float": 20.0, "str": 30.0}
    for trial in trials:
        x, y = trial["params"]["params.x"], trial["params"].get("params.y", 0)
        assert trial["value"] == kinds[type(x).__name__] + y
    copies = optuna.load_study(study_name="mixed", storage=f"sqlite:///{home / 'studies.db'}")
    told = {trial["number"]: json.dumps(trial["params"]["params.x"]) for trial in trials}
    assert {"1", "true", '"1"', "1.0", '"true"'} == set(told.values())
    assert told == {copied.number: copied.params["params.x"] for copied in copies.trials}
    assert told == {number: run["params.x"] for number, run in runs(home, "mixed").items()}
    assert hpsearch("verify", "mixed").returncode == 0
    assert hpsearch("reproduce", "mixed").returncode == 0
