"""The runs of somebody's own study of Optuna's: each trial is there once, and all of it."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from filelock import FileLock
from optuna.trial import TrialState, create_trial

from hpsearch.errors import TrackingError
from hpsearch.projections import optuna_runs
from hpsearch.projections.optuna_content import OptunaContent
from hpsearch.projections.optuna_runs import OptunaRuns
from hpsearch.projections.written import Written
from hpsearch.settings import Settings
from tests.hpsearch.workspace import MLFLOWS_WARNINGS, Workspace

pytestmark = MLFLOWS_WARNINGS
NUMBER, PARENT, NOTE = "hpsearch.number", "mlflow.parentRunId", "mlflow.note.content"


@pytest.fixture
def study() -> optuna.Study:
    """A study of three trials, of which the last still runs."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = optuna.create_study(study_name="theirs")
    for value, state in ((0.5, TrialState.COMPLETE), (None, TrialState.PRUNED)):
        made.add_trial(create_trial(state=state, value=value, intermediate_values={1: 0.25}))
    made.ask()
    return made


def runs(book: Workspace) -> dict[str | None, Any]:
    """All runs of the study by the trial's number, None of its own."""
    experiment = book.client.get_experiment_by_name("theirs")
    found = book.client.search_runs([experiment.experiment_id])
    by_number = {run.data.tags.get(NUMBER): run for run in found}
    assert len(by_number) == len(found)
    return by_number


def test_each_trial_that_has_ended(book: Workspace, study: optuna.Study) -> None:
    """Has a run below the study's own; looked at again, nothing is written."""
    assert OptunaRuns(study, book.settings).sync() == Written(mlflow=2, other=1)
    found = runs(book)
    assert found.keys() == {None, "0", "1"}
    assert {run.info.status for run in found.values()} == {"FINISHED", "KILLED"}
    above = {run.data.tags.get(PARENT) for run in found.values()} - {None}
    assert above == {found[None].info.run_id}
    assert found["0"].data.metrics == {"intermediate_value": 0.25, "value": 0.5}
    assert not OptunaRuns(study, book.settings).sync()


def test_nothing_has_begun(book: Workspace) -> None:
    """An empty study has no runs, and no experiment."""
    empty = optuna.create_study(study_name="theirs")
    assert not OptunaRuns(empty, book.settings).sync()
    empty.enqueue_trial({"x": 1})
    assert not OptunaRuns(empty, book.settings).sync()
    assert book.client.get_experiment_by_name("theirs") is None


def test_a_trial_that_ends_now(book: Workspace, study: optuna.Study) -> None:
    """Is added, and the study's own run says so; the first time, all trials are looked at."""
    tracker = OptunaRuns(study, book.settings)
    study.tell(2, 0.125)
    assert tracker.add(study.trials[2]) == Written(mlflow=3, other=1)
    study.tell(study.ask(), 0.75)
    book.client.delete_run(runs(book)["0"].info.run_id)
    assert tracker.add(study.trials[3]) == Written(mlflow=1, other=1)
    found = runs(book)
    assert found.keys() == {None, "1", "2", "3"}
    assert found["3"].data.tags[PARENT] == found[None].info.run_id
    assert found[None].data.metrics["complete"] == 3
    assert "4 trials of a study" in found[None].data.tags[NOTE]
    assert OptunaRuns(study, book.settings).sync() == Written(mlflow=1)


def test_what_is_wrong_is_put_right(book: Workspace, study: optuna.Study) -> None:
    """A run of another trial's content is made anew, one too many is deleted, and the study's own
    run says again what it is to say."""
    tracker = OptunaRuns(study, book.settings)
    tracker.sync()
    found = runs(book)
    one, other, client = found["0"].info.run_id, found["1"].info.run_id, book.client
    client.log_metric(one, "value", 9.0)
    twin = ""
    while twin < other:  # of two runs of a trial the one whose id is the lesser counts
        made = client.create_run(found["1"].info.experiment_id, tags=dict(found["1"].data.tags))
        twin, before = made.info.run_id, twin
        if before:
            client.delete_run(before)
    client.set_tag(found[None].info.run_id, NOTE, "all is well")
    told = tracker.sync()
    assert (told.mlflow, told.other) == (1, 1)
    assert told.removed == [
        f"run {twin} deleted: a second run of trial 1",
        f"run {one} deleted: it does not agree with trial 0",
    ]
    again = runs(book)
    assert (again["1"].info.run_id, again["0"].data.metrics["value"]) == (other, 0.5)
    assert again[None].data.tags[NOTE] == found[None].data.tags[NOTE]
    assert not tracker.sync()


def test_a_run_that_lost_its_number(book: Workspace, study: optuna.Study) -> None:
    """It stands below the study's own and is no trial's: its trial gets another."""
    tracker = OptunaRuns(study, book.settings)
    tracker.sync()
    lost = runs(book)["0"].info.run_id
    book.client.delete_tag(lost, NUMBER)
    told = tracker.sync()
    assert told.removed == [f"run {lost} deleted: a run without a trial's number"]
    assert (told.mlflow, runs(book).keys()) == (1, {None, "0", "1"})


