"""The projections are brought to what the ledger says, whatever happened to them."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from typing import Any

import mlflow
import numpy as np
import optuna
import pytest
from safetensors.numpy import load_file

from hpsearch.commands import keep
from hpsearch.errors import StoreAwayError, TrackingError, UnknownStudyError
from hpsearch.ledger.records import State, weights_digest
from hpsearch.ledger.store import Store
from hpsearch.projections import mlflow_runs, mlflow_tables, optuna_copy, projector, runs
from hpsearch.projections.written import Written
from hpsearch.trust.estimate import correction
from hpsearch.verify import look, tracking_invariants
from hpsearch.verify.findings import Violation, judge
from tests.conftest import study
from tests.hpsearch.workspace import MLFLOWS_WARNINGS, Again, Workspace, rows

COMPLETE, PRUNED, FAIL = State.COMPLETE, State.PRUNED, State.FAIL
Make = Callable[..., Workspace]

pytestmark = MLFLOWS_WARNINGS


class Killed(BaseException):
    """The process dies here."""


def kill_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, after: bool) -> None:
    """Die at a call, before or after it has done its work."""
    call = getattr(owner, name)

    def dies(*arguments: Any, **options: Any) -> Any:
        if after:
            call(*arguments, **options)
        raise Killed(name)

    monkeypatch.setattr(owner, name, dies)


def followed(workspace: Workspace, troubles: list[str], **options: Any) -> Callable[[], None]:
    """Follow on a thread; what is returned stops it and waits."""
    stop = threading.Event()
    follow = workspace.projector(**options).follow
    thread = threading.Thread(target=follow, args=(stop, troubles.append))
    thread.start()

    def end() -> None:
        stop.set()
        thread.join(120)
        assert not thread.is_alive()

    return end


def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def projected(workspace: Workspace) -> bool:
    """Whether nothing is missing, by the marks."""
    return workspace.store.counts(workspace.record.id).unprojected == 0


# -- sync


def test_sync_writes_what_is_missing_and_then_nothing(book: Workspace) -> None:
    """The first time everything is written; the second time not a row and not a file."""
    book.run(COMPLETE, PRUNED, FAIL, COMPLETE)
    first = book.sync()
    assert (first.optuna, first.mlflow, first.removed) == (4, 4, [])
    before = book.everything()
    again = book.sync()
    assert not again
    assert Written() == again
    assert before == book.everything()


def test_sync_writes_nothing_for_a_study_that_is_done(book: Workspace) -> None:
    """Weights and summary, too, are written once."""
    book.complete()
    again = Again()
    book.sync(retrain=again)
    before = book.everything()
    assert not book.sync(retrain=again)
    assert before == book.everything()
    assert len(again.trained) == 1


def test_sync_of_an_empty_study(book: Workspace) -> None:
    """A study without trials has its own run and nothing else."""
    assert book.sync()
    assert book.runs() == {}
    assert not book.sync()


def test_marks(book: Workspace) -> None:
    """The ledger knows which run is which trial's, and that nothing is missing."""
    book.run(COMPLETE, PRUNED)
    book.sync()
    assert {n: run.info.run_id for n, run in book.runs().items()} == {
        trial.number: trial.mlflow_run_id for trial in book.trials
    }
    assert projected(book)


def test_without_tracking(workspace: Make) -> None:
    """Only Optuna's storage is written, and MLflow is caught up with later."""
    book = workspace()
    book.run(COMPLETE, COMPLETE)
    assert Written(optuna=2) == book.sync(tracking=False)
    assert book.store.counts(book.record.id).unprojected == 2
    assert book.sync().mlflow == 2


def test_step_writes_what_is_new(book: Workspace) -> None:
    """After the first look, the marks say what is to be done."""
    projecting = book.projector()
    book.run(COMPLETE)
    assert projecting.step().mlflow == 1
    book.run(COMPLETE, PRUNED)
    assert ((written := projecting.step()).optuna, written.mlflow) == (2, 2)
    assert not projecting.step()
    assert {0, 1, 2} == book.runs().keys()


