"""What a person finds in MLflow, and how little of MLflow's own ways shows."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import mlflow
import pytest

from hpsearch.errors import TrackingError
from hpsearch.ledger.records import State
from hpsearch.projections import projector
from hpsearch.study import file as study_file
from hpsearch.verify import findings, look
from tests.conftest import study
from tests.hpsearch.workspace import DIGESTS, MLFLOWS_WARNINGS, Again, Workspace

COMPLETE, PRUNED, FAIL = State.COMPLETE, State.PRUNED, State.FAIL
Make = Callable[..., Workspace]

pytestmark = MLFLOWS_WARNINGS


# -- what is there


def test_experiment_opens_as_model_training(book: Workspace) -> None:
    """The study's experiment bears its name, and is not taken for one of generative AI."""
    book.sync()
    experiment = book.client.get_experiment_by_name("small")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert experiment.tags["hpsearch.study"] == "small"
    assert experiment.artifact_location == book.settings.artifacts.as_uri()


def test_trial_is_found_by_its_number(workspace: Make) -> None:
    """Run names are as wide as the budget, so that they sort."""
    book = workspace(study=study(search__trials=120))
    book.run(*[COMPLETE] * 4)
    book.sync()
    assert book.runs()[3].info.run_name == "trial 003"
    assert book.parent().info.run_name == "small"


@pytest.mark.parametrize(
    ("state", "status"), [(COMPLETE, "FINISHED"), (PRUNED, "KILLED"), (FAIL, "FAILED")]
)
def test_trial_in_mlflow(book: Workspace, state: State, status: str) -> None:
    """Status, times, tags and params are the ledger's."""
    book.run(state)
    book.sync()
    (trial,), run = book.trials, book.runs()[0]
    assert trial.ended is not None
    assert (run.info.status, run.info.start_time, run.info.end_time) == (
        status,
        round(trial.started * 1000),
        round(trial.ended * 1000),
    )
    expected = {
        "mlflow.parentRunId": book.parent().info.run_id,
        "hpsearch.study": "small",
        "hpsearch.number": "0",
        "hpsearch.state": state.value,
        "hpsearch.seed": str(10**15),
        "hpsearch.weights_sha256": trial.weights_sha256,
        "hpsearch.reason": trial.reason,
        "mlflow.source.name": "hpsearch",
        "mlflow.source.type": "LOCAL",
    }
    tags = run.data.tags
    assert {key: tags.get(key) for key in expected} == expected
    assert tags["mlflow.user"]
    params = {path: repr(value) for path, value in trial.params.items()}
    assert {**params, "seed": str(10**15)}.items() <= run.data.params.items()
    assert run.data.metrics.get("value") == trial.value


def test_curves_are_exact(book: Workspace) -> None:
    """Every epoch of every curve is there, to the last bit, at a time that the ledger fixes."""
    book.run(COMPLETE, PRUNED, FAIL)
    book.sync()
    book.check_curves()
    start = round(book.trials[0].started * 1000)
    history = book.client.get_metric_history(book.runs()[0].info.run_id, "val_loss")
    assert [(m.step, m.timestamp - start) for m in history] == [(1, 1), (2, 2), (3, 3)]


def test_long_curve(book: Workspace) -> None:
    """More metrics than MLflow takes at once are all written."""
    book.finish(book.claim(), epochs=600)
    book.sync()
    book.check_curves()
    assert not book.sync()


def test_configuration_runs_again(book: Workspace) -> None:
    """The artifact is a study file that consists of this trial alone."""
    book.run(COMPLETE, PRUNED)
    book.sync()
    trial = book.trials[1]
    table = tomllib.loads(book.text(book.runs()[1], "config.toml"))
    assert table["training"]["seed"] == trial.seed
    assert table["training"]["lr"] == trial.params["training.lr"]
    again = study_file.parse(table)
    assert again.space == {}
    resolved = book.record.study.resolve(trial.params, trial.seed)
    assert again.resolve({}, 0) == resolved


def test_failed_before_it_had_params(book: Workspace) -> None:
    """A trial that failed at once has its run all the same."""
    book.finish(book.claim(), FAIL, params={}, epochs=0)
    book.sync()
    assert book.runs()[0].data.params["seed"] == str(10**15)
    assert "training.lr" not in book.runs()[0].data.params
    assert not book.sync()


