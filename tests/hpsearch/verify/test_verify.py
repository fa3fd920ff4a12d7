"""A healthy study keeps every promise, and each kind of damage is called by its name."""

from __future__ import annotations

import json
import math
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch import settings
from hpsearch.data import splits as data
from hpsearch.data.datasets import load
from hpsearch.ledger.database import Database
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import State, Trial, pack
from hpsearch.ledger.store import Store
from hpsearch.projections.projector import Written, mend
from hpsearch.settings import Settings
from hpsearch.study import file as study_file
from hpsearch.study.config import NETWORK_METRICS
from hpsearch.training.network import NetworkTrainer
from hpsearch.trust.reproduce import Reproduction, confirm
from hpsearch.verify import findings, look
from hpsearch.verify.findings import Findings
from tests.compose import mlflow_server
from tests.conftest import Run, study
from tests.hpsearch.workspace import MLFLOWS_WARNINGS, Again, Workspace

pytestmark = MLFLOWS_WARNINGS

DEAD = str(replace(Owner.of(), pid=2**22 + 1))  # beyond the largest pid of a Linux
ELSEWHERE = str(replace(Owner.of(), host="elsewhere"))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A workspace with a study that is done."""

    home: Path
    complete: int
    """A COMPLETE trial that is not the best."""
    pruned: int
    best: int

    @property
    def settings(self) -> Settings:
        """Where its stores are."""
        return settings.read({"HPSEARCH_HOME": str(self.home)})

    def named(self) -> dict[str, Any]:
        """What SQL may name."""
        runs = dict(self.read("studies", "SELECT number, mlflow_run_id FROM hpsearch_trials"))
        return {
            "c": self.complete,
            "p": self.pruned,
            "b": self.best,
            "run_c": runs[self.complete],
            "run_p": runs[self.pruned],
            "run_b": runs[self.best],
            "dead": DEAD,
            "elsewhere": ELSEWHERE,
        }

    def read(self, database: str, query: str) -> list[Any]:
        """What a query of ``studies`` or ``mlflow`` gives."""
        with closing(sqlite3.connect(self.home / f"{database}.db")) as connection:
            return connection.execute(query).fetchall()

    def change(self, database: str, *statements: str) -> None:
        """Edit a database behind everybody's back."""
        known = self.named()
        with closing(sqlite3.connect(self.home / f"{database}.db")) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")  # as an edit may
            for statement in statements:
                changed = connection.execute(statement, known).rowcount
                assert changed, f"nothing was damaged: {statement}"
            connection.commit()

    def find(self, *, tracking: bool = True) -> Findings:
        """What ``verify`` finds."""
        database = Database(self.settings.storage, create=False)
        try:
            seen = look.take(database, "small", self.settings, tracking=tracking)
            return findings.judge(seen, tracking=tracking)
        finally:
            database.engine.dispose()

    def mend(self) -> Written:
        """What ``sync`` does."""
        database = Database(self.settings.storage, create=False)
        store = Store(database)
        record = store.study("small")

        def retrain(trial: Trial) -> Reproduction:
            splits = data.split(load("digits"), train=60, validation=30, seed=0)
            return confirm(store, record, trial, NetworkTrainer(splits), self.settings)

        try:
            return mend(store, record, self.settings, retrain)
        finally:
            database.engine.dispose()

    def named_by(self) -> set[str]:
        """The invariants that are violated."""
        return {violation.invariant for violation in self.find().violations}

    def weights(self) -> Path:
        """The best trial's weights."""
        (file,) = self.home.glob("artifacts/*/artifacts/weights.safetensors")
        return file


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A study of eight trials, run as anyone runs one."""
    home = tmp_path_factory.mktemp("verify") / "home"
    file = home.with_name("small.toml")
    file.write_text(
        study_file.toml(
            study(search__trials=8, search__pruner="median", search__lag=2, training__record="step")
        )
    )
    command(home, "run", str(file), "--workers", "1")
    query = "SELECT number, state FROM hpsearch_trials ORDER BY state, value DESC, number"
    with closing(sqlite3.connect(home / "studies.db")) as connection:
        trials = connection.execute(query).fetchall()
    (best, complete), pruned = trials[:2], trials[-1]
    assert (best[1], complete[1], pruned[1]) == ("COMPLETE", "COMPLETE", "PRUNED")
    return Prepared(home, complete[0], pruned[0], best[0])


def command(home: Path, *arguments: str, **more: str) -> str:
    """The command line, which must succeed; what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "hpsearch", *arguments],
        env={**os.environ, "HPSEARCH_HOME": str(home), **more},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, "") == (0, done.stderr if done.returncode else "")
    return done.stdout


