"""A run that is written to MLflow's tables is the run that MLflow's client writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow.store.db.utils import _get_latest_schema_revision

from hpsearch.errors import TrackingError
from hpsearch.ledger.records import State, Trial, curve
from hpsearch.projections import mlflow_client, mlflow_tables
from hpsearch.projections.mlflow_runs import Tracking
from hpsearch.projections.run_content import TrialRun
from hpsearch.settings import Settings
from tests.hpsearch.projections.test_mlflow_content import content, trial
from tests.hpsearch.workspace import MLFLOWS_WARNINGS

pytestmark = MLFLOWS_WARNINGS
ROWS = curve([(1.0, 0.1, np.inf, 0.2), (0.5, 0.3, -np.inf, -0.0), (0.25, 0.4, 5e-324, np.nan)])


def settings(home: Path) -> Settings:
    """An empty workspace."""
    return Settings(home, f"sqlite:///{home / 'studies.db'}", f"sqlite:///{home / 'mlflow.db'}")


def run(of: Trial, parent: str | None = "above") -> TrialRun:
    """What a trial's run is to hold."""
    made = content().run(of, ROWS, np.array([0.5, np.nan]), parent=parent, commit="c" * 40)
    named = {name: getattr(made, name) for name in made.__slots__}
    return TrialRun(**named | {"files": {"a.toml": "b = 'é'\n", "log.txt": ""}})


def everything(home: Path, run_id: str) -> dict[str, Any]:
    """Every row of MLflow's database but the experiment's, and every artifact.

    Ids are given names, in the order of the rows.
    """
    names: dict[str, str] = {run_id: "run", str(home): "home"}

    def named(value: Any, column: str) -> Any:
        if column in ("dataset_uuid", "input_uuid", "source_id"):
            return names.setdefault(value, f"id {len(names)}")
        for known, name in names.items():
            value = value.replace(known, name) if isinstance(value, str) else value
        return value

    found: dict[str, Any] = {}
    with closing(sqlite3.connect(home / "mlflow.db")) as connection:
        connection.row_factory = sqlite3.Row
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for table in sorted({name for (name,) in tables} - {"experiments", "experiment_tags"}):
            rows = map(dict, connection.execute(f"SELECT * FROM {table}").fetchall())
            each = [{column: named(of, column) for column, of in row.items()} for row in rows]
            found[table] = sorted(each, key=repr)
    folder = home / "artifacts" / run_id / "artifacts"
    found["files"] = {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
    return found


def test_the_tables_are_known() -> None:
    """They are of the locked MLflow.

    If this fails, MLflow's tables have changed. Until ``KNOWN`` says the new revision, runs are
    written by its client, which is right, and takes ten times as long. The next test then tells
    whether ``insert`` has to change.
    """
    assert _get_latest_schema_revision() == mlflow_tables.KNOWN  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "of",
    [
        trial(),
        trial(state=State.PRUNED, value=None),
        trial(state=State.FAIL, value=None, reason="crashed"),
        trial(value=float("inf"), params={}),
    ],
    ids=["complete", "pruned", "failed", "bare"],
)
def test_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: Trial) -> None:
    """Whichever way a run is written, the database holds the same afterwards, and so do files."""
    written = []
    for way, revision in [("tables", mlflow_tables.KNOWN), ("client", "another")]:
        monkeypatch.setattr(mlflow_tables, "KNOWN", revision)
        home = tmp_path / way
        home.mkdir()
        tracking = Tracking(settings(home), content())
        assert (tracking._mlflow.tables is None) is (way == "client")
        written.append(everything(home, tracking.write(run(of))))
    assert written[0].pop("files") == written[1].pop("files")
    assert written[0] == written[1]
    assert len(written[0]["runs"]) == 1