# -- what a crash leaves

SEAMS: list[tuple[Any, str]] = [
    (mlflow.MlflowClient, "create_run"),
    (mlflow.MlflowClient, "log_batch"),
    (mlflow.MlflowClient, "log_text"),
    (mlflow.MlflowClient, "log_inputs"),
    (mlflow.MlflowClient, "set_terminated"),
    (Store, "mark_mlflow"),
    (Store, "mark_parent"),
    (Store, "mark_optuna"),
    (optuna_copy, "insert"),
    (mlflow_runs, "insert"),
]
"""Those of the client's are tried with a trial whose run the client writes, too."""


def by_client(monkeypatch: pytest.MonkeyPatch, owner: Any) -> None:
    """Have runs written by the client, where it is to fail."""
    if owner is mlflow.MlflowClient:
        monkeypatch.setattr(mlflow_tables, "KNOWN", "another")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "name"), SEAMS)
def test_killed_at_every_seam(
    book: Workspace, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, after: bool
) -> None:
    """Whatever call a projector dies at, the next one makes it whole, once."""
    book.run(COMPLETE)
    by_client(monkeypatch, owner)
    with monkeypatch.context() as patch:
        kill_at(patch, owner, name, after=after)
        with pytest.raises(Killed):
            book.sync()
    book.run(PRUNED)
    written = book.sync()
    assert written.removed == []
    assert [book.runs()[n].info.status for n in (0, 1)] == ["FINISHED", "KILLED"]
    book.check_curves()
    assert [
        trial.number
        for trial in optuna.load_study(
            storage=book.settings.storage, study_name=book.record.name
        ).trials
    ] == [0, 1]
    assert projected(book)
    assert not book.sync()


WRITES = [
    *(
        (mlflow.MlflowClient, n)
        for n in ("create_run", "log_batch", "log_inputs", "set_terminated")
    ),
    (mlflow_runs, "insert"),
]