@pytest.fixture
def healthy(prepared: Prepared, tmp_path: Path) -> Prepared:
    """A copy of it to damage, where the ``hpsearch`` fixture looks for it."""
    home = tmp_path / "home"
    shutil.copytree(prepared.home, home)
    moved = replace(prepared, home=home)
    old, new = prepared.home.as_uri(), home.as_uri()
    moved.change(
        "mlflow",
        f"UPDATE runs SET artifact_uri = replace(artifact_uri, '{old}', '{new}')",
    )
    return moved


# -- health


def test_healthy_study_is_clean(healthy: Prepared) -> None:
    """Nothing is found, nothing is changed, and the command says so with exit code 0."""
    before = [path.stat().st_mtime_ns for path in sorted(healthy.home.rglob("*.db"))]
    found = healthy.find()
    assert (found.violations, found.notes) == ([], [])
    assert before == [path.stat().st_mtime_ns for path in sorted(healthy.home.rglob("*.db"))]
    said = command(healthy.home, "verify", "small", "--json", "--reproduce", "2")
    assert json.loads(said) == {"ok": True, "violations": [], "checked": found.checked}
    assert {"numbers", "values", "outcomes", "run-curves"} <= set(found.checked)
    shown = command(healthy.home, "verify", "small")
    assert "checked: numbers, " in shown


def test_violations_are_exit_code_1(healthy: Prepared, hpsearch: Run) -> None:
    """The command prints one JSON document with what was found."""
    healthy.change("mlflow", "UPDATE runs SET status = 'FAILED' WHERE run_uuid = :run_c")
    done = hpsearch("verify", "small", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)
    assert not found["ok"]
    (violation,) = found["violations"]
    assert {"invariant", "detail"} == set(violation)
    assert violation["invariant"] == "run-status"
    assert healthy.named()["run_c"] in violation["detail"]
    assert f"trial {healthy.complete}" in violation["detail"]
    assert hpsearch("verify", "small").returncode == 1
    assert hpsearch("verify", "small", "--no-tracking").returncode == 0


def test_unknown_study(healthy: Prepared, hpsearch: Run) -> None:
    """A name that is not there is bad usage."""
    assert hpsearch("verify", "nobody").returncode == 2


def test_study_without_mlflow(healthy: Prepared) -> None:
    """A study that MLflow was left out of is no violation; once MLflow knew it, it is."""
    (healthy.home / "mlflow.db").unlink()
    assert {"one-run"} == healthy.named_by()
    healthy.change("studies", "UPDATE hpsearch_trials SET in_mlflow = 0, mlflow_run_id = NULL")
    healthy.change("studies", "UPDATE hpsearch_studies SET mlflow_run_id = NULL")
    found = healthy.find()
    assert found.ok
    assert found.notes == ["MLflow has no runs of this study; `hpsearch sync` writes them"]
    alone = healthy.find(tracking=False)
    assert (alone.violations, alone.notes) == ([], [])