def test_dataset_is_an_input(book: Workspace) -> None:
    """The dataset stands in MLflow as one, once for all trials."""
    book.run(COMPLETE, COMPLETE)
    book.sync()
    for run in book.runs().values():
        (given,) = run.inputs.dataset_inputs
        assert (given.dataset.name, given.dataset.digest) == ("digits", DIGESTS["dataset"][:36])
        assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "training")]


def test_parent_describes_the_study(book: Workspace) -> None:
    """Fixed values are params, the study file is an artifact, the note says how it stands."""
    book.run(COMPLETE, PRUNED)
    book.sync()
    parent = book.parent()
    assert parent.data.params["data.dataset"] == "digits"
    assert parent.data.params["network.hidden"] == "[8]"
    assert parent.data.params["training.epochs"] == "3"
    assert parent.data.params["training.lr"] == '{"high":1.0,"log":true,"low":0.001}'
    assert parent.data.params["network.dropout"] == '{"high":0.5,"low":0.0}'
    (given,) = parent.inputs.dataset_inputs
    assert given.dataset.name == "digits"
    assert "best_trial" not in parent.data.metrics  # a number, and no curve
    assert study_file.parse(tomllib.loads(book.text(parent, "study.toml"))) == book.record.study
    assert "2 of 6 trials finished: 1 complete, 1 pruned" in parent.data.tags["mlflow.note.content"]
    assert parent.data.metrics["best_value"] == book.trials[0].value
    assert parent.info.start_time == round(book.record.created * 1000)


def test_description_leads_to_the_best_run(book: Workspace) -> None:
    """It has a person's digits, and a link; the experiment says what it holds."""
    book.run(COMPLETE, COMPLETE)
    book.sync()
    best = book.store.best(book.record)
    assert best is not None
    run = book.runs()[best.number].info
    note = book.parent().data.tags["mlflow.note.content"]
    link = f"[trial {best.number}](#/experiments/{run.experiment_id}/runs/{run.run_id})"
    assert f"Best: {link}, val_accuracy {best.value:.4g} (" in note
    assert f"training.lr = {best.params['training.lr']:.4g}" in note
    experiment = book.client.get_experiment(run.experiment_id)
    assert "hpsearch" in experiment.tags["mlflow.note.content"]
    assert not book.sync()


def test_runs_are_compared(book: Workspace) -> None:
    """A run has the study's fixed values, too, and its value as one point at step 0."""
    book.run(COMPLETE)
    book.sync()
    run = book.runs()[0]
    expected = {"data.dataset": "digits", "training.epochs": "3", "network.hidden": "[8]"}
    assert expected.items() <= run.data.params.items()
    (point,) = book.client.get_metric_history(run.info.run_id, "value")
    assert (point.step, point.timestamp) == (0, run.info.start_time)
    found = findings.judge(look.take(book.store.database, "small", book.settings)).violations
    assert [v for v in found if v.invariant.startswith("run-")] == []


def test_tags_and_experiment_of_ones_own(workspace: Make) -> None:
    """``[tracking]`` names the experiment and adds tags; hpsearch's own tags stay as they are."""
    tags = {"team": "vision", "hpsearch.number": "13"}
    book = workspace(study=study(tracking__experiment="Ours", tracking__tags=tags))
    book.run(COMPLETE)
    book.sync()
    assert book.client.get_experiment_by_name("small") is None
    assert book.runs()[0].data.tags["team"] == "vision"
    assert book.parent().data.tags["team"] == "vision"
    assert not book.sync()


def test_long_text_is_cut(workspace: Make) -> None:
    """What MLflow would cut is cut before, so that the next comparison finds it right."""
    book = workspace(study=study(tracking__tags={"story": "x" * 9000}))
    book.finish(book.claim(), FAIL, reason="y" * 9000)
    book.sync()
    tags = book.runs()[0].data.tags
    assert (tags["story"], tags["hpsearch.reason"]) == ("x" * 8000, "y" * 8000)
    assert not book.sync()


@pytest.mark.parametrize("name", ["it's", 'a "b" c', "50 % 雪", "tags.`x` = '1"])
def test_any_name_of_a_study(workspace: Make, name: str) -> None:
    """Whatever a study is called, its runs are found again."""
    book = workspace(study=study(name=name))
    book.run(COMPLETE)
    book.sync()
    assert book.runs().keys() == {0}
    assert not book.sync()