@pytest.mark.parametrize(("lacks", "removed"), [("value", 0), ("other", 1)])
def test_one_that_was_cut_short(
    book: Workspace, study: optuna.Study, lacks: str, removed: int
) -> None:
    """It is written on, unless it shows what the trial has not reported."""
    tracker = OptunaRuns(study, book.settings)
    tracker.sync()
    first = runs(book)["0"]
    client, tags = book.client, dict(first.data.tags)
    client.delete_run(first.info.run_id)
    del tags["hpsearch.state"]
    cut = client.create_run(first.info.experiment_id, first.info.start_time, tags).info.run_id
    client.log_metric(cut, "intermediate_value", 0.25, first.info.start_time + 1, 1)
    if lacks == "other":
        client.log_metric(cut, "intermediate_value", 0.5, first.info.start_time + 2, 2)
    told = tracker.sync()
    assert (told.mlflow, len(told.removed)) == (1, removed)
    again = runs(book)["0"]
    assert (again.info.run_id == cut) is (not removed)
    assert again.data.metrics == first.data.metrics
    history = client.get_metric_history(again.info.run_id, "intermediate_value")
    assert [(point.step, point.value) for point in history] == [(1, 0.25)]
    assert not tracker.sync()


def test_one_writes_at_a_time(
    book: Workspace, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another waits for so long, and then says so; the lock is of this study and this MLflow."""
    monkeypatch.setattr(optuna_runs, "_PATIENCE", 0.01)
    names: list[str] = []
    held = optuna_runs._file

    def noted(name: str) -> Any:
        names.append(name)
        return held(name)

    monkeypatch.setattr(optuna_runs, "_file", noted)
    OptunaRuns(study, book.settings).sync()
    with held(names[0]):
        with pytest.raises(TrackingError, match="another process is writing this study to MLflow"):
            OptunaRuns(study, book.settings).sync()
        other = optuna.create_study(study_name="other")
        other.tell(other.ask(), 1.0)
        assert OptunaRuns(other, book.settings).sync()
    assert not OptunaRuns(study, book.settings).sync()
    assert names[0] == names[1] != names[2]
    begun = study.trials[0].datetime_start
    assert begun is not None
    key = f"theirs\0{begun.isoformat()}\0{book.settings.tracking_uri}"
    assert names[0] == hashlib.sha256(key.encode()).hexdigest()


def test_the_lock_is_free_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after a failure."""
    monkeypatch.setattr(optuna_runs.tempfile, "gettempdir", lambda: str(tmp_path))
    with pytest.raises(ValueError, match="made up"), optuna_runs._file("a" * 64):
        raise ValueError("made up")
    (file,) = tmp_path.iterdir()
    assert file.name.endswith(f"-{'a' * 32}.lock")
    with FileLock(file, timeout=0):
        pass


def test_on_postgresql_the_lock_is_the_databases(
    fresh_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for all hosts, of this study alone; it is free again afterwards, also after a failure."""
    monkeypatch.setattr(optuna_runs, "_PATIENCE", 0.01)
    one, other = (sa.create_engine(fresh_postgres, poolclass=sa.NullPool) for _ in range(2))
    with optuna_runs._advisory(one, 5):
        stuck = pytest.raises(TrackingError, match="another process is writing this study")
        with stuck, optuna_runs._advisory(other, 5):
            pass
        with optuna_runs._advisory(other, 6):
            pass
    with pytest.raises(ValueError, match="made up"), optuna_runs._advisory(one, 5):
        raise ValueError("made up")
    with optuna_runs._advisory(other, 5):
        pass


@pytest.mark.parametrize(("dialect", "kind"), [("postgresql", "advisory"), ("sqlite", "file")])
def test_which_lock(
    study: optuna.Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dialect: str,
    kind: str,
) -> None:
    """That of the storage where it is PostgreSQL, behind Optuna's cache, too; else a file."""
    taken: list[str] = []

    def lock(name: str) -> Any:
        return lambda *_: taken.append(name) or nullcontext()  # type: ignore[func-returns-value]

    monkeypatch.setattr(optuna_runs, "_advisory", lock("advisory"))
    monkeypatch.setattr(optuna_runs, "_file", lock("file"))
    engine = type("Engine", (), {"dialect": type("Dialect", (), {"name": dialect})})
    storage = type("Storage", (), {"engine": engine})
    of: Any = OptunaContent(study, study.trials[0], None)
    for each in (storage, type("Cache", (), {"_backend": storage})):
        asker: Any = type("Study", (), {"_storage": each})
        with optuna_runs._alone(asker, of, Settings(tmp_path, "sqlite://", "sqlite://")):
            pass
    assert taken == [kind, kind]