def test_lost_trial_is_a_note(workspace: Callable[..., Workspace]) -> None:
    """A trial that was given up keeps every promise, and it is said that it happened."""
    from hpsearch.ledger.leases import MOST_CRASHES, crashed

    book = workspace(study=study(search__trials=3))
    environment = {"machine": "made up"}
    book.store.remember(environment, "e" * 64)
    book.claim()
    owner = replace(Owner.of(), host="elsewhere")
    for _ in range(MOST_CRASHES):
        lost = crashed(book.store.database, book.record.id, owner)
        book.leases.claim()
    assert lost == [0]
    book.finish(1)
    book.run(State.COMPLETE)
    with closing(sqlite3.connect(book.settings.home / "studies.db")) as connection:
        connection.execute("UPDATE hpsearch_trials SET environment = ? WHERE number", ("e" * 64,))
        connection.commit()
    book.sync(retrain=Again())
    found = findings.judge(look.take(book.store.database, "small", book.settings))
    assert found.violations == []
    assert [f"trial 0 was given up as lost, after {MOST_CRASHES} crashes of its worker"] == (
        found.notes
    )


def test_numbers_that_mlflow_cannot_hold(healthy: Prepared) -> None:
    """NaN, the infinities and -0.0 agree with what MLflow makes of them."""
    odd = [math.nan, math.inf, -math.inf, -0.0]
    epochs = healthy.read(
        "studies", f"SELECT epochs FROM hpsearch_curves WHERE number = {healthy.pruned}"
    )[0][0]
    with closing(sqlite3.connect(healthy.home / "studies.db")) as connection:
        connection.execute(
            "UPDATE hpsearch_curves SET epochs = ? WHERE number = ?",
            (struct.pack("<4d", *odd) + epochs[32:], healthy.pruned),
        )
        connection.commit()
    assert {"run-curves"} == healthy.named_by()
    kept = ["0, is_nan = 1", "1.7976931348623157e308", "-1.7976931348623157e308", "0"]
    for name, value in zip(NETWORK_METRICS, kept, strict=True):
        healthy.change(
            "mlflow",
            f"UPDATE metrics SET value = {value} "
            f"WHERE run_uuid = :run_p AND key = '{name}' AND step = 1",
        )
    assert set() == healthy.named_by()


# -- at work
SOON = "(julianday('now') - 2440587.5) * 86400.0 + 100"
"""When a lease runs out that was just renewed."""


RUNNING = (
    "UPDATE hpsearch_studies SET budget = 9, next_number = 9",
    "INSERT INTO hpsearch_trials (study_id, number, state, params, epochs, seed, attempts, "
    "crashes, started, rungs, hidden, owner, lease_until, in_optuna, in_mlflow, live) "
    "SELECT study_id, 8, 'RUNNING', params, 0, seed, 1, 0, "
    f"started, '{{}}', 0, :elsewhere, {SOON}, 0, 0, x'' FROM hpsearch_trials WHERE number = 0",
)
"""A ninth trial, which a worker on another host holds."""


def test_study_at_work(healthy: Prepared) -> None:
    """What is held may run, and what is not written yet is no violation while somebody works."""
    healthy.change("studies", *RUNNING)
    assert healthy.find().ok
    healthy.change(
        "studies", "UPDATE hpsearch_trials SET in_mlflow = 0, in_optuna = 0 WHERE number = :c"
    )
    healthy.change("mlflow", "UPDATE runs SET status = 'RUNNING' WHERE run_uuid = :run_c")
    assert healthy.find().ok
    healthy.change("mlflow", "UPDATE runs SET status = 'RUNNING' WHERE run_uuid = :run_p")
    assert {"running"} == healthy.named_by()


def test_projections_that_are_being_written(healthy: Prepared) -> None:
    """What a projector has not marked yet is no violation while one is at work."""
    healthy.change("studies", f"{SET} in_mlflow = 0 WHERE number = :c")
    healthy.change(
        "mlflow",
        "UPDATE runs SET status = 'RUNNING' WHERE name = 'small' OR run_uuid = :run_c",
        "DELETE FROM metrics WHERE run_uuid = :run_c",
    )
    projecting = Database(healthy.settings.storage, create=False)
    with projecting.lock("projector-1") as held:
        assert held
        assert healthy.find().ok
    projecting.engine.dispose()
    assert {"running", "run-curves", "marks"} == healthy.named_by()


