"""``hpsearch.track``: each trial of a study of Optuna's is in MLflow once, and all of it."""

from __future__ import annotations

import logging
import math
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

import hpsearch
from hpsearch import seams
from hpsearch.errors import StoreOpenError, TrackingError, UnknownStudyError, UsageError
from hpsearch.projections import mlflow_tables
from tests.hpsearch.workspace import MLFLOWS_WARNINGS, Workspace

pytestmark = MLFLOWS_WARNINGS
NUMBER, STATE, PARENT = "hpsearch.number", "hpsearch.state", "mlflow.parentRunId"


class Killed(BaseException):
    """The process dies here."""


class Place:
    """A workspace with an MLflow of its own."""

    def __init__(self, home: Path) -> None:
        self.file = home / "mlflow.db"

    @property
    def client(self) -> MlflowClient:
        """MLflow, read as anyone reads it."""
        return MlflowClient(f"sqlite:///{self.file}")

    def all_runs(self, name: str) -> list[Any]:
        """All runs of an experiment that are not deleted."""
        experiment = self.client.get_experiment_by_name(name)
        return list(self.client.search_runs([experiment.experiment_id])) if experiment else []

    def runs(self, name: str) -> dict[int, Any]:
        """The trials' runs by number; that each is there once is asserted."""
        runs = self.all_runs(name)
        children = [run for run in runs if NUMBER in run.data.tags]
        (parent,) = [run for run in runs if NUMBER not in run.data.tags]
        assert {parent.info.run_id} >= {run.data.tags[PARENT] for run in children}
        by_number = {int(run.data.tags[NUMBER]): run for run in children}
        assert len(by_number) == len(children)
        return by_number

    def parent(self, name: str) -> Any:
        """The study's own run."""
        (parent,) = [run for run in self.all_runs(name) if NUMBER not in run.data.tags]
        return parent

    def history(self, run: Any, metric: str) -> list[tuple[int, float]]:
        """A metric's values by step."""
        points = self.client.get_metric_history(run.info.run_id, metric)
        return sorted((point.step, point.value) for point in points)

    def everything(self) -> list[str]:
        """The whole database."""
        with closing(sqlite3.connect(self.file)) as connection:
            return list(connection.iterdump())

    def deleted(self) -> int:
        """How many runs were deleted."""
        with closing(sqlite3.connect(self.file)) as connection:
            query = "SELECT count(*) FROM runs WHERE lifecycle_stage = 'deleted'"
            return int(connection.execute(query).fetchone()[0])

    def check(self, study: optuna.Study) -> None:
        """Each trial that has ended is there, as it ended."""
        ended = [trial for trial in study.trials if trial.state.is_finished()]
        runs = self.runs(study.study_name)
        assert runs.keys() == {trial.number for trial in ended}
        for trial in ended:
            run = runs[trial.number]
            assert run.data.tags[STATE] == trial.state.name
            assert run.data.params == {name: str(value) for name, value in trial.params.items()}
            assert trial.datetime_start is not None
            assert run.info.start_time == round(trial.datetime_start.timestamp() * 1000)
            reported = sorted(trial.intermediate_values.items())
            assert self.history(run, "intermediate_value") == reported
            value = trial.value if trial.state is TrialState.COMPLETE else None
            assert run.data.metrics.get("value") == value


