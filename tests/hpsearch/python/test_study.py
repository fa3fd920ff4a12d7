"""A study in Python: the same as a file's, run by workers or here."""

from __future__ import annotations

import importlib
import logging
import random
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hpsearch
from hpsearch import Choice, Float, Int
from hpsearch.errors import HpsearchError, StudyChangedError, StudyFileError, UsageError
from hpsearch.python.study import Search
from hpsearch.study.config import SearchConfig
from tests.conftest import Run

SOURCE = """
import random

def train(params, seed):
    for epoch in range(params["epochs"]):
        yield {"loss": params["lr"] / (epoch + 1) + random.random(), "accuracy": 1 - params["lr"]}
    return {"lr": [params["lr"]]}
"""
SPACE = {"lr": Float(1e-3, 1.0, log=True), "epochs": Int(2, 4), "kind": Choice(["a", "b"])}
Train = Callable[..., Any]


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Train]:
    """A function of a module, ``mine`` in a folder of its own."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "mine.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    yield importlib.import_module("mine").train
    del sys.modules["mine"]


def local(params: Any, seed: int) -> Iterator[dict[str, float]]:
    """The same as ``SOURCE``'s, to be made a function that no other process can import."""
    for epoch in range(params["epochs"]):
        loss = params["lr"] / (epoch + 1) + random.random()
        yield {"loss": loss, "accuracy": 1 - params["lr"]}
    return {"lr": [params["lr"]]}


def own(function: Any, **more: Any) -> hpsearch.Study:
    """A small study of a function."""
    options: dict[str, Any] = {"params": SPACE, "metrics": ["loss", "accuracy"], "trials": 4}
    return hpsearch.Study("own", function=function, **{**options, **more})


def moved(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """From now on the workspace is another one."""
    monkeypatch.setenv("HPSEARCH_HOME", str(home.with_name(name)))


# -- the same as a file


def test_it_is_what_its_file_is(
    home: Path, monkeypatch: pytest.MonkeyPatch, hpsearch: Run, train: Train, tmp_path: Path
) -> None:
    """Its file, run from the command line, gives the same digest; and each goes on with the other.

    So it is with workers and without.
    """
    study = own(train).run(workers=2, tracking=False)
    file = tmp_path / "code" / "own.toml"
    file.write_text(study.toml())
    on = hpsearch("run", str(file), "--trials", "6", "--no-tracking", "--workers", "1")
    assert on.returncode == 0, on.stderr
    digests = {study.digest, hpsearch("digest", "own").stdout.strip()}

    moved(home, monkeypatch, "file")
    assert hpsearch("run", str(file), "--trials", "6", "--no-tracking").returncode == 0
    digests.add(hpsearch("digest", "own").stdout.strip())

    moved(home, monkeypatch, "here")
    digests.add(own(train).run(6, workers=0, tracking=False).digest)
    assert len(digests) == 1


def test_function_that_no_worker_can_import_gives_the_same_trials(
    home: Path, monkeypatch: pytest.MonkeyPatch, train: Train
) -> None:
    """Called in this process, it gives the numbers that it gives in a worker's."""
    there = own(train).run(workers=1, tracking=False).digest
    moved(home, monkeypatch, "here")
    monkeypatch.setattr(local, "__module__", "__main__")
    study = own(local).run(tracking=False)
    assert there == study.digest
    assert study.reproduce().identical


def test_study_file_reads_back(train: Train) -> None:
    """``toml`` and ``load`` are each other's opposite; Python's defaults are the file's."""
    study = own(train, sampler="tpe", direction="maximize", metric="accuracy", lag=2)
    assert study.toml().startswith('name = "own"\n\n[objective]\nfunction = "mine:train"\n')
    written = Path(train.__code__.co_filename).with_name("own.toml")
    written.write_text(study.toml())
    assert study.toml() == hpsearch.load(written).toml()


def test_network(home: Path) -> None:
    """The network is searched as a file's is: its tables are keywords."""
    study = hpsearch.Study(
        "net",
        data={"dataset": "digits", "train": 60, "validation": 30},
        network={"hidden": {"depth": 1, "width": Choice([4, 8])}, "dropout": Float(0, 0.5)},
        training={
            "lr": Float(1e-3, 1, log=True),
            "epochs": 2,
            "optimizer": Choice(["sgd", "adam"]),
        },
        trials=3,
    )
    study.run(workers=0, tracking=False)
    assert [trial.number for trial in study.trials] == [0, 1, 2]
    assert study.reproduce(1).identical


def test_search_keys_are_the_files() -> None:
    """What Python's type checkers know of ``[search]`` is all of it."""
    assert set(SearchConfig.model_fields) == set(Search.__annotations__)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trails": 3}, "search.trails: unknown key; did you mean trials?"),
        ({"metrics": []}, "objective.metrics: is missing; add it to [objective]"),
        ({"params": {"lr": Float(1, 0)}}, "params.lr: low 1.0 is above high 0.0; swap them"),
        ({"params": {"lr": None}}, "params.lr: must be a number, text, true or false, or a list"),
        ({"data": {"dataset": "digits"}}, "data: cannot be combined with [objective]"),
    ],
)
def test_what_is_no_study(train: Train, options: dict[str, Any], said: str) -> None:
    """It is refused in one line, which names the key as a file has it."""
    with pytest.raises(StudyFileError) as raised:
        own(train, **options)
    assert said == str(raised.value)[: len(said)]