@pytest.mark.parametrize(
    "lease",
    [
        "owner = :dead",
        "lease_until = started",
        "owner = NULL, lease_until = NULL",
        "owner = 'nobody'",
    ],
)
def test_claim_without_a_valid_lease(healthy: Prepared, lease: str) -> None:
    """A trial that is RUNNING is held by a process that may still be there."""
    healthy.change(
        "studies", *RUNNING, f"UPDATE hpsearch_trials SET {lease} WHERE state = 'RUNNING'"
    )
    healthy.change("mlflow", "UPDATE runs SET status = 'KILLED' WHERE name = 'small'")
    assert {"leases"} == healthy.named_by()


def test_free_trial_of_a_study_at_work(healthy: Prepared) -> None:
    """While others work, one of them takes over what a dead worker left."""
    healthy.change("studies", *RUNNING)
    healthy.change(
        "studies",
        f"UPDATE hpsearch_trials SET state = 'RUNNING', owner = :dead, lease_until = {SOON}, "
        "ended = NULL, weights_sha256 = NULL, reason = NULL, in_mlflow = 0, in_optuna = 0 "
        "WHERE number = :p",
        "DELETE FROM hpsearch_curves WHERE number = :p",
    )
    found = healthy.find()
    assert (
        f"trial {healthy.pruned} lost its worker; another worker will run it again" in found.notes
    )
    assert not [v for v in found.violations if v.invariant == "leases"]


# -- damage

SET = "UPDATE hpsearch_trials SET"
STUDY = "UPDATE hpsearch_studies SET"
COPY_OF_C = """INSERT INTO runs SELECT 'double', name, source_type, source_name, entry_point_name,
    user_id, status, start_time, end_time, source_version, lifecycle_stage, artifact_uri,
    experiment_id, deleted_time FROM runs WHERE run_uuid = :run_c"""
TAGS_OF_C = "INSERT INTO tags SELECT key, value, 'double' FROM tags WHERE run_uuid = :run_c"