def test_commit_that_trained_it(book: Workspace) -> None:
    """The commit in the recorded environment is the run's."""
    book.store.remember({"commit": "c0ffee"}, "e1")
    number = book.claim()
    book.finish(number, environment="e1")
    book.sync()
    assert book.runs()[number].data.tags["mlflow.source.git.commit"] == "c0ffee"


def test_environments_are_kept_once(book: Workspace) -> None:
    """With the study's own run: each of them, and the diff of one whose checkout was changed."""
    for digest, content in (("e1", {"numpy": "1"}), ("e2", {"numpy": "2", "diff": "+new"})):
        book.store.remember(content, digest)
        for _ in range(2):
            number = book.claim()
            book.finish(number, environment=digest)
            book.sync()
            assert book.runs()[number].data.tags["hpsearch.environment"] == digest
    assert not book.sync()
    found = {
        file.name: file.read_text()
        for file in book.settings.artifacts.rglob("*")
        if file.parent.name == "environments"
    }
    assert found == {"e1.json": '{"numpy":"1"}', "e2.json": '{"numpy":"2"}', "e2.diff": "+new"}


@pytest.mark.parametrize("how", [shutil.move, shutil.copytree], ids=["moved", "copied"])
def test_artifacts_follow_the_workspace(workspace: Make, tmp_path: Path, how: Any) -> None:
    """A workspace that was moved or copied keeps its artifacts in itself; verify sees if not."""
    old = workspace("old")
    old.complete()
    old.sync(retrain=Again())
    old.store.database.engine.dispose()
    how(tmp_path / "old", tmp_path / "new")
    before = sorted((tmp_path / "old").rglob("*"))
    new = workspace("new")
    broken = findings.judge(look.take(new.store.database, "small", new.settings)).violations
    assert "artifacts" in {violation.invariant for violation in broken}
    again = Again()
    assert not new.sync(retrain=again)
    assert again.trained == []
    found = findings.judge(look.take(new.store.database, "small", new.settings)).violations
    assert "artifacts" not in {violation.invariant for violation in found}
    place = f"{new.settings.artifacts.as_uri()}/"
    assert all(run.info.artifact_uri.startswith(place) for run in new.all_runs())
    assert "lr = " in new.text(new.runs()[0], "config.toml")
    new.client.delete_run(new.runs()[0].info.run_id)
    assert new.sync(retrain=again).mlflow == 1
    assert before == sorted((tmp_path / "old").rglob("*"))


# -- what is not ours


def test_another_ledgers_study_of_the_same_name(
    workspace: Make, mlflow_db: Path, tmp_path: Path
) -> None:
    """In an MLflow that workspaces share, neither deletes what the other wrote."""
    shared = tmp_path / "shared.db"
    shared.write_bytes(mlflow_db.read_bytes())
    one, two = (workspace(name, uri=f"sqlite:///{shared}") for name in ("one", "two"))
    for each in (one, two):
        each.run(COMPLETE)
        each.sync()
    assert (len(one.all_runs()), len(two.all_runs())) == (2, 2)
    assert not one.sync()
    projector.delete(two.store, two.record, two.settings, tracking=True)
    assert (len(one.all_runs()), len(two.all_runs())) == (2, 0)
    assert not one.sync()


def test_lost_ledger_begins_anew(workspace: Make) -> None:
    """Runs of a ledger that is no more belong to it: the new one has its own, beside them."""
    book = workspace()
    book.run(COMPLETE, COMPLETE)
    book.sync()
    old = {run.info.run_id for run in book.all_runs()}
    book.store.database.engine.dispose()
    for file in book.settings.home.glob("studies.db*"):
        file.unlink()
    again = workspace(study=study(training__epochs=4))
    again.run(COMPLETE)
    assert again.sync().removed == []
    assert again.runs().keys() == {0}
    assert again.parent().info.run_id not in old
    assert again.parent().data.params["training.epochs"] == "4"
    assert old == {run.info.run_id for run in book.all_runs()}
    again.check_curves()
    assert not again.sync()