# -- loading


def test_load(home: Path) -> None:
    """A study of ``studies/`` by its name, with other values by path, or by table."""
    study = hpsearch.load("quick", {"training.epochs": 2}, name="mine", search={"trials": 3})
    assert study.name == "mine"
    assert "epochs = 2\n" in study.toml()
    assert "trials = 3\n" in study.toml()
    other = hpsearch.load("quick", training={"epochs": 2, "momentum": Float(0, 0.5)})
    assert "momentum = { low = 0.0, high = 0.5 }\n" in other.toml()
    deep = hpsearch.load("quick", network={"hidden": {"depth": Int(1, 4), "width": 20}})
    assert "hidden = { depth = { low = 1, high = 4 }, width = 20 }\n" in deep.toml()


def test_load_refuses() -> None:
    """A file that is not there, and a value that cannot be."""
    with pytest.raises(StudyFileError, match="no study file 'nowhere'"):
        hpsearch.load("nowhere")
    with pytest.raises(StudyFileError, match=r"training\.epochs: input should be"):
        hpsearch.load("quick", {"training.epochs": -1})


# -- looking


def test_nothing_has_run_yet(home: Path, train: Train) -> None:
    """Before the first run there are no trials; and no workspace is made by looking."""
    study = own(train)
    assert study.trials == []
    assert len(study.frame()) == 0
    with pytest.raises(UsageError):
        _ = study.best
    assert not home.exists()