LEDGER: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "trial-deleted": (
        ("DELETE FROM hpsearch_trials WHERE number = :c",
         "DELETE FROM hpsearch_curves WHERE number = :c"),
        {"numbers", "budget", "optuna", "orphans", "run-status"},
    ),
    "number-beyond": ((f"{STUDY} next_number = 7",), {"numbers"}),
    "over-budget": ((f"{STUDY} budget = 7",), {"budget"}),
    "finished-and-leased": ((f"{SET} owner = :dead WHERE number = :c",), {"leases"}),
    "finished-and-live": ((f"{SET} live = x'' WHERE number = :c",), {"leases"}),
    "no-such-state": (
        (f"{SET} state = 'DONE' WHERE number = 7",),
        {"states", "curves", "digests", "optuna", "run-status", "values"},
    ),
    "no-end": ((f"{SET} ended = NULL WHERE number = :c",), {"states", "run-times"}),
    "no-reason": ((f"{SET} reason = NULL WHERE number = :p",), {"states", "run-tags"}),
    "value-missing": (
        (f"{SET} value = NULL WHERE number = :c",), {"values", "optuna", "run-curves"}
    ),
    "value-altered": (
        (f"{SET} value = value + 1e-15 WHERE number = :c",), {"values", "optuna", "run-curves"}
    ),
    "value-of-pruned": (
        (f"{SET} value = 0.1 WHERE number = :p",), {"values", "optuna", "run-curves"}
    ),
    "curve-deleted": (
        ("DELETE FROM hpsearch_curves WHERE number = :c",), {"curves", "run-curves"}
    ),
    "curve-torn": (
        ("UPDATE hpsearch_curves SET epochs = CAST(epochs || x'00' AS BLOB) WHERE number = :c",),
        {"curves"},
    ),
    "steps-torn": (
        ("UPDATE hpsearch_curves SET steps = CAST(steps || x'00' AS BLOB) WHERE number = :c",),
        {"curves"},
    ),
    "steps-short": (
        ("UPDATE hpsearch_curves SET steps = substr(steps, 9) WHERE number = :c",), {"run-curves"},
    ),
    "curve-short": (
        ("UPDATE hpsearch_curves SET epochs = substr(epochs, 33) WHERE number = :c",),
        {"curves", "run-curves"},
    ),
    "curve-of-nobody": (
        ("INSERT INTO hpsearch_curves SELECT study_id, 99, epochs, steps, NULL "
         "FROM hpsearch_curves WHERE number = :c",),
        {"curves"},
    ),
    "epochs-miscounted": ((f"{SET} epochs = epochs + 1 WHERE number = :c",), {"curves"}),
    "stopped-early": (
        (f"{STUDY} definition = replace(definition, '\"epochs\":3', '\"epochs\":4')",), {"curves"}
    ),
    "digest-missing": (
        (f"{SET} weights_sha256 = NULL WHERE number = :c",), {"digests", "run-tags"}
    ),
    "digest-altered": (
        (f"{SET} weights_sha256 = replace(weights_sha256, substr(weights_sha256, 1, 4), 'abcd') "
         "WHERE number = :b",),
        {"run-tags", "weights"},
    ),
    "param-beyond-range": (
        (f"{SET} params = json_set(params, '$.\"training.lr\"', 7.5) WHERE number = :c",),
        {"params", "optuna", "run-params"},
    ),
    "param-missing": (
        (f"{SET} params = json_remove(params, '$.\"training.lr\"') WHERE number = :c",),
        {"params", "optuna", "run-params"},
    ),
    "params-torn": (
        (f"{SET} params = substr(params, 1, 9) WHERE number = :c",),
        {"params", "optuna", "run-params"},
    ),
    "seed-altered": ((f"{SET} seed = seed + 1 WHERE number = :c",), {"run-tags", "run-params"}),
    "environment-unknown": (
        (f"{SET} environment = 'nowhere' WHERE number = :c",), {"environments"}
    ),
    "environment-missing": ((f"{SET} environment = NULL WHERE number = :c",), {"environments"}),
    "copied-trial-deleted": (("DELETE FROM trials WHERE number = :c",), {"optuna"}),
    "copied-trial-doubled": (
        ("INSERT INTO trials SELECT 99, number, study_id, state, datetime_start, "
         "datetime_complete FROM trials WHERE number = :c",),
        {"optuna"},
    ),
    "copied-trial-of-nobody": (
        ("INSERT INTO trials SELECT 99, 99, study_id, state, datetime_start, "
         "datetime_complete FROM trials WHERE number = :c",),
        {"optuna"},
    ),
    "copied-state": (("UPDATE trials SET state = 'FAIL' WHERE number = :c",), {"optuna"}),
    "copied-value": (("UPDATE trial_values SET value = value + 1e-9",), {"optuna"}),
    "copied-param": (("UPDATE trial_params SET param_value = param_value / 3",), {"optuna"}),
    "copy-deleted": (("DELETE FROM studies",), {"optuna"}),
    "copy-unmarked": ((f"{SET} in_optuna = 0 WHERE number = :c",), {"optuna"}),
    "run-marked-wrongly": ((f"{SET} mlflow_run_id = 'other' WHERE number = :c",), {"marks"}),
    "run-unmarked": ((f"{SET} in_mlflow = 0 WHERE number = :c",), {"marks"}),
    "study-marked-wrongly": ((f"{STUDY} mlflow_run_id = 'other'",), {"marks"}),
}  # fmt: skip