def test_name_that_was_deleted_without_mlflow(book: Workspace, workspace: Make) -> None:
    """A new study under the old name has a parent of its own; the old one's runs stay."""
    book.run(COMPLETE)
    book.sync()
    projector.delete(book.store, book.record, book.settings, tracking=False)
    book.store.delete(book.record.id)
    again = workspace(study=study(training__epochs=4))
    again.complete()
    assert again.sync().removed == []
    assert len(book.all_runs()) == 2
    assert set(range(6)) == again.runs().keys()
    assert not again.sync()
    projector.delete(again.store, again.record, again.settings, tracking=True)
    assert again.all_runs() == []
    assert len(book.all_runs()) == 2


OURS = ["hpsearch.study", "hpsearch.ledger", "hpsearch.number", "hpsearch.state"]


@pytest.mark.parametrize("tags", [*([tag] for tag in OURS), OURS], ids=[*OURS, "all"])
def test_run_of_a_persons_own(book: Workspace, tags: list[str]) -> None:
    """A run that bears tags of ours, copied in MLflow's UI, is not ours to delete."""
    book.run(COMPLETE)
    book.sync()
    ours = book.runs()[0]
    copied = {tag: ours.data.tags[tag] for tag in tags}
    own = book.client.create_run(ours.info.experiment_id, tags=copied).info.run_id
    book.client.log_metric(own, "mine", 1.0)
    assert not book.sync()
    assert not projector.mend(book.store, book.record, book.settings)
    projector.delete(book.store, book.record, book.settings, tracking=True)
    assert book.client.get_run(own).info.lifecycle_stage == "active"


@pytest.mark.parametrize("which", ["parent", "trial"])
def test_copies_of_a_run(book: Workspace, which: str) -> None:
    """Of a run and its copies, tag for tag, the one that the ledger has made is kept."""
    book.run(COMPLETE)
    book.sync()
    ours = book.parent() if which == "parent" else book.runs()[0]
    copies = {
        book.client.create_run(ours.info.experiment_id, tags=ours.data.tags).info.run_id
        for _ in range(8)  # more than one of them comes before ours, in all likelihood
    }
    removed = book.sync().removed
    assert len(removed) == len(copies)
    assert all(any(copy in line for line in removed) for copy in copies)
    assert book.client.get_run(ours.info.run_id).info.lifecycle_stage == "active"


@pytest.mark.parametrize("tag", ["hpsearch.study", "hpsearch.ledger", "mlflow.source.name"])
def test_run_that_lost_a_tag(book: Workspace, tag: str) -> None:
    """A run that the ledger has marked is its own whatever became of its tags: it is built anew."""
    book.run(COMPLETE, COMPLETE)
    book.sync()
    damaged = book.runs()[1].info.run_id
    book.client.delete_tag(damaged, tag)
    assert damaged in book.sync().removed[0]
    assert {0, 1} == book.runs().keys()
    assert not book.sync()


def test_experiment_that_was_renamed(book: Workspace) -> None:
    """It is the study's all the same: each trial stays where it is, once."""
    book.run(COMPLETE)
    book.sync()
    before = book.runs()[0].info
    book.client.rename_experiment(before.experiment_id, "mine, and better")
    book.renamed = "mine, and better"
    book.run(COMPLETE)
    written = book.sync()
    assert (written.mlflow, written.removed) == (1, [])
    assert {0, 1} == book.runs().keys()
    assert before.run_id == book.runs()[0].info.run_id
    assert book.client.get_experiment_by_name("small") is None
    assert not projector.mend(book.store, book.record, book.settings)


def test_renamed_experiment_without_its_parent(book: Workspace) -> None:
    """It is found by its tag where the ledger does not know the parent run."""
    book.run(COMPLETE)
    book.sync()
    run = book.runs()[0].info
    book.client.rename_experiment(run.experiment_id, "mine")
    book.renamed = "mine"
    book.store.mark_parent(book.record.id, "0" * 32, "{}")
    assert book.sync().removed == []
    assert run.run_id == book.runs()[0].info.run_id
    assert not book.sync()


# -- opening


def test_nothing_is_said_on_the_way(tmp_path: Path) -> None:
    """MLflow makes its database and writes runs without a word on the terminal."""
    home = tmp_path / "new"
    home.mkdir()
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.hpsearch.workspace import *\n"
        "book = Workspace(Path(sys.argv[1]))\n"
        "assert 'mlflow' not in sys.modules\n"
        "book.complete()\n"
        "assert book.sync(retrain=Again())\n"
        "assert not book.sync()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, home],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")},
        cwd=Path(__file__).parents[3],
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    left = {file.name for file in home.iterdir()} - {"mlflow.db-wal", "mlflow.db-shm"}
    assert left == {"studies.db", "mlflow.db", "mlflow.db.lock", "artifacts", "locks"}