@pytest.fixture
def place(home: Path, mlflow_db: Path) -> Iterator[Place]:
    """The workspace that ``track`` writes to by default."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    home.mkdir()
    shutil.copy(mlflow_db, home / "mlflow.db")
    yield Place(home)
    optuna.logging.set_verbosity(before)


def objective(trial: optuna.Trial) -> float:
    """COMPLETE, PRUNED and FAIL in turn, after three reports."""
    x = trial.suggest_float("x", 0, 1)
    for step in range(3):
        trial.report(x + step, step * 10)
    if trial.number % 3 == 1:
        raise optuna.TrialPruned
    if trial.number % 3 == 2:
        raise ValueError("made up")
    return x


def optimized(name: str = "old", trials: int = 6) -> optuna.Study:
    """A study that has been run."""
    study = optuna.create_study(study_name=name, sampler=optuna.samplers.RandomSampler(1))
    study.optimize(objective, n_trials=trials, catch=[ValueError])
    return study


def test_callback_writes_each_trial_once(place: Place) -> None:
    """As it ends; tracking the study again, or in another way, adds nothing."""
    study = optuna.create_study(study_name="old", sampler=optuna.samplers.RandomSampler(1))
    tracker = hpsearch.track(study)
    study.optimize(objective, n_trials=6, catch=[ValueError], callbacks=[tracker])
    assert tracker.written == 6
    place.check(study)
    statuses = [run.info.status for _, run in sorted(place.runs("old").items())]
    assert statuses == ["FINISHED", "KILLED", "FAILED"] * 2
    before = place.everything()
    assert hpsearch.track(study).written == 0
    assert before == place.everything()
    parent = place.parent("old")
    metrics = parent.data.metrics
    assert (metrics["complete"], metrics["best_value"]) == (2.0, study.best_value)
    assert f"Best: trial {study.best_trial.number}" in parent.data.tags["mlflow.note.content"]


def test_finished_study_is_what_a_callback_writes(place: Place) -> None:
    """Afterwards, and with ask and tell, the same runs come about; later trials are added."""
    study = optimized()
    assert hpsearch.track(study).written == 6
    place.check(study)
    trial = study.ask()
    study.tell(trial, trial.suggest_float("y", 0, 1))
    assert hpsearch.track(study).written == 1
    place.check(study)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_what_trials_may_hold(place: Place) -> None:
    """Choices of any kind, odd names, attributes, and values that MLflow does not keep."""
    study = optuna.create_study(study_name="a/b 'c'", direction="maximize")
    study.set_metric_names(["score (%)"])
    study.enqueue_trial({"lr (log)": 0.5})
    trial = study.ask()
    trial.suggest_float("lr (log)", 0, 1)
    kind = trial.suggest_categorical("kind", ["1", 1, None])
    trial.suggest_categorical("../up", ["x"])
    trial.set_user_attr("note", {"by": "ada"})
    for step, value in enumerate([math.nan, math.inf, -0.0]):
        trial.report(value, step)
    study.tell(trial, 0.25)
    waiting = study.ask()
    assert hpsearch.track(study).written == 1
    run = place.runs("a/b 'c'")[0]
    assert run.data.params["lr _28_log_29_"] == "0.5"
    assert run.data.params["kind"] == {"1": '"1"', 1: "1", None: "null"}[kind]
    assert run.data.params["_2e__2e__2f_up"] == "x"
    assert run.data.metrics["score _28__25__29_"] == 0.25
    assert run.data.tags["note"] == '{"by":"ada"}'
    before = place.everything()
    assert hpsearch.track(study).written == 0
    assert before == place.everything()
    study.tell(waiting, state=TrialState.FAIL)
    assert hpsearch.track(study).written == 1


def test_several_objectives(place: Place) -> None:
    """Each is a metric; the study's run names the trials that no other beats in all of them."""
    study = optuna.create_study(study_name="two", directions=["minimize", "maximize"])
    for values in ([1.0, 2.0], [2.0, 1.0], [0.5, 0.5]):
        study.tell(study.ask(), values)
    hpsearch.track(study)
    assert place.runs("two")[1].data.metrics == {"value_0": 2.0, "value_1": 1.0}
    note = place.parent("two").data.tags["mlflow.note.content"]
    assert "- trial 0:" in note
    assert "- trial 1:" not in note
    assert hpsearch.track(study).written == 0


@pytest.mark.parametrize("way", ["tables", "client"])
@pytest.mark.parametrize("seam", ["run-created", "run-logged", "run-ended"])
def test_what_was_killed_is_completed(
    place: Place, monkeypatch: pytest.MonkeyPatch, seam: str, way: str
) -> None:
    """Half a run, which the client alone leaves, is written on; nothing is deleted or doubled."""
    study = optimized()
    if way == "client":
        monkeypatch.setattr(mlflow_tables, "KNOWN", "another")

    def plug(name: str) -> None:
        if name == seam:
            raise Killed

    monkeypatch.setattr(seams, "plug", plug)
    with pytest.raises(Killed):
        hpsearch.track(study)
    left = {0} if seam == "run-ended" or way == "client" else set()
    assert place.runs("old").keys() == left
    monkeypatch.setattr(seams, "plug", None)
    assert hpsearch.track(study).written == (5 if seam == "run-ended" else 6)
    place.check(study)
    assert place.deleted() == 0