METRIC = "WHERE run_uuid = :run_c AND key = 'val_loss' AND step = 2"
STEP = "WHERE run_uuid = :run_c AND key = 'step_loss' AND step = 5"
TRACKING: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "run-deleted": (
        ("UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = :run_c",), {"one-run"}
    ),
    "run-erased": (
        tuple(f"DELETE FROM {t} WHERE run_uuid = :run_c"
              for t in ("metrics", "latest_metrics", "params", "tags", "runs")),
        {"one-run"},
    ),
    "run-doubled": ((COPY_OF_C, TAGS_OF_C), {"one-run"}),
    "run-of-unknown-trial": (
        (COPY_OF_C, TAGS_OF_C,
         "UPDATE tags SET value = '99' WHERE run_uuid = 'double' AND key = 'hpsearch.number'"),
        {"orphans"},
    ),
    "run-without-number": (
        (COPY_OF_C, TAGS_OF_C,
         "DELETE FROM tags WHERE run_uuid = 'double' AND key = 'hpsearch.number'"),
        {"orphans"},
    ),
    "run-of-no-number": (
        (COPY_OF_C, TAGS_OF_C,
         "UPDATE tags SET value = 'x' WHERE run_uuid = 'double' AND key = 'hpsearch.number'"),
        {"orphans"},
    ),
    "run-without-study": (
        ("DELETE FROM tags WHERE run_uuid = :run_c AND key = 'hpsearch.study'",), {"orphans"}
    ),
    "run-elsewhere": (
        ("INSERT INTO experiments (experiment_id, name, lifecycle_stage) "
         "VALUES (99, 'elsewhere', 'active')",
         "UPDATE runs SET experiment_id = 99 WHERE run_uuid = :run_c"),
        {"orphans"},
    ),
    "experiment-deleted": (
        ("UPDATE experiments SET lifecycle_stage = 'deleted' WHERE name = 'small'",), {"one-run"}
    ),
    "second-parent": (
        (COPY_OF_C, TAGS_OF_C,
         "DELETE FROM tags WHERE run_uuid = 'double' AND key = 'hpsearch.number'",
         "DELETE FROM tags WHERE run_uuid = 'double' AND key = 'mlflow.parentRunId'"),
        {"one-run"},
    ),
    "parent-deleted": (
        ("UPDATE runs SET lifecycle_stage = 'deleted' WHERE name = 'small'",), {"one-run"}
    ),
    "parent-killed": (
        ("UPDATE runs SET status = 'KILLED' WHERE name = 'small'",), {"run-status"}
    ),
    "parent-running": (("UPDATE runs SET status = 'RUNNING' WHERE name = 'small'",), {"running"}),
    "run-running": (
        ("UPDATE runs SET status = 'RUNNING' WHERE run_uuid = :run_c",), {"running"}
    ),
    "status-altered": (
        ("UPDATE runs SET status = 'FAILED' WHERE run_uuid = :run_c",), {"run-status"}
    ),
    **{
        f"tag-{key}": (
            (f"UPDATE tags SET value = 'other' WHERE run_uuid = :run_p AND key = '{key}'",), {name}
        )
        for key, name in {
            "hpsearch.state": "run-status",
            "hpsearch.seed": "run-tags",
            "hpsearch.weights_sha256": "run-tags",
            "hpsearch.reason": "run-tags",
            "mlflow.parentRunId": "run-tags",
        }.items()
    },
    "end-altered": (
        ("UPDATE runs SET end_time = end_time + 1 WHERE run_uuid = :run_c",), {"run-times"}
    ),
    "end-missing": (("UPDATE runs SET end_time = NULL WHERE run_uuid = :run_c",), {"run-times"}),
    "start-altered": (
        ("UPDATE runs SET start_time = start_time - 1 WHERE run_uuid = :run_c",), {"run-times"}
    ),
    "param-altered": (
        ("UPDATE params SET value = value || '1' WHERE run_uuid = :run_c AND key = 'training.lr'",),
        {"run-params"},
    ),
    "param-deleted": (("DELETE FROM params WHERE run_uuid = :run_c",), {"run-params"}),
    "metric-altered": (
        (f"UPDATE metrics SET value = value * (1 + 3e-16) {METRIC}",), {"run-curves"}
    ),
    "metric-not-a-number": (
        (f"UPDATE metrics SET is_nan = 1 {METRIC}",), {"run-curves"}
    ),
    "metric-infinite": (
        (f"UPDATE metrics SET value = 1.7976931348623157e308 {METRIC}",), {"run-curves"}
    ),
    "metric-deleted": ((f"DELETE FROM metrics {METRIC}",), {"run-curves"}),
    "metric-doubled": (
        ("INSERT INTO metrics SELECT key, value, timestamp + 9, run_uuid, step, is_nan "
         f"FROM metrics {METRIC}",),
        {"run-curves"},
    ),
    "metric-at-another-time": (
        (f"UPDATE metrics SET timestamp = timestamp + 9 {METRIC}",), {"run-curves"}
    ),
    "loss-of-a-step-altered": (
        (f"UPDATE metrics SET value = value * (1 + 3e-16) {STEP}",), {"run-curves"}
    ),
    "loss-of-a-step-deleted": ((f"DELETE FROM metrics {STEP}",), {"run-curves"}),
    "losses-of-steps-deleted": (
        ("DELETE FROM metrics WHERE run_uuid = :run_c AND key = 'step_loss'",), {"run-curves"}
    ),
    "metrics-of-value-deleted": (
        ("DELETE FROM metrics WHERE run_uuid = :run_c AND key = 'value'",), {"run-curves"}
    ),
}  # fmt: skip