def test_what_the_client_reads(tmp_path: Path) -> None:
    """A run's points, and the same data for two of them."""
    tracking = Tracking(settings(tmp_path), content())
    wanted = run(trial())
    ids = [tracking.write(wanted), tracking.write(wanted)]
    client = mlflow.MlflowClient(settings(tmp_path).tracking_uri)
    for run_id in ids:
        shown = client.get_run(run_id)
        assert (shown.info.status, shown.info.end_time) == ("FINISHED", wanted.end)
        assert shown.data.params == {**wanted.shared, **wanted.params}
        losses = client.get_metric_history(run_id, "val_loss")
        assert [each.step for each in losses] == [1, 2, 3]
        assert len(shown.inputs.dataset_inputs) == 1
    tracking_index = tracking.look()
    assert tracking.complete(tracking_index.children[3], wanted)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        assert connection.execute("SELECT count(*) FROM datasets").fetchone() == (1,)


def failing(*_: Any, **__: Any) -> None:
    """Fail as a full disk does."""
    raise OSError("no space left")


def seam_at(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Fail where the writer passes."""

    def passed(seam: str) -> None:
        if seam == name:
            failing()

    monkeypatch.setattr(mlflow_tables, "seam", passed)


@pytest.mark.parametrize(
    "fault",
    [
        lambda patch: seam_at(patch, "run-created"),
        lambda patch: seam_at(patch, "run-logged"),
        lambda patch: patch.setattr(Path, "write_text", failing),
    ],
    ids=["created", "logged", "files"],
)
def test_all_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """What fails on the way leaves no run, and is told in a line."""
    tracking = Tracking(settings(tmp_path), content())
    with monkeypatch.context() as patch:
        fault(patch)
        with pytest.raises(TrackingError, match="no space left"):
            tracking.write(run(trial()))
    for table in ("runs", "tags", "metrics", "inputs"):
        with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
            count = connection.execute(f"SELECT count(*) FROM {table}")
            assert count.fetchone() == (0,), table
    tracking.write(run(trial()))
    assert list(tracking.look().children) == [3]


def test_artifacts_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an experiment keeps its files by MLflow's means, the client writes the run."""
    tracking = Tracking(settings(tmp_path), content())
    tracking.experiment = tracking._client.create_experiment("e", "s3://there/x")
    asked: list[str] = []
    monkeypatch.setattr(
        mlflow.MlflowClient, "log_text", lambda _, __, ___, name: asked.append(name)
    )
    run_id = tracking.write(run(trial()))
    assert asked == ["a.toml", "log.txt"]
    assert tracking._client.get_run(run_id).info.artifact_uri == f"s3://there/x/{run_id}/artifacts"


def test_a_deleted_experiment(tmp_path: Path) -> None:
    """It gets no run, and the client says why."""
    tracking = Tracking(settings(tmp_path), content())
    tracking._client.delete_experiment(str(tracking.experiment))
    with pytest.raises(TrackingError, match="must be in the 'active' state"):
        tracking.write(run(trial()))


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "postgresql://u@127.0.0.1/mlflow"])
def test_others_tables_are_left_alone(tmp_path: Path, uri: str) -> None:
    """Behind an address nobody knows what tables there are, and a server's are others', too."""
    assert mlflow_client._own_tables(replace(settings(tmp_path), tracking_uri=uri)) is None


@pytest.mark.parametrize(("mode", "waits"), [("wal", 1), ("delete", 2)])
def test_the_disk_is_waited_for_without_a_log(tmp_path: Path, mode: str, waits: int) -> None:
    """A commit that does not wait damages nothing only beside a write-ahead log."""
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
    engine = mlflow_client._engine(settings(tmp_path).tracking_uri)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == waits


def test_a_new_database_does_not_take_another_ones_log(tmp_path: Path) -> None:
    """Whoever deletes mlflow.db alone leaves its log, which SQLite would read into the new one."""
    file = tmp_path / "mlflow.db"
    mlflow_client.Connection(settings(tmp_path))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE old (x)")
        log = file.with_name("mlflow.db-wal").read_bytes()
    for each in tmp_path.glob("mlflow.db*"):
        each.unlink()
    file.with_name("mlflow.db-wal").write_bytes(log)
    mlflow_client.Connection(settings(tmp_path))
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'old'").fetchall()
