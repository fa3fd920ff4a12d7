"""A study in rounds, as the command line, the report, MLflow and ``verify`` have it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpsearch.ledger.database import Database
from hpsearch.ledger.store import Store
from hpsearch.study import file as study_file
from hpsearch.study.config import Range
from hpsearch.trust.contenders import to_confirm
from tests.conftest import study
from tests.hpsearch.command_line import Call, one_line
from tests.hpsearch.workspace import MLFLOWS_WARNINGS

pytestmark = MLFLOWS_WARNINGS

ROUNDS: dict[str, Any] = {
    "name": "rounds",
    "training__epochs": [1, 2, 3],
    "search__rounds": [5, 4, 3],
    "search__trials": 12,
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a study of three rounds that was run to its end."""
    home = tmp_path_factory.mktemp("rounds") / "home"
    file = home.with_name("rounds.toml")
    file.write_text(study_file.toml(study(**ROUNDS)))
    command = [sys.executable, "-m", "hpsearch", "run", str(file), "--workers", "2"]
    environment = {**os.environ, "HPSEARCH_HOME": str(home)}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return home


@pytest.fixture
def ran(home: Path, workspace: Path) -> Path:
    """``home`` with that study in it."""
    shutil.copytree(workspace, home)
    with closing(sqlite3.connect(home / "mlflow.db")) as mlflow:
        moved = "UPDATE {0} SET {1} = replace({1}, ?, ?)"
        for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
            mlflow.execute(moved.format(table, column), (workspace.as_uri(), home.as_uri()))
        mlflow.commit()
    return home


def runs(home: Path) -> dict[str, tuple[str, str, dict[str, str], dict[str, str]]]:
    """The runs that are not deleted, by name: id, status, tags and params."""
    with closing(sqlite3.connect(home / "mlflow.db")) as mlflow:
        query = "SELECT run_uuid, name, status FROM runs WHERE lifecycle_stage = 'active'"
        found = mlflow.execute(query).fetchall()
        pairs = {
            table: {
                run: dict(
                    mlflow.execute(
                        f"SELECT key, value FROM {table} WHERE run_uuid = ?", (run,)
                    ).fetchall()
                )
                for run, _, _ in found
            }
            for table in ("tags", "params")
        }
    return {
        name: (run, status, pairs["tags"][run], pairs["params"][run]) for run, name, status in found
    }


def test_a_round_is_a_run_between(ran: Path) -> None:
    """The study's run stands above those of its rounds, and each of these above its trials'."""
    found = runs(ran)
    assert len(found) == 1 + 3 + 12
    above = {name: tags.get("mlflow.parentRunId") for name, (_, _, tags, _) in found.items()}
    for place, numbers in enumerate((range(5), range(5, 9), range(9, 12)), start=1):
        run, status, _, params = found[f"round {place} of 3"]
        assert status == "FINISHED"
        assert above[f"round {place} of 3"] == found["rounds"][0]
        assert {above[f"trial {number:02}"] for number in numbers} == {run}
        assert params["training.epochs"] == str(place)
        assert '"log":true' in params["training.lr"]
    lrs = {found[f"round {place} of 3"][3]["training.lr"] for place in (1, 2, 3)}
    assert len(lrs) == 3


def test_verify_and_sync_find_nothing(call: Call, ran: Path) -> None:
    """What was run keeps every promise, and nothing is left to write."""
    checked = call("verify", "rounds")
    assert (checked.code, "12 trials, 16 runs in MLflow" in checked.out) == (0, True), checked
    before = (ran / "mlflow.db").read_bytes()
    synced = "rounds: 0 trials written to Optuna's storage, 0 to MLflow\n"
    assert call("sync", "rounds").out == synced
    assert before == (ran / "mlflow.db").read_bytes()


def change(home: Path, database: str, statement: str) -> None:
    """Edit a database behind everybody's back."""
    with closing(sqlite3.connect(home / f"{database}.db")) as connection:
        assert connection.execute(statement).rowcount
        connection.commit()