@pytest.mark.parametrize(("statements", "named"), LEDGER.values(), ids=LEDGER)
def test_damaged_ledger(healthy: Prepared, statements: tuple[str, ...], named: set[str]) -> None:
    """What is wrong in the ledger, or differs from it, is named, and nothing else is."""
    healthy.change("studies", *statements)
    assert named == healthy.named_by()


@pytest.mark.parametrize(("statements", "named"), TRACKING.values(), ids=TRACKING)
def test_damaged_tracking(healthy: Prepared, statements: tuple[str, ...], named: set[str]) -> None:
    """What is wrong in MLflow is named, and nothing else is; one sync mends it."""
    healthy.change("mlflow", *statements)
    assert named == healthy.named_by()
    healthy.mend()
    assert healthy.named_by() == set()
    assert not healthy.mend()


@pytest.mark.parametrize("damage", ["wrong", "torn", "misplaced"])
def test_damaged_outcomes(healthy: Prepared, damage: str) -> None:
    """What the examples scored is the value of a COMPLETE trial in the mean, and no other's."""
    number = healthy.pruned if damage == "misplaced" else healthy.complete
    scores = np.zeros(30, dtype=np.bool_)
    content = pack(scores) + (b"?" if damage == "torn" else b"")
    with closing(sqlite3.connect(healthy.home / "studies.db")) as connection:
        connection.execute(
            "UPDATE hpsearch_curves SET outcomes = ? WHERE number = ?", (content, number)
        )
        connection.commit()
    assert {"outcomes"} == healthy.named_by()


def test_bit_of_a_curve(healthy: Prepared) -> None:
    """One bit of one loss is enough."""
    with closing(sqlite3.connect(healthy.home / "studies.db")) as connection:
        query = "SELECT epochs FROM hpsearch_curves WHERE number = ?"
        (epochs,) = connection.execute(query, (healthy.complete,)).fetchone()
        flipped = bytes([epochs[0] ^ 1]) + epochs[1:]
        connection.execute(
            "UPDATE hpsearch_curves SET epochs = ? WHERE number = ?", (flipped, healthy.complete)
        )
        connection.commit()
    assert {"run-curves"} == healthy.named_by()


def test_value_that_all_agree_on(healthy: Prepared) -> None:
    """A value that was altered everywhere is still not its curve's."""
    healthy.change("studies", f"{SET} value = 0.123 WHERE number = :c")
    healthy.change(
        "studies",
        "UPDATE trial_values SET value = 0.123 "
        "WHERE trial_id = (SELECT trial_id FROM trials WHERE number = :c)",
    )
    healthy.change(
        "mlflow", "UPDATE metrics SET value = 0.123 WHERE run_uuid = :run_c AND key = 'value'"
    )
    assert {"values", "outcomes"} == healthy.named_by()


@pytest.mark.parametrize("damage", ["deleted", "altered", "garbage", "empty"])
def test_damaged_weights(healthy: Prepared, damage: str) -> None:
    """The weights that are kept are those that were trained."""
    file = healthy.weights()
    content = file.read_bytes()
    if damage == "deleted":
        file.unlink()
    else:
        last = bytes([content[-1] ^ 1])
        file.write_bytes({"altered": content[:-1] + last, "garbage": b"?" * 99}.get(damage, b""))
    assert {"weights"} == healthy.named_by()