def test_several_open_an_empty_workspace(tmp_path: Path) -> None:
    """MLflow's database is made once, however many begin at the same moment."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.hpsearch.workspace import *\n"
        "book = Workspace(Path(sys.argv[1]), study=small(name=sys.argv[2]))\n"
        "book.run(State.COMPLETE)\n"
        "assert 1 == book.sync().mlflow\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, tmp_path, name],
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
        for name in ("one", "two")
    ]
    said = [process.communicate(timeout=90)[1].decode() for process in processes]
    assert said == ["", ""]


def test_no_database(book: Workspace) -> None:
    """A file that is no database is told at once, in a line that names it."""
    book.settings.home.joinpath("mlflow.db").write_bytes(b"garbage" * 1000)
    begun = time.monotonic()
    with pytest.raises(TrackingError, match=r"mlflow\.db: .*not a database"):
        book.sync()
    assert time.monotonic() - begun < 60  # MLflow itself would try for minutes


# -- a server


def free_port() -> int:
    """A port that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_server_that_is_not_there(workspace: Make) -> None:
    """A refused connection is an error of one line, at once."""
    book = workspace(uri=f"http://user:secret@127.0.0.1:{free_port()}")
    book.run(COMPLETE)
    begun = time.monotonic()
    with pytest.raises(TrackingError) as caught:
        book.sync()
    assert time.monotonic() - begun < 60  # MLflow itself would try for minutes
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert str(caught.value).endswith("cannot be reached: Connection refused")
    assert book.trials[0].in_optuna


@pytest.mark.parametrize("failure", ["error", "garbage", "silence"])
def test_server_that_does_not_work(
    workspace: Make, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    """A server that answers nonsense, 500 or nothing is an error within the timeout."""

    class Broken(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if failure == "silence":
                time.sleep(3)
                return
            self.send_response(500 if failure == "error" else 200)
            self.end_headers()
            self.wfile.write(b"<html>nonsense</html>")

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    server = HTTPServer(("127.0.0.1", 0), Broken)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    book = workspace(uri=f"http://127.0.0.1:{server.server_port}")
    begun = time.monotonic()
    with pytest.raises(TrackingError, match=r"^MLflow at http://127\.0\.0\.1"):
        book.sync()
    assert time.monotonic() - begun < 60  # MLflow itself would try for minutes
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mlflow_db: Path) -> Iterator[str]:
    """A real MLflow server on loopback."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "mlflow.db").write_bytes(mlflow_db.read_bytes())
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    process = subprocess.Popen(
        command, env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 240
    while True:
        try:
            with urlopen(f"{address}/health", timeout=1):
                break
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
    yield address
    process.terminate()
    process.wait(120)


def test_all_of_it_on_a_server(
    workspace: Make, server: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Over HTTP everything is as it is on a local database, and goes by the server alone."""
    book = workspace(uri=server)
    book.run(COMPLETE, PRUNED, FAIL)
    assert book.sync().mlflow == 3
    book.check_curves()
    statuses = [book.runs()[number].info.status for number in range(3)]
    assert statuses == ["FINISHED", "KILLED", "FAILED"]
    book.client.delete_run(book.runs()[1].info.run_id)
    book.complete()
    again = Again()
    assert book.sync(retrain=again).mlflow == 4
    assert not book.sync(retrain=again)
    book.check_curves()
    best = book.runs()[again.number]
    assert "lr = " in book.text(best, "config.toml")
    files = [file.path for file in book.client.list_artifacts(best.info.run_id)]
    assert files == ["config.toml", "weights.safetensors"]
    assert not book.settings.artifacts.exists()
    assert capfd.readouterr().out == ""
    projector.delete(book.store, book.record, book.settings, tracking=True)
    assert book.client.get_experiment_by_name("small") is None


def test_process_is_left_alone(book: Workspace) -> None:
    """Neither the process's tracking address nor its active run is touched."""
    before: Any = mlflow.get_tracking_uri()
    book.run(COMPLETE)
    book.sync()
    assert mlflow.get_tracking_uri() == before
    assert mlflow.active_run() is None