@pytest.mark.parametrize(("owner", "name"), WRITES)
def test_a_mark_says_that_all_is_there(
    book: Workspace, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    """A trial is marked last: whatever write to MLflow fails, the mark is not there."""
    by_client(monkeypatch, owner)
    book.sync()  # the study's own run is there, and is written by the same calls
    projecting = book.projector()
    projecting.step()
    book.run(COMPLETE)
    kill_at(monkeypatch, owner, name, after=False)
    with pytest.raises(Killed):
        projecting.step()
    assert [(trial.in_optuna, trial.in_mlflow) for trial in book.trials] == [(True, False)]


def test_a_mark_says_that_the_copy_is_there(
    book: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for Optuna's storage."""
    book.run(COMPLETE)
    kill_at(monkeypatch, optuna_copy, "insert", after=False)
    with pytest.raises(Killed):
        book.sync()
    assert not book.trials[0].in_optuna


@pytest.mark.parametrize("asked", [0, 1], ids=["before it looks", "before it deletes"])
def test_nothing_is_written_beside_another(book: Workspace, asked: int) -> None:
    """One that has lost its lock writes no run, deletes none and marks none."""
    book.run(COMPLETE)
    book.sync()
    doomed = book.runs()[0].info.run_id
    book.client.set_tag(doomed, "hpsearch.state", "PRUNED")
    book.run(COMPLETE)
    before = book.everything()
    answers = iter([None] * asked)

    def lost() -> None:
        if next(answers, StoreAwayError):
            raise StoreAwayError("the lock is lost")

    writer = runs.Runs(book.store, book.record, book.settings, None)
    with pytest.raises(StoreAwayError):
        writer.bring(book.trials, lost, ending=True)
    assert before == book.everything()


# -- what others did to the runs


def test_doubles_and_orphans_go(book: Workspace) -> None:
    """Of two runs of a trial the first id stays; a run of no trial goes; each with a line."""
    book.run(COMPLETE, COMPLETE)
    book.sync()
    real = book.runs()[1]
    ours = ("hpsearch", "mlflow.parent", "mlflow.source")
    tags = {k: v for k, v in real.data.tags.items() if k.startswith(ours)}
    double = book.client.create_run(
        real.info.experiment_id, real.info.start_time, {**tags, "hpsearch.state": "RUNNING"}
    )
    orphan = book.client.create_run(real.info.experiment_id, 1, {**tags, "hpsearch.number": "77"})
    strange = book.client.create_run(real.info.experiment_id, 1, {**tags, "hpsearch.number": "x"})
    alone = ("hpsearch.number", "mlflow.parentRunId")
    parent = book.client.create_run(
        real.info.experiment_id, 1, {k: v for k, v in tags.items() if k not in alone}
    )
    removed = book.sync().removed
    assert len(removed) == 4
    text = "\n".join(removed)
    assert all(run.info.run_id in text for run in (orphan, strange))
    assert sum(run.info.run_id in text for run in (real, double)) == 1
    assert parent.info.run_id in text or "second parent run" in text
    assert {0, 1} == book.runs().keys()
    book.check_curves()
    assert not book.sync()


@pytest.mark.parametrize(
    "damage",
    [
        lambda client, run: client.log_metric(run, "value", 7.0, 2**41, 99),
        lambda client, run: client.log_metric(run, "val_loss", 7.0, 2**41, 99),
        lambda client, run: client.set_tag(run, "hpsearch.weights_sha256", "00"),
        lambda client, run: client.set_tag(run, "hpsearch.state", "PRUNED"),
        lambda client, run: client.set_tag(run, "hpsearch.reason", "made up"),
        lambda client, run: client.set_terminated(run, "FAILED"),
        lambda client, run: client.set_terminated(run, "FINISHED", 2**41),
        lambda client, run: client.delete_tag(run, "hpsearch.seed"),
        lambda client, run: client.delete_run(run),
    ],
    ids=["value", "curve", "weights", "state", "reason", "status", "end", "seed", "deleted"],
)
def test_damaged_run_is_built_again(book: Workspace, damage: Callable[[Any, str], None]) -> None:
    """A run that says something else than the ledger is deleted, and a right one is written."""
    book.run(COMPLETE, COMPLETE)
    book.sync()
    before = book.runs()[0].info.run_id
    damage(book.client, before)
    written = book.sync()
    assert written.mlflow == 1
    assert before != book.runs()[0].info.run_id == book.trials[0].mlflow_run_id
    book.check_curves()
    assert not book.sync()


@pytest.mark.parametrize("wrong", ["param", "seed", "start", None])
def test_what_is_written_on(book: Workspace, wrong: str | None) -> None:
    """A run that was cut short is gone on with if it holds what its trial is, else deleted."""
    book.run(COMPLETE, COMPLETE)
    book.sync()
    real = book.runs()[0]
    book.client.delete_run(real.info.run_id)
    tags = {**real.data.tags, "hpsearch.state": "RUNNING"}
    if wrong == "seed":
        tags["hpsearch.seed"] = "7"
    start = real.info.start_time + (wrong == "start")
    cut = book.client.create_run(real.info.experiment_id, start, tags).info.run_id
    lr = real.data.params["training.lr"]
    book.client.log_param(cut, "training.lr", "0.5" if wrong == "param" else lr)
    written = book.sync()
    assert len(written.removed) == (wrong is not None)
    assert (cut == book.runs()[0].info.run_id) == (wrong is None)
    assert real.data.params == book.runs()[0].data.params
    book.check_curves()
    assert not book.sync()


def test_a_run_left_running_is_ended(book: Workspace) -> None:
    """A whole run whose end alone is missing is ended, and stays the same run."""
    book.run(COMPLETE)
    book.sync()
    run = book.runs()[0].info.run_id
    book.client.update_run(run, status="RUNNING")
    assert book.sync().removed == []
    assert (run, "FINISHED") == (book.runs()[0].info.run_id, book.runs()[0].info.status)


def test_lost_mlflow_database(book: Workspace) -> None:
    """With mlflow.db deleted, all of it is built again, the best weights included."""
    book.complete()
    again = Again()
    book.sync(retrain=again)
    for file in book.settings.home.glob("mlflow.db*"):
        file.unlink()
    assert book.sync(retrain=again).mlflow == 6
    book.check_curves()
    assert len(again.trained) == 2
    assert not book.sync(retrain=again)


def test_lost_parent(book: Workspace) -> None:
    """A parent run that was deleted is made again, and its children go under the new one."""
    book.run(COMPLETE)
    book.sync()
    book.client.delete_run(book.parent().info.run_id)
    child = book.runs()[0].info.run_id
    assert book.sync()
    assert child == book.runs()[0].info.run_id
    assert book.parent().info.run_id == book.runs()[0].data.tags["mlflow.parentRunId"]
    assert not book.sync()


def test_deleted_experiment_comes_back(book: Workspace) -> None:
    """An experiment deleted by hand is restored, since its name cannot be used otherwise."""
    book.run(COMPLETE)
    book.sync()
    book.client.delete_experiment(book.parent().info.experiment_id)
    book.run(COMPLETE)
    assert book.sync().mlflow == 1
    assert {0, 1} == book.runs().keys()


# -- retries


@pytest.mark.parametrize("live", [True, False], ids=["while following", "between syncs"])
def test_retried_trial_is_written_again(book: Workspace, live: bool) -> None:
    """What a FAIL trial had is replaced once it was run again."""
    book.run(COMPLETE, FAIL, COMPLETE)
    projecting = book.projector()
    projecting.step()
    failed = book.runs()[1].info.run_id
    book.store.retry(book.record.id)
    book.finish(book.claim(), epochs=2)
    written = projecting.step() if live else book.sync()
    assert len(written.removed) == 1
    assert failed in written.removed[0]
    run = book.runs()[1]
    assert (run.info.status, run.data.tags["hpsearch.state"]) == ("FINISHED", "COMPLETE")
    assert "hpsearch.reason" not in run.data.tags
    book.check_curves()
    copied = optuna.load_study(storage=book.settings.storage, study_name=book.record.name)
    assert copied.trials[1].state == optuna.trial.TrialState.COMPLETE
    book.sync()  # a step leaves the summary for later
    assert not book.sync()


# -- trials that run


def test_long_trial_has_a_run_early(book: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that trains for seconds is seen RUNNING, with its params, and ends in that run."""
    projecting = book.projector()
    number = book.claim()
    projecting.step()
    assert book.runs() == {}
    monkeypatch.setattr(runs, "_EARLY", 0.0)
    projecting.step()
    run = book.runs()[number]
    assert (run.info.status, run.data.tags["hpsearch.state"]) == ("RUNNING", "RUNNING")
    assert repr(book.params(number)["training.lr"]) == run.data.params["training.lr"]
    assert not projecting.step()
    book.finish(number)
    projecting.step()
    assert (run.info.run_id, "FINISHED") == (
        book.runs()[number].info.run_id,
        book.runs()[number].info.status,
    )
    book.check_curves()
    book.sync()
    assert not book.sync()


def test_trial_handed_back_leaves_no_run_running(
    book: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial given back is KILLED until another worker takes it, then RUNNING in the same run."""
    monkeypatch.setattr(runs, "_EARLY", 0.0)
    projecting = book.projector()
    number = book.claim()
    projecting.step()
    book.leases.hand_back(number)
    projecting.step()
    run = book.runs()[number]
    assert (run.info.status, run.data.tags["hpsearch.state"]) == ("KILLED", "WAITING")
    assert not projecting.step()
    assert number == book.claim()
    projecting.step()
    assert book.runs()[number].info.status == "RUNNING"
    book.leases.hand_back(number)
    book.sync()
    assert book.runs()[number].info.status == "KILLED"
    assert not book.sync()
    book.finish(book.claim())
    assert book.sync().mlflow == 1
    assert (run.info.run_id, "FINISHED") == (
        book.runs()[number].info.run_id,
        book.runs()[number].info.status,
    )


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials that run are shown from their first moment on, and at every look."""
    monkeypatch.setattr(runs, "_EARLY", 0.0)
    monkeypatch.setattr(runs, "_REFRESH", 0.0)


def shown(book: Workspace, number: int) -> list[float]:
    """What the run of a trial shows of its validation loss, by step."""
    history = book.client.get_metric_history(book.runs()[number].info.run_id, "val_loss")
    assert [m.step for m in history] == list(range(1, len(history) + 1))
    return [metric.value for metric in history]


def violations(book: Workspace) -> list[Violation]:
    """What ``verify`` finds wrong in MLflow."""
    found = judge(look.take(book.store.database, book.record.name, book.settings))
    return [each for each in found.violations if each.invariant in tracking_invariants.INVARIANTS]


@pytest.mark.usefixtures("at_once")
def test_running_trial_shows_its_epochs(book: Workspace) -> None:
    """They come as its worker shows them, and end in the same run as the ledger's, once each."""
    projecting, number = book.projector(), book.claim()
    projecting.step()
    for epochs in (1, 3, 3, 7):
        book.leases.renew(number, rows(number, 8)[:epochs])
        projecting.step()
        assert rows(number, 8)[:epochs, 2].tolist() == shown(book, number)
    assert not projecting.step()
    run = book.runs()[number].info
    assert (run.status, violations(book)) == ("RUNNING", [])
    book.finish(number, epochs=8)
    projecting.step()
    ended = book.runs()[number].info
    assert (run.run_id, "FINISHED") == (ended.run_id, ended.status)
    book.check_curves()
    book.sync()
    assert not book.sync()
    assert violations(book) == []


@pytest.mark.usefixtures("at_once")
def test_epochs_wait_for_their_turn(book: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two looks at the running trials lie some seconds, however often one is due."""
    projecting, number = book.projector(), book.claim()
    book.leases.renew(number, rows(number, 1))
    projecting.step()
    monkeypatch.setattr(runs, "_REFRESH", 60.0)
    book.leases.renew(number, rows(number, 2))
    assert not projecting.step()
    assert len(shown(book, number)) == 1


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("other", [False, True], ids=["the same bits", "other bits"])
@pytest.mark.parametrize("killed", [False, True], ids=["", "and the projector killed"])
def test_attempt_that_is_begun_again(book: Workspace, *, other: bool, killed: bool) -> None:
    """It goes on in the run of the first; where it differs, the run is made anew."""
    projecting, number = book.projector(), book.claim()
    projecting.step()
    book.leases.renew(number, rows(number, 8)[:5])
    projecting.step()
    first = book.runs()[number].info.run_id
    book.leases.hand_back(number)
    projecting.step()
    if killed:
        projecting = book.projector()
    assert number == book.claim()
    again = rows(number + other, 8)
    for epochs in (2, 6):
        book.leases.renew(number, again[:epochs])
        projecting.step()
        projecting.step()
    assert again[:6, 2].tolist() == shown(book, number)
    assert (first != book.runs()[number].info.run_id) is other
    book.finish(number, curve=again, value=float(again[-1, 3]))
    projecting.step()
    book.check_curves()
    book.sync()
    assert not book.sync()


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("ended", [COMPLETE, FAIL])
def test_projector_that_dies_while_a_trial_runs(book: Workspace, ended: State) -> None:
    """``sync`` ends the run as the trial ended, whatever its run had shown before."""
    projecting, number = book.projector(), book.claim()
    projecting.step()
    book.leases.renew(number, rows(number, 5))
    projecting.step()
    if ended is FAIL:  # given up, it has no curve
        book.finish(number, FAIL, curve=np.zeros((0, 4)))
    else:
        book.finish(number, epochs=3)  # of another seed, say: the fifth is not among them
    written = book.sync()
    assert (written.mlflow, len(written.removed)) == (1, 1)
    assert book.runs()[number].info.status == {FAIL: "FAILED", COMPLETE: "FINISHED"}[ended]
    book.check_curves()
    assert not book.sync()


@pytest.mark.usefixtures("at_once")
def test_epochs_that_mlflow_cannot_hold(book: Workspace) -> None:
    """A metric that is no number, infinite, or -0.0 is known again by what MLflow made of it."""
    projecting, number = book.projector(), book.claim()
    wild = np.array([[np.nan, np.inf, -np.inf, -0.0], [1e-320, 0.1, 1e308, 0.5]])
    projecting.step()
    book.leases.renew(number, wild[:1])
    projecting.step()
    run = book.runs()[number].info.run_id
    book.finish(number, curve=wild, value=0.5)
    written = book.sync()
    assert (written.removed, run) == ([], book.runs()[number].info.run_id)
    assert not book.sync()
    assert violations(book) == []


def test_parent_says_how_the_study_stands(book: Workspace) -> None:
    """RUNNING while someone works on it, KILLED while trials are left and nobody does, FINISHED."""
    number = book.claim()
    book.sync()
    assert book.parent().info.status == "RUNNING"
    book.leases.hand_back(number)
    book.sync()
    assert book.parent().info.status == "KILLED"
    book.complete()
    book.sync()
    parent = book.parent()
    assert parent.info.status == "FINISHED"
    assert round(max(t.ended or 0 for t in book.trials) * 1000) == parent.info.end_time
    best = book.store.best(book.record)
    assert best is not None
    assert best.value == parent.data.metrics["best_value"]
    assert f"trial {best.number}" in parent.data.tags["mlflow.note.content"]


def test_parent_run_has_the_corrected_value(book: Workspace) -> None:
    """When the study is done, its run has the best value corrected for having been chosen."""
    rng = np.random.default_rng(0)
    for _ in range(6):
        book.finish(book.claim(), outcomes=rng.random(40) < 0.7)
    book.sync()
    honest = correction(book.store, book.record)
    metrics = book.parent().data.metrics
    assert honest.estimate is not None
    assert honest.estimate.value == metrics["corrected_value"]
    assert metrics["corrected_low"] < metrics["corrected_value"] < metrics["corrected_high"]
    assert "Corrected for choosing among 6" in book.parent().data.tags["mlflow.note.content"]


# -- the best trial's weights


def test_best_weights_are_kept(book: Workspace) -> None:
    """Once the study is done its best trial is trained again, and the weights are in its run."""
    book.run(COMPLETE)
    again = Again()
    book.sync(retrain=again)
    assert again.trained == []
    book.complete()
    book.sync(retrain=again)
    best = book.store.best(book.record)
    assert best is not None
    assert [best.number] == again.trained
    run = book.runs()[best.number]
    assert run.data.tags["hpsearch.reproduced"] == "true"
    assert book.parent().data.tags["hpsearch.reproduced"] == "true"
    file = book.client.download_artifacts(run.info.run_id, "weights.safetensors")
    assert best.weights_sha256 == weights_digest(load_file(file))
    reproduced = book.store.study(book.record.name).reproduced
    assert reproduced is not None
    assert (best.number, True) == (reproduced["number"], reproduced["identical"])


def test_best_that_does_not_reproduce(book: Workspace) -> None:
    """Weights that are not the trial's are not kept as its; the runs say that it differed."""
    book.complete()
    again = Again(identical=False)
    book.sync(retrain=again)
    run = book.runs()[again.number]
    assert run.data.tags["hpsearch.reproduced"] == "false"
    assert book.parent().data.tags["hpsearch.reproduced"] == "false"
    assert "DIFFERED: epoch 1: val_loss" in book.parent().data.tags["mlflow.note.content"]
    assert [a.path for a in book.client.list_artifacts(run.info.run_id)] == ["config.toml"]
    assert not book.sync(retrain=again)


def test_better_trial_that_ends_elsewhere_meanwhile(
    book: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that ends while sync writes, and is the best, is the next sync's."""
    book.run(*[COMPLETE] * 5)
    late = book.claim()
    show = runs.Runs._show_running

    def ends(*arguments: Any) -> int:
        book.finish(late, value=2.0)
        return show(*arguments)

    again = Again()
    with monkeypatch.context() as patch:
        patch.setattr(runs.Runs, "_show_running", ends)
        assert book.sync(retrain=again).mlflow == 5
    assert again.trained == []
    assert book.sync(retrain=again).mlflow == 1
    assert again.trained == [late]
    assert not book.sync(retrain=again)


# -- following


def test_follow_writes_what_comes(book: Workspace) -> None:
    """All that is finished while it follows is written when it returns, the weights too."""
    troubles: list[str] = []
    again = Again()
    end = followed(book, troubles, retrain=again)
    book.run(COMPLETE)
    until(lambda: projected(book))
    book.complete()
    end()
    assert troubles == []
    assert projected(book)
    assert len(again.trained) == 1
    assert not book.sync(retrain=again)


@pytest.mark.parametrize(
    ("owner", "name"), [(mlflow.MlflowClient, "create_run"), (mlflow_runs, "insert")]
)
def test_mlflow_down_and_back(
    book: Workspace, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    """An outage is told once; Optuna's copy goes on; what is missing is written afterwards."""
    down = threading.Event()
    by_client(monkeypatch, owner)
    create = getattr(owner, name)

    tried: list[str] = []

    def failing(*arguments: Any, **options: Any) -> Any:
        if down.is_set():
            tried.append("in vain")
            raise mlflow.MlflowException("no answer\nat all")
        return create(*arguments, **options)

    monkeypatch.setattr(owner, name, failing)
    troubles: list[str] = []
    end = followed(book, troubles)
    book.run(COMPLETE)
    until(lambda: projected(book))
    down.set()
    for _ in range(2):
        book.run(COMPLETE)
        until(lambda: all(trial.in_optuna for trial in book.trials))
    until(lambda: len(tried) > 2)
    assert len(troubles) == 1
    assert "no answer at all" in troubles[0]
    assert "\n" not in troubles[0]
    down.clear()
    until(lambda: projected(book))
    end()
    assert len(troubles) == 1
    assert {0, 1, 2} == book.runs().keys()
    assert not book.sync()


def test_mlflow_down_to_the_end(book: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage that does not end does not keep anyone waiting; ``sync`` says what is wrong."""
    with monkeypatch.context() as patch:
        kill: Any = mlflow.MlflowException("gone")
        patch.setattr(
            mlflow.MlflowClient, "search_runs", lambda *_, **__: (_ for _ in ()).throw(kill)
        )
        troubles: list[str] = []
        end = followed(book, troubles)
        book.complete()
        end()
        assert len(troubles) == 1
        with pytest.raises(TrackingError, match=r"^MLflow at .*: gone$"):
            book.sync()
    assert book.sync().mlflow == 6


def test_a_run_that_is_deleted_while_it_follows(book: Workspace) -> None:
    """The last look compares all of MLflow once more, if something is not as it was left."""
    troubles: list[str] = []
    end = followed(book, troubles)
    book.run(COMPLETE)
    until(lambda: projected(book))
    book.client.delete_run(book.parent().info.run_id)
    book.complete()
    end()
    assert projected(book)
    assert set(range(6)) == book.runs().keys()
    assert book.parent().info.status == "FINISHED"
    assert not book.sync()


def test_mlflows_files_are_out_of_reach(book: Workspace) -> None:
    """What keeps it from writing is known as long as it does."""
    book.run(COMPLETE)
    book.sync()
    folder = book.settings.artifacts
    shutil.rmtree(folder)
    folder.touch()
    stop, troubles = threading.Event(), list[str]()
    projecting = book.projector()
    thread = threading.Thread(target=projecting.follow, args=(stop, troubles.append))
    thread.start()
    book.run(COMPLETE)
    until(lambda: projecting.failure is not None)
    assert "Not a directory" in str(projecting.failure)
    folder.unlink()
    until(lambda: projecting.failure is None)
    stop.set()
    thread.join(20)
    assert len(troubles) == 1
    assert projected(book)


def test_one_projector_at_a_time(book: Workspace) -> None:
    """Of several that follow, one writes and the others wait; every trial is written once."""
    troubles: list[str] = []
    ends = [followed(book, troubles) for _ in range(3)]
    for _ in range(6):
        book.run(COMPLETE)
        time.sleep(0.1)
    for end in ends:
        end()
    assert troubles == []
    assert set(range(6)) == book.runs().keys()
    book.check_curves()
    assert not book.sync()


def test_the_next_projector_takes_over(book: Workspace) -> None:
    """When the one that holds the lock ends, one that waited goes on."""
    troubles: list[str] = []
    with book.store.database.lock(f"projector-{book.record.id}"):
        assert not book.projector().step()
        end = followed(book, troubles)
        book.run(COMPLETE)
        time.sleep(0.5)
        assert not projected(book)
    until(lambda: projected(book))
    end()
    assert troubles == []


def test_sync_waits_for_another(book: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another writes, sync waits; with nothing missing it returns; stuck, it says so."""
    book.run(COMPLETE)
    monkeypatch.setattr(projector, "_PATIENCE", 0.5)
    with book.store.database.lock(f"projector-{book.record.id}"):
        with pytest.raises(TrackingError, match="1 trials are still missing"):
            book.sync()
        book.store.mark_optuna(book.record.id, [0])
        book.store.mark_mlflow(book.record.id, 0, "r", True)
        assert not book.sync()


def test_follow_ends_with_its_study(book: Workspace) -> None:
    """A study that is deleted under a projector ends it, with a line."""
    troubles: list[str] = []
    end = followed(book, troubles)
    book.run(COMPLETE)
    until(lambda: projected(book))
    book.store.delete(book.record.id)
    end()
    assert len(troubles) == 1
    assert "no study" in troubles[0]


def test_follow_all_goes_on_after_a_short_absence(
    book: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store that is away for a moment does not end ``sync --follow``; that is told once."""
    looks = [StoreAwayError("away"), StoreAwayError("away"), None, StoreAwayError("away")]
    stop = threading.Event()

    class Flaky:
        def studies(self) -> list[Any]:
            if not looks:
                stop.set()
                return []
            found = looks.pop(0)
            if found:
                raise found
            return [book.record]

    followed: list[str] = []

    class Follower:
        def __init__(self, record: Any) -> None:
            self.name = record.name

        def follow(self, *_: Any) -> None:
            followed.append(self.name)

    keep._follow(Flaky(), None, Follower, stop)  # type: ignore[arg-type]
    assert followed == ["small"]
    assert capsys.readouterr().err.count("away; waiting until it is back") == 2


# -- deleting


def test_delete_frees_the_name(book: Workspace) -> None:
    """Afterwards a study of the same name begins with nothing."""
    book.complete()
    book.sync(retrain=Again())
    experiment = book.parent().info.experiment_id
    projector.delete(book.store, book.record, book.settings, tracking=True)
    assert book.client.get_experiment_by_name(book.record.name) is None
    assert book.client.get_experiment(experiment).lifecycle_stage == "deleted"
    assert optuna.get_all_study_names(book.settings.storage) == []
    book.store.delete(book.record.id)
    with pytest.raises(UnknownStudyError):
        book.projector()
    again = Workspace(book.settings.home)
    again.run(COMPLETE)
    assert again.sync().mlflow == 1
    assert {0} == again.runs().keys()


def test_delete_leaves_what_is_not_its_own(workspace: Make) -> None:
    """In an experiment that studies share, only the deleted one's runs go."""
    one = workspace(study=study(name="one", tracking__experiment="shared"))
    two = workspace(study=study(name="two", tracking__experiment="shared"))
    for each in (one, two):
        each.run(COMPLETE)
        each.sync()
    projector.delete(one.store, one.record, one.settings, tracking=True)
    assert one.all_runs() == []
    assert {0} == two.runs().keys()
    assert not two.sync()


def test_delete_of_what_was_never_projected(book: Workspace) -> None:
    """There is nothing to remove, and nothing is made."""
    projector.delete(book.store, book.record, book.settings, tracking=True)
    assert book.client.get_experiment_by_name(book.record.name) is None