def test_best_trial_that_was_not_confirmed(healthy: Prepared) -> None:
    """Weights that nobody could train again yet are a note."""
    healthy.weights().unlink()
    healthy.change("studies", "UPDATE hpsearch_studies SET reproduced = NULL")
    healthy.change("mlflow", "DELETE FROM tags WHERE key = 'hpsearch.reproduced'")
    found = healthy.find()
    assert found.ok
    assert found.notes == [
        "the best trial has not been reproduced yet; `hpsearch sync` reproduces it"
    ]


def test_reproduction_names_other_bits(healthy: Prepared, hpsearch: Run) -> None:
    """A record that was altered everywhere, and consistently, is not what training gives."""
    healthy.change("studies", f"{SET} weights_sha256 = '{'0' * 64}' WHERE number = :c")
    healthy.change(
        "mlflow",
        f"UPDATE tags SET value = '{'0' * 64}' WHERE run_uuid = :run_c "
        "AND key = 'hpsearch.weights_sha256'",
    )
    assert set() == healthy.named_by()
    done = hpsearch("verify", "small", "--json", "--reproduce", "8")
    (violation,) = json.loads(done.stdout)["violations"]
    assert (done.returncode, violation["invariant"]) == (1, "reproduction")
    assert f"trial {healthy.complete}, trained again: weights" in violation["detail"]
    assert done.stderr.count("again: identical") == 7


def test_reproduction_in_another_environment(healthy: Prepared) -> None:
    """Other bits where bits need not be the same are a note."""
    from hpsearch.trust.reproduce import Reproduction

    database = Database(healthy.settings.storage)
    ledger = look.take(database, "small", healthy.settings).ledger
    database.engine.dispose()
    outcome = Reproduction(
        number=0,
        identical=False,
        within_tolerance=False,
        epochs=1,
        weights_sha256=None,
        recorded_sha256=None,
        first_difference="epoch 1",
        environment_differences=["blas: recorded A, here B"],
        rounds_alike=False,
        state={},
    )
    found = findings.train_again(
        findings.some(ledger, 3), lambda number: replace(outcome, number=number)
    )
    assert found.ok
    assert len(found.notes) == 3
    assert all("cannot be compared here: blas" in note for note in found.notes)


# -- on a server


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An MLflow server."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow-server")) as address:
        yield address


def test_postgresql_and_a_server(tmp_path: Path, fresh_postgres: str, address: str) -> None:
    """The same invariants are read over REST and from PostgreSQL; planted damage is named."""
    from mlflow import MlflowClient

    home, file = tmp_path / "home", tmp_path / "small.toml"
    places = {"HPSEARCH_STORAGE": fresh_postgres, "MLFLOW_TRACKING_URI": address}
    file.write_text(study_file.toml(study(search__trials=4, training__record="step")))
    command(home, "run", str(file), "--workers", "1", **places)
    said = command(home, "verify", "small", "--json", **places)
    assert json.loads(said)["violations"] == []

    database = Database(fresh_postgres)
    known = settings.read({"HPSEARCH_HOME": str(home), **places})

    def named() -> set[str]:
        found = findings.judge(look.take(database, "small", known))
        return {violation.invariant for violation in found.violations}

    client = MlflowClient(address)
    runs = look.take(database, "small", known).runs
    by_number = {int(r.tags["hpsearch.number"]): r for r in runs if "hpsearch.number" in r.tags}
    assert sorted(by_number) == [0, 1, 2, 3]
    client.log_metric(by_number[3].id, "step_loss", 1.0, step=99)
    assert {"run-curves"} == named()
    client.log_metric(by_number[0].id, "val_loss", 1.0, step=3)
    assert {"run-curves"} == named()
    client.set_tag(by_number[1].id, "hpsearch.seed", "1")
    assert {"run-curves", "run-tags"} == named()
    client.delete_run(by_number[2].id)
    assert {"run-curves", "run-tags", "one-run"} <= named()
    command(home, "sync", "small", **places)
    assert set() == named()
    database.engine.dispose()