ROUND = "(SELECT run_uuid FROM tags WHERE key = 'hpsearch.round' AND value = '2')"
DAMAGE = {
    "lost": f"UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid IN {ROUND}",
    "status": f"UPDATE runs SET status = 'KILLED' WHERE run_uuid IN {ROUND}",
    "parent": (
        f"UPDATE tags SET value = 'x' WHERE key = 'mlflow.parentRunId' AND run_uuid IN {ROUND}"
    ),
    "another": f"UPDATE tags SET value = '4' WHERE key = 'hpsearch.round' AND run_uuid IN {ROUND}",
    "range": f"UPDATE params SET value = '1' WHERE key = 'training.lr' AND run_uuid IN {ROUND}",
    "second": "UPDATE tags SET value = '3' WHERE key = 'hpsearch.round' AND value = '2'",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_wrong_with_a_rounds_run(call: Call, ran: Path, damage: str) -> None:
    """``verify`` says it, and ``sync`` mends it."""
    change(ran, "mlflow", DAMAGE[damage])
    found = call("verify", "rounds", "--json")
    assert found.code == 1
    named = {violation["invariant"] for violation in found.json["violations"]}
    assert named & {"rounds", "orphans"}
    assert call("sync", "rounds").code == 0
    assert call("verify", "rounds").code == 0


def test_a_value_beyond_its_round(call: Call, ran: Path) -> None:
    """A value that the study's own range allows, and its round's does not."""
    statement = (
        "UPDATE hpsearch_trials SET params = json_set(params, '$.\"training.lr\"', 0.0010001) "
        "WHERE number = 11"
    )
    change(ran, "studies", statement)
    violations = call("verify", "rounds", "--no-tracking", "--json").json["violations"]
    assert "outside its range in its round" in violations[0]["detail"]


def test_status_shows_the_ranges(call: Call, ran: Path) -> None:
    """Each round with its trials, its epochs and its ranges."""
    lines = call("status", "rounds").out.splitlines()
    assert "round 2 of 3: 4 of 4 trials, 2 epochs each" in lines
    assert sum(line.startswith("  training.lr: ") for line in lines) == 3
    first, *_, last = call("status", "rounds", "--json").json["rounds"]
    assert (first["round"], first["trials"], first["finished"], first["epochs"]) == (1, 5, 5, 1)
    assert first["ranges"]["training.lr"] == {"low": 0.001, "high": 1.0, "log": True}
    assert last["ranges"]["training.lr"] != first["ranges"]["training.lr"]


def test_the_report_shows_them(call: Call, ran: Path) -> None:
    """In a table, and the epochs of each round in the summary."""
    assert call("report", "rounds").code == 0
    text = (ran / "reports" / "rounds.html").read_text()
    best = text.partition("The best trials</h2>")[2].partition("</thead>")[0]
    assert best.count(">epochs<") == 1
    assert "Ranges by round" in text
    assert "in 3 rounds of 1, 2 and 3 epochs" in text


def test_narrow_writes_the_next_study(call: Call, ran: Path, tmp_path: Path) -> None:
    """One round, with the last round's epochs and ranges narrower than its own."""
    file = tmp_path / "next.toml"
    ended = call("narrow", "rounds", "--out", str(file))
    assert (ended.code, f"{file}: study rounds-2; to run it: " in ended.out) == (0, True)
    found = study_file.load(file)
    assert (found.name, found.search.rounds, found.epochs) == ("rounds-2", [], 3)
    last = call("status", "rounds", "--json").json["rounds"][-1]["ranges"]["training.lr"]
    narrower = found.space["training.lr"]
    assert isinstance(narrower, Range)
    assert narrower.high / narrower.low < last["high"] / last["low"]
    again = call("narrow", "rounds", "--out", str(file))
    assert (again.code, one_line(again)) == (
        2,
        f"hpsearch: {file}: exists already; name another file, or use --force",
    )
    printed = call("narrow", "rounds")
    assert printed.out.strip() == file.read_text().strip()


def test_too_few_trials_to_narrow(call: Call, ran: Path) -> None:
    """Two trials say nothing of where the best lie."""
    for number in range(10):
        change(
            ran,
            "studies",
            f"UPDATE hpsearch_trials SET state = 'FAIL', value = NULL WHERE number = {number}",
        )
    ended = call("narrow", "rounds")
    assert (ended.code, one_line(ended)) == (
        1,
        "hpsearch: 'rounds' has 2 COMPLETE trials; it takes 3 to narrow its ranges",
    )


def test_deleting_takes_the_rounds_along(call: Call, ran: Path) -> None:
    """No run of the study is left in MLflow."""
    assert call("delete", "rounds", "--yes").code == 0
    assert runs(ran) == {}


def test_optuna_reads_the_ranges_of_each_trial(ran: Path) -> None:
    """Its copy has every trial, with the range that its value was drawn from."""
    import optuna

    found = optuna.load_study(study_name="rounds", storage=f"sqlite:///{ran / 'studies.db'}")
    lows = [trial.distributions["training.lr"].low for trial in found.trials]  # type: ignore[attr-defined]
    assert lows[:5] == [0.001] * 5
    assert len(set(lows)) == 3


def test_a_confirmation_holds_what_rounds_have_found(ran: Path) -> None:
    """Values beyond the study's own range, and the epochs of each round."""
    record = Store(Database(f"sqlite:///{ran / 'studies.db'}")).study("rounds")
    trials = Store(Database(f"sqlite:///{ran / 'studies.db'}")).trials(record.id)
    grown = replace(trials[9], value=1.0, params={**trials[9].params, "training.lr": 2.5})
    made = to_confirm(record, [grown, *trials[:9]], top=2, seeds=2, resplit=False)
    assert made.given is not None
    best, _, baseline = made.given.configurations
    assert (best.values["training.lr"], best.values["training.epochs"]) == (2.5, 3)
    assert baseline.values["training.epochs"] == 3
    assert made.search.rounds == []