def test_what_is_seen(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The best trial, all of them as records and as a table, and the report's files."""
    monkeypatch.setattr(local, "__module__", "__main__")
    study = own(local).run(tracking=False)
    trials = study.trials
    assert study.best == min(trials, key=lambda trial: trial.value or 0)
    frame = study.frame()
    assert list(range(4)) == frame["number"].tolist()
    assert [trial.value for trial in trials] == frame["value"].tolist()
    assert [trial.params["params.lr"] for trial in trials] == frame["params.lr"].tolist()
    assert [trial.params["params.kind"] for trial in trials] == frame["params.kind"].tolist()
    assert str(frame["started"].dt.tz) == "UTC"
    assert (frame["ended"] >= frame["started"]).all()
    files = study.report()
    assert home / "reports" / "own.html" in files
    assert all(file.is_file() for file in files)


def test_it_keeps_its_workspace(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, train: Train
) -> None:
    """A study is of the workspace that there was when it was made, wherever the process goes."""
    monkeypatch.delenv("HPSEARCH_HOME")
    monkeypatch.chdir(tmp_path)
    study = own(train).run(1, workers=0, tracking=False)
    monkeypatch.chdir(tmp_path / "code")
    assert len(study.trials) == 1


def test_another_definition_is_not_looked_at(home: Path, train: Train) -> None:
    """What another study of the same name came to is not shown as this one's."""
    own(train).run(1, workers=0, tracking=False)
    other = own(train, params={**SPACE, "epochs": 2})
    for look in (lambda: other.best, lambda: other.trials, lambda: other.run(workers=0)):
        with pytest.raises(StudyChangedError, match=r"params\.epochs"):
            look()


# -- in this process


@pytest.mark.parametrize("asked", [1, 2])
def test_workers_that_cannot_import_it(home: Path, asked: int) -> None:
    """More than none are refused, with what to do; nothing is begun."""
    study = own(lambda params, seed: {"loss": 1.0, "accuracy": 0.0})
    with pytest.raises(UsageError, match="run with workers=0, or move the function to a module"):
        study.run(workers=asked)
    assert not home.exists()


@pytest.mark.parametrize("asked", [-1, 1.5, True, "2"])
def test_no_number_of_workers(home: Path, train: Train, asked: Any) -> None:
    """What is no number of processes is refused."""
    with pytest.raises(UsageError, match="workers: must be a whole number, 0 or more"):
        own(train).run(workers=asked)


def test_function_of_a_script(home: Path, tmp_path: Path, hpsearch: Run) -> None:
    """It runs in the script's process; afterwards nobody else can train it, and is told so."""
    script = tmp_path / "script.py"
    script.write_text(
        "import hpsearch\n"
        "def train(params, seed):\n    print('called')\n    return {'loss': params['lr']}\n"
        "study = hpsearch.Study('mine', function=train, params={'lr': hpsearch.Float(0, 1)},\n"
        "                       metrics=['loss'], trials=2)\n"
        "print(study.run(tracking=False).reproduce().identical)\n"
    )
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.split() == ["called"] * 4 + ["True"]
    again = hpsearch("reproduce", "mine")
    assert again.returncode == 2
    assert "no other process can import it" in again.stderr


def test_changed_function_is_refused(home: Path) -> None:
    """A lambda that does something else is another study's."""
    lr = {"params": {"lr": Float(0, 1)}, "metrics": ["loss"]}
    own(lambda params, seed: {"loss": params["lr"]}, **lr).run(2, tracking=False)
    own(lambda params, seed: {"loss": params["lr"]}, **lr).run(3, tracking=False)
    with pytest.raises(StudyChangedError, match="has changed since the study started"):
        own(lambda params, seed: {"loss": 2 * params["lr"]}, **lr).run(4, tracking=False)


def test_random_numbers_of_the_process_are_left_alone(home: Path) -> None:
    """They are seeded for the function alone, and go on as if no study had been run."""
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.rand()
    random.seed(1)
    np.random.seed(1)
    own(lambda params, seed: {"loss": random.random(), "accuracy": np.random.rand()}).run(
        2, tracking=False
    )
    assert expected == (random.random(), np.random.rand())


def failing(params: Any, seed: int) -> dict[str, float]:
    """Fails for half of all trials."""
    if params["kind"] == "a":
        sys.exit("enough")
    return {"loss": params["lr"], "accuracy": 0}


def test_trial_that_fails(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is FAIL, with the exception and its place; the others go on, and this process does."""
    monkeypatch.setattr(failing, "__module__", "__main__")
    study = own(failing, params={**SPACE, "lr": Float(0, 1)}).run(8, tracking=False)
    failed = [trial for trial in study.trials if trial.params["params.kind"] == "a"]
    assert failed
    assert {"FAIL"} == {str(trial.state) for trial in failed}
    reasons = [str(trial.reason) for trial in failed]
    assert all(
        re.match(r"SystemExit: enough \(.*test_study.py:\d+ in failing\)", r) for r in reasons
    )


def test_nothing_completes(home: Path) -> None:
    """A study none of whose trials completes ends in an error that says why."""
    study = own(lambda params, seed: {"loss": 1.0})
    with pytest.raises(HpsearchError, match="no trial of 'own' completed"):
        study.run(tracking=False)
    assert "expected loss, accuracy" in str(study.trials[0].reason)


def test_interrupted_here(home: Path) -> None:
    """Ctrl-C ends it at once; the trial is free again, and the next run goes on with it."""
    interrupt = [True]

    def train(params: Any, seed: int) -> dict[str, float]:
        if seed and interrupt.copy() and interrupt.pop():
            raise KeyboardInterrupt
        return {"loss": params["lr"], "accuracy": 0}

    study = own(train)
    threads = threading_names()
    with pytest.raises(KeyboardInterrupt):
        study.run(tracking=False)
    assert [str(trial.state) for trial in study.trials] == ["WAITING"]
    assert threads == threading_names()


def threading_names() -> set[str]:
    """The threads that there are now."""
    return {thread.name for thread in threading.enumerate()}


def test_interrupted_beside_workers(
    home: Path, monkeypatch: pytest.MonkeyPatch, train: Train
) -> None:
    """Ctrl-C ends the workers, too, though the exception is kept; and it goes on afterwards."""
    from hpsearch.python import running

    def interrupted(watched: Any, *_: Any) -> None:
        next(watched)
        raise KeyboardInterrupt

    study = own(train, trials=3)
    with monkeypatch.context() as patched:
        patched.setattr(running, "_show", interrupted)
        with pytest.raises(KeyboardInterrupt) as kept:
            study.run(workers=1, tracking=False)
    assert kept is not None
    assert len(study.run(workers=1, tracking=False).trials) == 3


# -- what is said


def test_quiet_where_nobody_looks(
    home: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    train: Train,
) -> None:
    """Without a terminal there is nothing on the standard streams; what matters is logged."""
    with caplog.at_level(logging.WARNING, "hpsearch"):
        own(train, direction="maximize").run(2, workers=0, tracking=False)
    assert tuple(capfd.readouterr()) == ("", "")
    assert caplog.messages == ["search.direction: maximize searches for the worst loss"]


def test_progress_where_somebody_looks(
    home: Path, monkeypatch: pytest.MonkeyPatch, train: Train
) -> None:
    """In a terminal the progress moves; in a notebook there is a line for each trial."""
    from hpsearch.commands import display

    shown: list[str] = []

    def shows(name: str) -> Callable[..., None]:
        return lambda watched, *_: [shown.append(name), *watched][:0] and None

    for name in ("live", "plain"):
        monkeypatch.setattr(display, name, shows(name))
    monkeypatch.setitem(sys.modules, "ipykernel", logging)
    own(train).run(1, workers=0, tracking=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    own(train).run(2, workers=0, tracking=False)
    assert shown == ["plain", "live"]


def test_mlflow_has_it(home: Path, mlflow_db: Path, train: Train, hpsearch: Run) -> None:
    """A study run from Python is in MLflow, and keeps every promise that is verified."""
    home.mkdir()
    shutil.copy(mlflow_db, home / "mlflow.db")
    own(train).run(2, workers=0)
    assert hpsearch("verify", "own").returncode == 0