def test_run_of_another_study_of_the_name_is_left_alone(place: Place) -> None:
    """A study that was made again has runs of its own."""
    hpsearch.track(optimized())
    assert hpsearch.track(optimized()).written == 6
    assert len(place.all_runs("old")) == 14
    assert place.deleted() == 0


def test_run_that_a_person_changed_is_written_anew(place: Place) -> None:
    """One that claims to be whole and is not is deleted, in MLflow's sense."""
    study = optimized()
    hpsearch.track(study)
    place.client.set_tag(place.runs("old")[0].info.run_id, STATE, "PRUNED")
    assert hpsearch.track(study).written == 1
    place.check(study)


def test_outage_ends_no_search(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once, and a later trial brings what was missed."""
    study = optuna.create_study(study_name="old", sampler=optuna.samplers.RandomSampler(1))
    tracker = hpsearch.track(study)

    def away(name: str) -> None:
        if name == "run-created" and len(study.trials) in (3, 4):
            raise TrackingError("MLflow: gone")

    monkeypatch.setattr(seams, "plug", away)
    with caplog.at_level(logging.WARNING, "hpsearch"):
        study.optimize(objective, n_trials=6, catch=[ValueError], callbacks=[tracker])
    assert [record.name for record in caplog.records].count("hpsearch") == 1
    place.check(study)


PROGRAM = """
import optuna, hpsearch
study = optuna.load_study(study_name="old", storage="sqlite:///optuna.db")
objective = lambda trial: trial.suggest_float("x", 0, 1)
study.optimize(objective, n_trials=5, callbacks=[hpsearch.track(study)])
"""


def test_several_processes(place: Place, tmp_path: Path) -> None:
    """Each tracks what it runs, and all of it is there once; so it is by the storage's address."""
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    study = optuna.create_study(study_name="old", storage=url)
    words = [sys.executable, "-c", PROGRAM]
    processes = [subprocess.Popen(words, cwd=tmp_path) for _ in range(2)]
    assert [process.wait(300) for process in processes] == [0, 0]
    place.check(study)
    assert len(study.trials) == 10
    before = place.everything()
    assert hpsearch.track(url).written == 0
    assert hpsearch.track(url, "old").written == 0
    assert before == place.everything()


def test_another_mlflow_and_experiment(place: Place, tmp_path: Path, mlflow_db: Path) -> None:
    """Both are to be chosen; an experiment may hold several studies."""
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(mlflow_db, other / "mlflow.db")
    uri = f"sqlite:///{other / 'mlflow.db'}"
    for name in ("one", "two"):
        study = optimized(name, 2)
        assert hpsearch.track(study, tracking_uri=uri, experiment="both").written == 2
        assert hpsearch.track(study, tracking_uri=uri, experiment="both").written == 0
    assert len(Place(other).all_runs("both")) == 6
    assert place.all_runs("one") == []


def test_study_without_a_trial_has_no_run(place: Place) -> None:
    """There is nothing to tell it by before its first trial begins."""
    study = optuna.create_study(study_name="old")
    study.enqueue_trial({"x": 0.5})
    assert hpsearch.track(study).written == 0
    assert place.all_runs("old") == []


def test_wrong_arguments(place: Place, tmp_path: Path) -> None:
    """Each is a line that says what to do."""
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    with pytest.raises(StoreOpenError, match="no such file"):
        hpsearch.track(url)
    studies = [optuna.create_study(study_name=name, storage=url) for name in ("a", "b")]
    with pytest.raises(UsageError, match="several studies; name one of them: 'a', 'b'"):
        hpsearch.track(url)
    with pytest.raises(UnknownStudyError, match="no study 'c'"):
        hpsearch.track(url, "c")
    with pytest.raises(UsageError, match="belongs to the address of a storage"):
        hpsearch.track(studies[0], "a")
    assert place.all_runs("a") == []


def test_study_of_hpsearch_is_refused(workspace: Callable[..., Workspace]) -> None:
    """Its copy in Optuna's storage is not tracked a second time."""
    book = workspace()
    book.complete()
    book.sync()
    with pytest.raises(UsageError, match="hpsearch sync"):
        hpsearch.track(book.settings.storage, "small")
