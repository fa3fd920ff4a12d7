"""The command line as a contract: what is printed where, JSON shapes, and exit codes."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.main import get_command

from hpsearch import cli
from hpsearch.commands.usage import PANELS
from hpsearch.data import splits as data
from hpsearch.data.datasets import load
from hpsearch.ledger import tables
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Result, State, curve
from hpsearch.ledger.store import Store
from hpsearch.study import file as study_file
from tests.conftest import Run, study
from tests.hpsearch.command_line import Call, Outcome, Write, one_line

SOON = 30.0
"""Seconds in which a busy machine does what takes an idle one a moment; less than a minute."""
COMMANDS = {
    "run",
    "worker",
    "studies",
    "status",
    "trials",
    "best",
    "config",
    "curve",
    "delete",
    "retry",
    "reproduce",
    "digest",
    "sync",
    "ui",
}
ALL = set(get_command(cli.app).commands)  # type: ignore[attr-defined]
AT_WORK = {
    "network__hidden": [64],
    "training__epochs": 40,
    "data__train": 1000,
    "search__trials": 8,
    "name": "long",
}
"""A study whose trials take some 0.2 s each, so that it can be met at work."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two studies that the command line ran: ``small``, and ``pruned``."""
    folder = tmp_path_factory.mktemp("workspace")
    studies = [
        study(),
        study(
            name="pruned",
            training__epochs=9,
            search__pruner="hyperband",
            search__trials=9,
            search__lag=2,
        ),
    ]
    for described in studies:
        path = folder / f"{described.name}.toml"
        path.write_text(study_file.toml(described))
        subprocess.run(
            [sys.executable, "-m", "hpsearch", "run", path, "--no-tracking", "--workers", "1"],
            env=os.environ | {"HPSEARCH_HOME": str(folder / "home")},
            check=True,
            capture_output=True,
        )
    return folder / "home"


@pytest.fixture
def ran(home: Path, workspace: Path) -> Path:
    """``home`` with the two studies in it."""
    return shutil.copytree(workspace, home)


def store(home: Path) -> Store:
    """The workspace's ledger."""
    return Store(Database(f"sqlite:///{home / 'studies.db'}"))


def edit(home: Path, statement: str, *values: Any) -> None:
    """Change the ledger behind the program's back."""
    with sqlite3.connect(home / "studies.db") as connection:
        assert connection.execute(statement, values).rowcount > 0
    connection.close()


def kept(home: Path) -> dict[str, bytes]:
    """What must not be lost: every file but the cache and SQLite's own beside its database."""
    return {
        str(path.relative_to(home)): content(path)
        for path in sorted(home.rglob("*"))
        if path.is_file() and "cache" not in path.parts and path.suffix not in (".lock",)
        if not path.name.endswith(("-wal", "-shm"))
    }


def content(path: Path) -> bytes:
    """What a file holds; of a database its rows: a connection that closes changes its bytes."""
    read = path.read_bytes()
    if read.startswith(b"SQLite format 3"):
        with (
            suppress(sqlite3.Error, UnicodeError),
            closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection,
        ):
            return "\n".join(connection.iterdump()).encode()
    return read


def wait_for(reached: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something is so; fail if it does not come about."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "did not come about"
        time.sleep(0.02)


# -- the commands, and what they say of themselves


def test_commands() -> None:
    """These commands there are, whatever came to them since."""
    assert set() == COMMANDS - ALL


def test_every_command_has_its_panel() -> None:
    """The help's panels name each command once, and none that there is not."""
    assert sorted(ALL) == sorted(name for names in PANELS.values() for name in names)


def test_help_lists_the_commands(call: Call) -> None:
    """``--help`` names every command, and goes to standard output."""
    outcome = call("--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert [name for name in ALL if f" {name} " not in outcome.out] == []


@pytest.mark.parametrize("name", sorted(ALL))
def test_help_has_an_example_that_works(call: Call, name: str) -> None:
    """The help of each command ends with an example, which the command line understands."""
    outcome = call(name, "--help")
    assert (outcome.code, outcome.err) == (0, "")
    shown = " ".join(outcome.out.split())
    assert f"Example: hpsearch {name}" in shown
    example = shown.partition("Example: ")[2].partition(">")[0]
    for command in example.split("&&"):
        program, used, *arguments = shlex.split(command)
        assert program == "hpsearch"
        group = get_command(cli.app)
        group.commands[used].make_context(used, arguments)  # type: ignore[attr-defined]


def test_help_imports_nothing_heavy() -> None:
    """``hpsearch --help`` answers without loading what only a study needs."""
    program = textwrap.dedent(
        """
        import sys
        sys.argv = ["hpsearch", "--help"]
        from hpsearch import cli
        try:
            cli.main()
        except SystemExit as ended:
            heavy = {"mlflow", "optuna", "numpy", "sqlalchemy", "alembic", "sklearn", "scipy"}
            heavy |= {"pydantic", "requests"}
            print(ended.code, sorted(heavy & sys.modules.keys()), file=sys.stderr)
        """
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stderr == "0 []\n"


def test_version(call: Call) -> None:
    """``--version`` is one line."""
    from hpsearch import __version__

    assert Outcome(0, f"hpsearch {__version__}\n", "") == call("--version")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run"], "hpsearch run: missing argument 'STUDY'; see: hpsearch run --help"),
        (["rnu"], "hpsearch: no such command 'rnu'. Did you mean 'run'? See: hpsearch --help"),
        (["run", "book", "--worker", "2"], "hpsearch run: no such option: --worker"),
        (["run", "book", "--workers", "0"], "hpsearch run: invalid value for '--workers': "),
        (["run", "book", "--workers", "x"], "hpsearch run: invalid value for '--workers': "),
        (["curve", "book", "--trial", "-1"], "hpsearch curve: invalid value for '--trial': "),
        (["status", "a", "b"], "hpsearch status: got unexpected extra argument"),
        (["ui", "--port", "70000"], "hpsearch ui: invalid value for '--port': "),
    ],
)
def test_wrong_words_are_told_in_one_line(call: Call, words: list[str], said: str) -> None:
    """A command line that cannot be understood is bad usage: exit 2, one line, where to look."""
    outcome = call(*words)
    assert (2, said) == (outcome.code, one_line(outcome)[: len(said)])


def test_no_words_at_all(call: Call) -> None:
    """Without a command the help is shown, and the exit code says that one was missing."""
    outcome = call()
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
    assert "Usage: hpsearch" in outcome.out


# -- run


def test_run(hpsearch: Run, write: Write, home: Path) -> None:
    """A run ends with the best trial, that it reproduced, and how to go on; progress is apart."""
    ended = hpsearch("run", write(study()), "--no-tracking", "--workers", "2")
    assert ended.returncode == 0
    best = store(home).best(store(home).study("small"))
    assert best is not None
    lines = ended.stdout.splitlines()
    assert lines[0] == "small: 6 of 6 trials (6 complete)"
    assert f"best: trial {best.number}, val_accuracy {best.value:.4g}" == lines[1]
    assert lines[3].startswith("the best of 6 on 30 validation examples is optimistic: ")
    assert lines[4].startswith("corrected for choosing the best of 6: val_accuracy ")
    assert lines[5] == "reproduced: a second training gave the same 3 epochs and the same weights"
    assert lines[6].startswith("network.dropout = 0.4869 lies at the high end of its range, ")
    assert (
        lines[7]
        == "next:  hpsearch sync small  |  hpsearch report small  |  hpsearch reproduce small"
    )
    assert [line for line in ended.stderr.splitlines() if not line.startswith("small: ")] == []
    assert "\x1b" not in ended.stdout + ended.stderr


def test_run_on_a_terminal(ran: Path, write: Write) -> None:
    """On a terminal the progress moves, on standard error, and leaves nothing behind."""
    terminal, side = pty.openpty()
    file = write(study(name="live"))
    command = [sys.executable, "-m", "hpsearch", "run", file, "--no-tracking"]
    with subprocess.Popen(
        [*command, "--workers", "1"],
        stdout=subprocess.PIPE,
        stderr=side,
        text=True,
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"},
    ) as process:
        os.close(side)
        shown = b""
        while True:
            try:
                shown += os.read(terminal, 65536)
            except OSError:  # the other side is closed
                break
        assert process.stdout is not None
        out = process.stdout.read()
    os.close(terminal)
    assert process.returncode == 0
    assert out.splitlines()[0] == "live: 6 of 6 trials (6 complete)"
    assert "\x1b" not in out
    text = shown.decode()
    assert "6/6 trials, best 0." in text
    assert text.endswith("\x1b[2K")  # the line is wiped


def test_raising_trials_goes_on(call: Call, hpsearch: Run, write: Write, ran: Path) -> None:
    """A study that is done goes on when ``trials`` is raised, and keeps what it has."""
    before = call("trials", "small", "--json").json
    ended = hpsearch("run", write(study()), "--no-tracking", "--trials", "8", "--workers", "1")
    assert (
        ended.returncode,
        ended.stdout.splitlines()[0],
    ) == (0, "small: 8 of 8 trials (8 complete)")
    after = call("trials", "small", "--json").json
    assert before == after[:6]
    assert list(range(8)) == [trial["number"] for trial in after]


def test_lowering_trials_keeps_what_there_is(call: Call, write: Write, ran: Path) -> None:
    """A budget below what was begun is met already: nothing is run, nothing is lost."""
    before = call("digest", "small").out
    outcome = call("run", write(study()), "--no-tracking", "--trials", "2")
    assert (outcome.code, outcome.out.splitlines()[0]) == (0, "small: 6 of 6 trials (6 complete)")
    assert before == call("digest", "small").out


def test_a_budget_is_lowered_only_on_request(call: Call, ran: Path) -> None:
    """Whoever runs it up to the budget is not cut short without a word; raising needs none."""
    record = store(ran).study("small")
    store(ran).register(record.study.with_trials(200), record.data_digests)
    refused = call("run", "small", "--no-tracking", "--trials", "6")
    assert (refused.code, one_line(refused)) == (
        2,
        "hpsearch: study 'small' has a budget of 200 trials, not 6; a smaller budget stops its "
        "other workers, too: confirm it with --lower (in Python: lower=True)",
    )
    assert call("status", "small", "--json").json["budget"] == 200
    lowered = call("run", "small", "--no-tracking", "--trials", "6", "--lower")
    assert (lowered.code, lowered.out.splitlines()[0]) == (0, "small: 6 of 6 trials (6 complete)")
    assert lowered.err.splitlines()[0] == "hpsearch: 'small' now ends with 6 trials, not 200"


def test_a_changed_study_is_refused(call: Call, write: Write, ran: Path) -> None:
    """A file that differs from the stored study: exit 2, the difference, and what to do."""
    before = kept(ran)
    outcome = call("run", write(study()), "--no-tracking", "--set", "training.epochs=4")
    assert (outcome.code, one_line(outcome)) == (
        2,
        "hpsearch: study 'small' is already in the store with a different definition "
        "(training.epochs: stored 3, now 4); restore the file, or use --name to "
        "run it under another name",
    )
    assert before == kept(ran)


def test_name_makes_another_study(hpsearch: Run, call: Call, write: Write, ran: Path) -> None:
    """The same file under another name is a study of its own, with the same trials."""
    changes = ("--no-tracking", "--workers", "1", "--name", "my other")
    ended = hpsearch("run", write(study()), *changes)
    assert (ended.returncode, ended.stderr.count("hpsearch: ")) == (0, 0)
    assert "next:  hpsearch sync 'my other'  |" in ended.stdout
    digests = [call("digest", name, "--json").json["digest"] for name in ("small", "my other")]
    assert digests[0] == digests[1]


def test_a_study_by_its_name(
    hpsearch: Run, call: Call, ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bare name is looked up in ``studies/`` here, and then among those that come along."""
    monkeypatch.chdir(tmp_path)
    Path("studies").mkdir()
    Path("studies/mine.toml").write_text(study_file.toml(study(name="mine")))
    ended = hpsearch("run", "mine", "--no-tracking", "--trials", "1")
    assert (
        ended.returncode,
        ended.stdout.splitlines()[0],
    ) == (0, "mine: 1 of 1 trials (1 complete)")
    said = one_line(call("run", "yours"))
    assert said[:43] == "hpsearch: no study file 'yours'; use one of "[:43]
    assert {"book", "mine"} <= set(said[44:].split(", "))
    assert one_line(call("run", "boook")) == ("hpsearch: no study file 'boook'; did you mean book?")


def test_what_was_said_on_the_command_line_is_blamed_there(
    hpsearch: Run, call: Call, ran: Path, tmp_path: Path, write: Write
) -> None:
    """And not in the file, which is to blame only for what it says itself."""
    file = write(study())
    for given in ("training.lr=abc", "training.epochs=-1"):
        said = one_line(call("run", file, "--set", given))
        assert said.startswith(f"hpsearch: the command line: {given.partition('=')[0]}: ")
        said = one_line(call("run", "small", "--set", given))
        assert said.startswith(f"hpsearch: the command line: {given.partition('=')[0]}: ")
    assert one_line(call("run", file, "--trials", "-1")).startswith(
        "hpsearch: the command line: search.trials: "
    )
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(Path(file).read_text().replace("epochs = 3", "epochs = -3"))
    said = one_line(call("run", str(wrong), "--set", "training.lr=0.1"))
    assert said.startswith(f"hpsearch: {wrong}: training.epochs: ")


def test_a_study_of_the_store_goes_on_without_its_file(call: Call, ran: Path) -> None:
    """What was made from a file elsewhere, or with --set, is run by its name alone."""
    done = call("run", "small", "--no-tracking", "--trials", "7", "--workers", "1")
    assert (done.code, done.out.splitlines()[0]) == (0, "small: 7 of 7 trials (7 complete)")
    changed = call("run", "small", "--no-tracking", "--set", "training.epochs=9")
    assert (changed.code, "training.epochs: stored 3, now 9" in changed.err) == (2, True)
    unknown = call("run", "smal", "--no-tracking")
    assert (unknown.code, one_line(unknown)) == (
        2,
        "hpsearch: no study file 'smal'; did you mean small?",
    )


def test_more_workers_than_lag(hpsearch: Run, ran: Path, write: Write) -> None:
    """More workers than trials may run at once are a warning that says why some wait."""
    described = study(name="lag", search__sampler="tpe", search__lag=1, search__trials=2)
    ended = hpsearch("run", write(described), "--no-tracking", "--workers", "2")
    said = "hpsearch: with lag 1, only one trial can run at the same time; 1 of 2 workers will"
    assert (0, said) == (ended.returncode, ended.stderr[: len(said)])


def test_worker(call: Call, hpsearch: Run, write: Write, ran: Path) -> None:
    """A worker joins a study that is in the store, and ends with it."""
    digests = store(ran).study("small").data_digests
    store(ran).register(study(name="joined"), digests)
    ended = hpsearch("worker", "joined")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr.splitlines() == [
        "hpsearch: working on joined: 0 of 6 trials have finished",
        "hpsearch: 6 of 6 trials have finished, 6 of them since this worker started",
    ]
    small, joined = (call("digest", name).out for name in ("small", "joined"))
    assert small == joined


# -- look

TRIAL = {
    "number",
    "state",
    "value",
    "params",
    "epochs",
    "seed",
    "attempts",
    "started",
    "ended",
    "weights_sha256",
    "mlflow_run_id",
    "reason",
}


def test_trials_json(call: Call, ran: Path) -> None:
    """``trials --json`` is a list of trials in the order of their numbers."""
    outcome = call("trials", "small", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    trials = outcome.json
    assert list(range(6)) == [trial["number"] for trial in trials]
    for trial in trials:
        assert trial.keys() == TRIAL
        assert tuple(
            trial[key] for key in ("state", "epochs", "attempts", "mlflow_run_id", "reason")
        ) == ("COMPLETE", 3, 1, None, None)
        assert list(trial["params"]) == ["network.dropout", "training.lr"]
        assert isinstance(trial["seed"], int)
        assert len(bytes.fromhex(trial["weights_sha256"])) * 2 == 64
        assert trial["started"] <= trial["ended"]
        assert trial["ended"].endswith("+00:00")


def test_trials_json_of_a_pruned_one(call: Call, ran: Path) -> None:
    """A PRUNED trial has no value, the epochs that it came to, and its pruner as reason."""
    pruned = [t for t in call("trials", "pruned", "--json").json if t["state"] == "PRUNED"]
    assert pruned
    for trial in pruned:
        assert (trial["value"], trial["reason"]) == (None, "hyperband")
        assert trial["epochs"] in (1, 3)
        assert trial["weights_sha256"]


def test_trials_json_of_one_that_runs(call: Call, ran: Path) -> None:
    """A RUNNING trial has begun and not ended, and can neither be shown nor reproduced."""
    begin(ran)
    trial = call("trials", "small", "--json").json[6]
    assert tuple(trial[key] for key in ("state", "value", "ended", "epochs", "params")) == (
        "RUNNING",
        None,
        None,
        0,
        {},
    )
    assert tuple(call("status", "small", "--json").json[k] for k in ("running", "budget")) == (1, 7)
    for command, said in [
        ("config", "trial 6 is RUNNING; it has no values yet"),
        ("curve", "trial 6 is RUNNING; it has no curve yet"),
        ("reproduce", "trial 6 is RUNNING; name a COMPLETE or PRUNED trial"),
    ]:
        outcome = call(command, "small", "--trial", "6")
        assert (2, f"hpsearch: {said}") == (outcome.code, one_line(outcome))


def begin(home: Path) -> Leases:
    """Raise the budget of ``small`` by one, and have this process hold the trial."""
    opened = store(home)
    record = opened.study("small")
    described = record.study.with_trials(7)
    opened.register(described, record.data_digests)
    leases = Leases(opened.database, record, lag=None, seed=lambda n: n, owner=Owner.of())
    leases.claim()
    return leases


def test_best_json(call: Call, ran: Path) -> None:
    """``best --json`` is the trial with the best value, and its resolved configuration."""
    trials = call("trials", "small", "--json").json
    first = max(trials, key=lambda trial: (trial["value"], -trial["number"]))
    document = call("best", "small", "--json").json
    resolved = document.pop("config")
    corrected = document.pop("corrected")
    assert (document.pop("confirmed"), document.pop("test")) == (None, [])
    assert first == document
    assert {"value", "low", "high", "chosen_from"} == corrected.keys()
    assert corrected["low"] < corrected["value"] < corrected["high"]
    assert corrected["chosen_from"] == 6
    assert {"data", "network", "training"} == resolved.keys()
    assert first["seed"] == resolved["training"]["seed"]
    assert first["params"]["training.lr"] == resolved["training"]["lr"]
    assert first["params"]["network.dropout"] == resolved["network"]["dropout"]


def test_curve_json(call: Call, ran: Path) -> None:
    """``curve --json`` is the four curves by epoch, from 1; the last one is the trial's value."""
    document = call("curve", "small", "--trial", "2", "--json").json
    assert {"number", "epochs"} == document.keys()
    assert (document["number"], [row["epoch"] for row in document["epochs"]]) == (2, [1, 2, 3])
    names = ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]
    assert [names] * 3 == [list(row) for row in document["epochs"]]
    value = call("trials", "small", "--json").json[2]["value"]
    assert value == document["epochs"][-1]["val_accuracy"]


def test_curve_is_of_the_best_by_default(call: Call, ran: Path) -> None:
    """Without ``--trial``, ``curve`` and ``reproduce`` are of the best trial."""
    best = call("best", "small", "--json").json["number"]
    assert best == call("curve", "small", "--json").json["number"]
    assert best == call("reproduce", "small", "--json").json["number"]


def test_status_json(call: Call, ran: Path) -> None:
    """``status --json`` counts a study's trials by state, and names the best."""
    expected = {
        "study": "small",
        "budget": 6,
        "complete": 6,
        "pruned": 0,
        "failed": 0,
        "running": 0,
        "waiting": 0,
        "unprojected": 6,
        "best": (best := call("best", "small", "--json").json)["value"],
        "best_trial": best["number"],
        "trials_per_minute": None,
        "ended": None,
    }
    assert expected == call("status", "small", "--json").json
    counts = call("status", "pruned", "--json").json
    assert counts["complete"] + counts["pruned"] == 9
    assert counts["pruned"] > 0


def test_digest_json(call: Call, ran: Path) -> None:
    """``digest --json`` says of how many trials the digest is, and prints it alone without."""
    document = call("digest", "small", "--json").json
    assert {"study": "small", "digest": document["digest"], "trials": 6} == document
    assert f"{document['digest']}\n" == call("digest", "small").out


def test_studies_json(call: Call, ran: Path) -> None:
    """``studies --json`` is a list of studies' counts with their best values."""
    small, pruned = call("studies", "--json").json
    status = call("status", "small", "--json").json
    shared = small.keys() & status.keys()
    assert {key: status[key] for key in shared} == {key: small[key] for key in shared}
    assert (pruned["study"], pruned["metric"]) == ("pruned", "val_accuracy")
    assert small["created"] < pruned["created"]


def test_studies_of_an_empty_workspace(call: Call, home: Path) -> None:
    """Where nothing was run yet there are no studies, and nothing is made by looking."""
    assert call("studies", "--json").json == []
    assert call("studies").out.startswith("no studies yet; to run one: ")
    assert call("studies").out.endswith("hpsearch run book\n")
    assert not home.exists()


def test_reproduce_json(call: Call, ran: Path) -> None:
    """``reproduce --json`` says what was compared."""
    outcome = call("reproduce", "small", "--trial", "1", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    recorded = call("trials", "small", "--json").json[1]["weights_sha256"]
    expected = {
        "identical": True,
        "within_tolerance": False,
        "number": 1,
        "weights_sha256": recorded,
        "recorded_sha256": recorded,
        "first_difference": None,
        "environment_differences": outcome.json["environment_differences"],
        "epochs": 3,
        "rounds_alike": True,
        "gaps": dict.fromkeys(("train_loss", "train_accuracy", "val_loss", "val_accuracy"), 0.0),
        "elsewhere": False,
    }
    assert expected == outcome.json


def test_scaling_is_written_down_as_the_data_ask_for_it(
    call: Call, write: Write, tmp_path: Path
) -> None:
    """One range for images, one a feature for tables; the same file goes on, spelt out or not."""
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    for name, shape, scaling in [("table", (90, 4), "standard"), ("images", (90, 2, 2), "minmax")]:
        np.savez(tmp_path / f"{name}.npz", x=rng.normal(size=shape), y=labels)
        changes = {
            "name": name,
            "data": {"dataset": f"npz:{tmp_path / name}.npz", "train": 60, "validation": 10},
            "search__trials": 1,
        }
        for written in (study(**changes), study(**changes, data__scaling=scaling)):
            outcome = call("run", write(written), "--workers", "1", "--no-tracking")
            assert outcome.code == 0, outcome.err
            assert call("config", name, "--json").json["data"]["scaling"] == scaling
        other = write(study(**changes, data__scaling="none"))
        outcome = call("run", other, "--workers", "1", "--no-tracking")
        assert (outcome.code, f'data.scaling: stored "{scaling}", now "none"' in outcome.err) == (
            2,
            True,
        )


def test_config_json(call: Call, ran: Path) -> None:
    """``config --json`` is the study's definition, or the trial's."""
    assert study(data__scaling="minmax").definition() == call("config", "small", "--json").json
    one = call("config", "small", "--trial", "1", "--json").json
    assert (one["name"], one["search"]["trials"]) == ("small-trial-1", 1)


def test_tables_for_people(call: Call, ran: Path) -> None:
    """Without ``--json`` there is a line for each study, trial and epoch."""
    for words, rows in [(["studies"], 2), (["trials", "small"], 6), (["curve", "small"], 3)]:
        outcome = call(*words)
        assert (outcome.code, outcome.err) == (0, "")
        assert rows + 2 == len([line for line in outcome.out.splitlines() if line.strip()])
    assert call("status", "small").out.splitlines()[0] == "small: 6 of 6 trials (6 complete)"
    assert "is optimistic: " in call("best", "small").out


def test_status_names_the_best_and_the_rate(call: Call, ran: Path) -> None:
    """While a worker holds a trial, ``status`` says how quick it goes, and not to sync."""
    best = call("best", "small", "--json").json
    assert f"best: trial {best['number']}, val_accuracy" in call("status", "small").out
    assert "hpsearch sync small" in call("status", "small").out
    begin(ran)
    shown = call("status", "small")
    assert "trials a minute" in shown.out
    assert "sync" not in shown.out
    assert call("status", "small", "--json").json["trials_per_minute"] > 0


def test_pruned_trials_show_their_last_value(call: Call, ran: Path) -> None:
    """The table says how good a trial was when it was stopped."""
    trial = next(t for t in call("trials", "pruned", "--json").json if t["state"] == "PRUNED")
    last = call("curve", "pruned", "--trial", str(trial["number"]), "--json").json["epochs"][-1]
    (row,) = (
        line.split()
        for line in call("trials", "pruned").out.splitlines()
        if line.split()[:2] == [str(trial["number"]), "PRUNED"]
    )
    assert f"{last['val_accuracy']:.4g}" == row[2]


def test_config_of_a_study_that_was_never_run(call: Call, home: Path) -> None:
    """A study file's defaults are written out, before there is a store."""
    shown = call("config", "quick")
    assert (shown.code, "[search]" in shown.out) == (0, True)
    assert not home.exists()
    assert call("config", "quick", "--trial", "0").code == 2


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_what_a_command_takes(call: Call, option: str) -> None:
    """Help has no braces and no names of Python's types."""
    shown = call("run", option).out
    assert "hpsearch run [OPTIONS] STUDY" in shown
    assert not re.search(r"[{}]|<[a-z]", shown)
    assert "hpsearch sync [OPTIONS] [NAME]" in call("sync", option).out


def test_brackets_are_no_markup(call: Call, ran: Path) -> None:
    """A name or a reason with brackets is shown as it is."""
    store(ran).register(study(name="[red] x"), {"dataset": "d"})
    edit(ran, "UPDATE hpsearch_trials SET reason = '[/no] tag' WHERE study_id = 1 AND number = 1")
    assert "[red] x " in call("studies").out
    assert "[/no] tag" in call("trials", "small").out


@pytest.mark.parametrize(
    "words",
    [[c, "smal"] for c in sorted(COMMANDS - {"run", "studies", "ui", "delete"})]
    + [["delete", "smal", "--yes"]],
    ids=lambda words: words[0],
)
def test_an_unknown_study(call: Call, ran: Path, words: list[str]) -> None:
    """A study that is not in the store: exit 2, and which there are."""
    before = kept(ran)
    outcome = call(*words)
    said = f"hpsearch: no study 'smal' in {ran / 'studies.db'}; did you mean small?"
    assert (2, said) == (outcome.code, one_line(outcome))
    assert before == kept(ran)


@pytest.mark.parametrize("command", ["config", "curve", "reproduce"])
def test_an_unknown_trial(call: Call, ran: Path, command: str) -> None:
    """A trial that was not begun: exit 2, and which there are."""
    outcome = call(command, "small", "--trial", "6")
    assert (outcome.code, one_line(outcome)) == (
        2,
        "hpsearch: no trial 6; the study has trials 0 to 5",
    )


@pytest.mark.parametrize(("command", "code"), [("best", 1), ("curve", 1), ("reproduce", 2)])
def test_without_a_complete_trial(call: Call, ran: Path, command: str, code: int) -> None:
    """There is no best of nothing."""
    store(ran).register(study(name="empty"), {"dataset": "d"})
    outcome = call(command, "empty")
    assert (code, "hpsearch: 'empty' has no COMPLETE trial") == (
        outcome.code,
        one_line(outcome)[:39],
    )


# -- reproduce


@pytest.mark.parametrize("state", ["COMPLETE", "PRUNED"])
def test_reproduce(call: Call, ran: Path, state: str) -> None:
    """A COMPLETE trial reproduces, and a PRUNED one up to the epoch where it was stopped."""
    trials = call("trials", "pruned", "--json").json
    trial = next(trial for trial in trials if trial["state"] == state)
    outcome = call("reproduce", "pruned", "--trial", str(trial["number"]))
    head = f"trial {trial['number']} of pruned, trained again: {trial['epochs']} epochs compared"
    assert (outcome.code, outcome.err) == (0, "")
    assert [
        head,
        "identical: every metric, bit for bit",
        f"weights sha256 {trial['weights_sha256']}",
    ] == outcome.out.splitlines()


def test_a_trials_file_gives_its_weights(
    call: Call, hpsearch: Run, tmp_path: Path, ran: Path
) -> None:
    """What ``config --trial`` prints is a study of one trial, with the same bits."""
    file = tmp_path / "again.toml"
    file.write_text(call("config", "pruned", "--trial", "0").out)
    assert hpsearch("run", str(file), "--no-tracking").returncode == 0
    first = call("trials", "pruned", "--json").json[0]
    (again,) = call("trials", "pruned-trial-0", "--json").json
    for key in ("weights_sha256", "seed", "value", "epochs"):
        assert first[key] == again[key]
    assert again["params"] == {}


def tampered(home: Path) -> None:
    """Flip the least bit of the first loss of trial 1's second epoch."""
    (data,) = (
        sqlite3.connect(home / "studies.db")
        .execute("SELECT epochs FROM hpsearch_curves WHERE study_id = 1 AND number = 1")
        .fetchone()
    )
    forged = bytes([*data[:32], data[32] ^ 1, *data[33:]])
    edit(home, "UPDATE hpsearch_curves SET epochs = ? WHERE study_id = 1 AND number = 1", forged)


def test_reproduce_sees_a_bit(call: Call, ran: Path) -> None:
    """One bit of one loss is a difference: exit 3, and where it is."""
    tampered(ran)
    outcome = call("reproduce", "small", "--trial", "1", "--json")
    assert (outcome.code, outcome.json["identical"], outcome.err) == (3, False, "")
    assert outcome.json["first_difference"][:20] == "epoch 2: train_loss "
    assert "DIFFERENT: epoch 2: train_loss " in call("reproduce", "small", "--trial", "1").out


def test_reproduce_sees_other_weights(call: Call, ran: Path) -> None:
    """Curves alone are not enough: other weights are a difference, too."""
    edit(ran, "UPDATE hpsearch_trials SET weights_sha256 = 'ff' WHERE study_id = 1 AND number = 1")
    outcome = call("reproduce", "small", "--trial", "1", "--json")
    assert (
        outcome.code,
        outcome.json["first_difference"][:29],
    ) == (3, "weights: sha256 ff recorded, ")


def test_a_difference_where_rounding_differs(call: Call, ran: Path) -> None:
    """Where the environment rounds otherwise, a difference says nothing: exit 4."""
    tampered(ran)
    edit(
        ran,
        "UPDATE hpsearch_environments SET content = json_set(content, '$.machine', 'abacus')",
    )
    outcome = call("reproduce", "small", "--trial", "1", "--json")
    assert (outcome.code, outcome.json["identical"]) == (4, False)
    assert outcome.json["environment_differences"][0][:33] == 'machine: recorded "abacus", here '
    assert call("reproduce", "small", "--trial", "2").code == 0


# -- data that changes


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    """A dataset of one's own: two classes that are easy to tell apart."""
    path = tmp_path / "own.npz"
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    np.savez(path, x=rng.normal(y[:, None], 0.5, (200, 4)), y=y)
    return path


def test_a_run_leaves_whole_databases(hpsearch: Run, write: Write, home: Path) -> None:
    """Whoever copies a database alone has all of it: no log is left beside it."""
    assert hpsearch("run", write(study(search__trials=2))).returncode == 0
    assert {path.name for path in home.glob("*.db*")} == {
        "studies.db",
        "mlflow.db",
        "mlflow.db.lock",
    }


def test_changed_data(call: Call, hpsearch: Run, write: Write, npz: Path, home: Path) -> None:
    """Data that is no longer the study's: nothing is compared (4), and nothing is run on it (2)."""
    file = write(study(data__dataset=f"npz:{npz}", search__trials=2))
    assert hpsearch("run", file, "--no-tracking").returncode == 0
    assert call("reproduce", "small").code == 0
    with np.load(npz) as arrays:
        x, y = arrays["x"], arrays["y"]
    x[0, 0] += 1
    np.savez(npz, x=x, y=y)
    before = kept(home)
    expected = {
        ("reproduce", "small"): (
            4,
            "hpsearch: the data of 'small' has changed since the study ran (",
        ),
        ("worker", "small"): (
            2,
            "hpsearch: the data of 'small' has changed since the study started",
        ),
        ("run", file): (
            2,
            "hpsearch: the data of 'small' has changed since the study started (dataset sha256 ",
        ),
    }
    for words, (code, said) in expected.items():
        outcome = call(*words)
        assert (code, said) == (outcome.code, one_line(outcome)[: len(said)])
    npz.unlink()
    outcome = call("reproduce", "small")
    assert (2, f"hpsearch: {npz}: no such file") == (outcome.code, one_line(outcome).split(";")[0])
    assert before == kept(home)


# -- trials that end badly


def test_divergence(call: Call, hpsearch: Run, write: Write, ran: Path) -> None:
    """A training that diverges is PRUNED, without the diverging epoch, and the study goes on."""
    described = study(
        name="bad",
        network__dropout=0.0,
        training__lr={"choices": [0.1, 1e20, 1e30]},
        training__epochs=6,
        search__trials=5,
        search__enqueue=[{"training.lr": lr} for lr in (0.1, 1e20, 1e30, 0.1, 1e20)],
    )
    ended = hpsearch("run", write(described), "--no-tracking", "--workers", "1")
    assert (
        ended.returncode,
        ended.stdout.splitlines()[0],
    ) == (0, "bad: 5 of 5 trials (2 complete, 3 pruned)")
    for trial in call("trials", "bad", "--json").json:
        rows = call("curve", "bad", "--trial", str(trial["number"]), "--json").json["epochs"]
        assert trial["epochs"] == len(rows)
        assert all(np.isfinite(value) for row in rows for value in row.values())
        if trial["params"]["training.lr"] > 1:
            assert tuple(trial[key] for key in ("state", "reason", "value", "weights_sha256")) == (
                "PRUNED",
                "diverged",
                None,
                None,
            )
            assert trial["epochs"] < 6
        else:
            assert (trial["state"], trial["epochs"]) == ("COMPLETE", 6)
        assert call("reproduce", "bad", "--trial", str(trial["number"])).code == 0


def test_nothing_but_divergence(hpsearch: Run, write: Write, ran: Path) -> None:
    """A study in which no trial completes has failed."""
    file = write(study(name="bad", training__lr=1e30, search__trials=2))
    ended = hpsearch("run", file, "--no-tracking", "--workers", "1")
    assert (ended.returncode, ended.stdout) == (1, "bad: 2 of 2 trials (2 pruned)\n")
    assert (
        (ended.stderr.splitlines()[-1])
        == "hpsearch: no trial of 'bad' completed; for the reasons, run: hpsearch trials bad"
    )


def test_a_trial_that_fails(call: Call, hpsearch: Run, write: Write, ran: Path) -> None:
    """An exception in a trial is FAIL with its reason; the study goes on, and has a best."""
    impossible = [2**31 - 1] * 4  # more weights than an array can have
    described = study(
        name="bad",
        network__hidden={"choices": [[8], impossible]},
        search__enqueue=[{"network.hidden": hidden} for hidden in ([8], impossible, [8])],
        search__trials=3,
    )
    ended = hpsearch("run", write(described), "--no-tracking", "--workers", "1")
    assert (
        ended.returncode,
        ended.stdout.splitlines()[0],
    ) == (0, "bad: 3 of 3 trials (2 complete, 1 failed)")
    trial = call("trials", "bad", "--json").json[1]
    assert tuple(trial[key] for key in ("state", "value", "epochs", "weights_sha256")) == (
        "FAIL",
        None,
        0,
        None,
    )
    assert trial["reason"][:12] == "ValueError: "
    assert trial["ended"]
    outcome = call("reproduce", "bad", "--trial", "1")
    said = "hpsearch: trial 1 is FAIL; name a COMPLETE or PRUNED trial"
    assert (2, said) == (outcome.code, one_line(outcome))


Fault = Callable[[str], dict[str, str]]


@pytest.fixture
def fault(tmp_path: Path) -> Fault:
    """Environments in which ``net.fit`` does something else while the file ``fault`` is there."""

    def environ(statement: str) -> dict[str, str]:
        (tmp_path / "fault").touch()
        program = f"""
            import os, pathlib, time, net
            fit = net.fit
            def faulty(*arguments, **options):
                if pathlib.Path({str(tmp_path / "fault")!r}).exists():
                    {statement}
                return fit(*arguments, **options)
            net.fit = faulty
            """
        (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(program))
        return os.environ | {"PYTHONPATH": str(tmp_path)}

    return environ


@pytest.mark.parametrize("command", ["run", "worker"])
def test_a_trial_that_takes_its_worker_down(
    hpsearch: Run, call: Call, write: Write, fault: Fault, ran: Path, command: str
) -> None:
    """After five workers it is given up as lost, whoever started them; the study goes on."""
    described = study(name="deadly")
    store(ran).register(described, store(ran).study("small").data_digests)
    run = ["run", write(described), "--no-tracking", "--workers", "4"]
    words = {"run": run, "worker": ["worker", "deadly"]}
    small = call("trials", "small", "--json").json
    deadly = small[2]["params"]["training.lr"]
    env = fault(f"arguments[1].lr == {deadly!r} and os.kill(os.getpid(), 9)")
    ended = hpsearch(*words[command], env=env)
    assert "hpsearch: trial 2 crashed its worker 5 times and was given up (lost)" in ended.stderr
    assert ended.returncode == 0
    trials = call("trials", "deadly", "--json").json
    assert (trials[2]["state"], trials[2]["reason"], trials[2]["attempts"]) == ("FAIL", "lost", 5)
    for trial in small:
        if trial["number"] != 2:
            assert trial["weights_sha256"] == trials[trial["number"]]["weights_sha256"]


def test_ten_failures_stop_and_retry_mends(
    call: Call, hpsearch: Run, write: Write, fault: Fault, tmp_path: Path, ran: Path
) -> None:
    """Ten FAIL in a row stop a study, which says so; ``retry`` runs them as if never failed."""
    described = study(name="failing", search__trials=12)
    run = ("run", write(described), "--no-tracking", "--workers", "1")
    broken = fault("raise RuntimeError('no luck')")
    said = (
        "hpsearch: stopped: the last 10 trials failed, the last one with: RuntimeError: no luck; "
        "to run them again after fixing this: hpsearch retry failing"
    )
    ended = hpsearch(*run, env=broken)
    assert (ended.returncode, ended.stdout) == (1, "failing: 10 of 12 trials (10 failed)\n")
    assert said == ended.stderr.splitlines()[-1]
    outcome = call("worker", "failing")
    assert (1, said) == (outcome.code, outcome.err.splitlines()[-1])
    (tmp_path / "fault").unlink()
    assert Outcome(0, "10 trials are waiting to be run again\n", "") == call("retry", "failing")
    assert call("status", "failing", "--json").json["waiting"] == 10
    assert hpsearch(*run, env=broken).returncode == 0
    trials = call("trials", "failing", "--json").json
    assert [(trial["state"], trial["attempts"]) for trial in trials] == [("COMPLETE", 2)] * 10 + [
        ("COMPLETE", 1)
    ] * 2
    small = call("trials", "small", "--json").json
    assert [t["weights_sha256"] for t in small] == [t["weights_sha256"] for t in trials[:6]]
    assert Outcome(0, "no trial failed\n", "") == call("retry", "failing")


def test_a_study_that_ends_with_ten_failures_is_done(
    hpsearch: Run, write: Write, fault: Fault, tmp_path: Path, ran: Path
) -> None:
    """Only what is left to do can be stopped: here nothing is."""
    run = ("--no-tracking", "--workers", "1", "--name", "late")
    assert hpsearch("run", write(study(search__trials=2)), *run).returncode == 0
    twelve = write(study(search__trials=12))
    assert hpsearch("run", twelve, *run, env=fault("raise RuntimeError('no luck')")).returncode == 0
    (tmp_path / "fault").unlink()
    for words in (["run", twelve, *run], ["worker", "late"]):
        ended = hpsearch(*words)
        assert (ended.returncode, "stopped" in ended.stderr) == (0, False)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("raise MemoryError('full')", "trial 0: MemoryError: full; nothing is lost"),
        ("raise OSError(28, 'No space left on device')", "trial 0: OSError: [Errno 28] No space"),
    ],
)
def test_no_fault_of_the_trials(
    call: Call, hpsearch: Run, write: Write, ran: Path, fault: Fault, statement: str, said: str
) -> None:
    """Memory and disk are no fault of the trial's: it is handed back, and the run ends with 1."""
    ended = hpsearch(
        "run", write(study(name="bad")), "--no-tracking", "--workers", "1", env=fault(statement)
    )
    assert (ended.returncode, ended.stdout) == (1, "bad: 0 of 6 trials (1 waiting)\n")
    assert f"hpsearch: {said}" == ended.stderr.splitlines()[-1][: 10 + len(said)]
    assert "Traceback" not in ended.stderr
    assert call("trials", "bad", "--json").json[0]["state"] == "WAITING"


def test_a_network_too_large_for_memory(hpsearch: Run, write: Write, ran: Path) -> None:
    """A network that no memory holds ends the run in one line."""
    file = write(study(name="bad", network__hidden=[10**8, 10**8]))
    ended = hpsearch("run", file, "--no-tracking", "--workers", "1")
    assert (
        ended.returncode,
        ended.stderr.splitlines()[-1][:51],
    ) == (1, "hpsearch: trial 0: MemoryError: Unable to allocate ")


# -- signals


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, workspace: Path) -> str:
    """The digest of ``AT_WORK`` when nothing interrupts it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "long.toml").write_text(study_file.toml(study(**AT_WORK)))
    shutil.copytree(workspace, folder / "home")
    environ = os.environ | {"HPSEARCH_HOME": str(folder / "home")}
    program = [sys.executable, "-m", "hpsearch"]
    command = [*program, "run", str(folder / "long.toml"), "--no-tracking"]
    subprocess.run(command, env=environ, check=True, capture_output=True)
    digest = [*program, "digest", "long"]
    return subprocess.run(
        digest, env=environ, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.parametrize(
    ("number", "whole_group"),
    [(signal.SIGINT, True), (signal.SIGTERM, False)],
    ids=["Ctrl-C on a terminal", "SIGTERM"],
)
def test_signals(
    hpsearch: Run,
    call: Call,
    write: Write,
    fault: Fault,
    tmp_path: Path,
    ran: Path,
    undisturbed: str,
    number: signal.Signals,
    whole_group: bool,
) -> None:
    """A signal ends a run soon, with nothing held; the same command goes on to the same."""
    command = ["run", write(study(**AT_WORK)), "--no-tracking", "--workers", "2"]
    with subprocess.Popen(
        [sys.executable, "-m", "hpsearch", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=fault("time.sleep(1)"),  # so that it is met at work, however late one looks
        start_new_session=True,
    ) as process:
        wait_for(lambda: finished(ran) > 1)
        began = time.monotonic()
        (os.killpg if whole_group else os.kill)(process.pid, number)
        out, err = process.communicate(timeout=60)
    assert time.monotonic() - began < SOON
    assert (128 + number, "") == (process.returncode, out)
    counts = call("status", "long", "--json").json
    assert (counts["running"], counts["budget"]) == (0, 8)
    assert 1 < counts["complete"] < 8
    assert err.splitlines()[-1] == (
        f"hpsearch: stopped after {counts['complete']} of 8 trials; run the same command to resume"
    )
    (tmp_path / "fault").unlink()
    assert hpsearch(*command).returncode == 0
    assert undisturbed == call("digest", "long").out.strip()


def test_a_signal_leaves_a_whole_database(write: Write, fault: Fault, ran: Path) -> None:
    """What was written is in the file itself when the run has ended, and not in a log beside it."""
    before = written(ran)
    with subprocess.Popen(
        [sys.executable, "-m", "hpsearch", "run", write(study(**AT_WORK)), "--no-tracking"],
        stderr=subprocess.DEVNULL,
        env=fault("time.sleep(1)"),
    ) as process:
        wait_for(lambda: written(ran) > before)
        process.terminate()
        assert process.wait(60) == 143
    assert {path.name for path in ran.glob("studies.db*")} == {"studies.db"}


def written(home: Path) -> int:
    """How many trials are in the store, by a connection that is closed."""
    file = home / "studies.db"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        found: int = connection.execute("SELECT count(*) FROM trials").fetchone()[0]
    return found


def finished(home: Path) -> int:
    """How many trials of ``AT_WORK`` are finished."""
    opened = store(home)
    names = {record.name: record.id for record in opened.studies()}
    return opened.counts(names["long"]).finished if "long" in names else 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_of_a_worker(
    hpsearch: Run,
    call: Call,
    fault: Fault,
    tmp_path: Path,
    ran: Path,
    undisturbed: str,
    number: signal.Signals,
) -> None:
    """A worker ends with its process, too, and nothing is held; the next one goes on."""
    splits = data.split(load("digits"), train=1000, validation=30, seed=0)
    store(ran).register(study(**AT_WORK), splits.digests)
    with subprocess.Popen(
        [sys.executable, "-m", "hpsearch", "worker", "long"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=fault("time.sleep(1)"),
        start_new_session=True,
    ) as process:
        wait_for(lambda: finished(ran) > 1)
        began = time.monotonic()
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        out, err = process.communicate(timeout=60)  # to the end of the last who can write there
    assert time.monotonic() - began < SOON
    killed = number == signal.SIGKILL
    assert (-number if killed else 128 + number, "") == (process.returncode, out)
    said = ["hpsearch: working on long: 0 of 8 trials have finished"]
    said += [] if killed else ["hpsearch: stopped; run the same command to resume"]
    assert said == err.splitlines()
    assert finished(ran) < 8
    (tmp_path / "fault").unlink()
    assert hpsearch("worker", "long").returncode == 0
    assert undisturbed == call("digest", "long").out.strip()


@pytest.mark.parametrize("command", ["run", "worker"])
def test_an_epoch_that_takes_long(
    hpsearch: Run, call: Call, write: Write, fault: Fault, ran: Path, command: str
) -> None:
    """An epoch that goes on is broken off: within 5 s, its trial handed back all the same."""
    described = study(name="long")
    store(ran).register(described, store(ran).study("small").data_digests)
    words = {"run": ["run", write(described), "--no-tracking"], "worker": ["worker", "long"]}
    with subprocess.Popen(
        [sys.executable, "-m", "hpsearch", *words[command]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=fault("time.sleep(60)"),
    ) as process:
        wait_for(lambda: call("status", "long", "--json").json["running"] > 0)
        began = time.monotonic()
        process.terminate()
        process.communicate(timeout=60)
    assert time.monotonic() - began < SOON
    assert process.returncode == 143
    counts = call("status", "long", "--json").json
    assert (counts["running"], counts["waiting"] > 0) == (0, True)


# -- sync, delete, ui


def test_tracking(hpsearch: Run, call: Call, write: Write, ran: Path, mlflow_db: Path) -> None:
    """``sync`` adds what ``--no-tracking`` left out, once; a tracked run names its MLflow run."""
    shutil.copy(mlflow_db, ran)

    def ran_well(*words: str) -> list[str]:
        ended = hpsearch(*words)
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout.splitlines()

    synced = "small: 0 trials written to Optuna's storage, {} to MLflow"
    assert ran_well("sync", "small") == [synced.format(6)]
    assert ran_well("sync", "small") == [synced.format(0)]
    ended = hpsearch("run", write(study()), "--trials", "7", "--workers", "1")
    best = call("best", "small", "--json").json
    tracked, edge, following = ended.stdout.splitlines()[-3:]
    assert "lies at the high end of its range" in edge
    assert [tracked, following] == [
        f"MLflow: experiment 'small', run {best['mlflow_run_id']}",
        "next:  hpsearch ui --open  |  hpsearch report small  |  hpsearch reproduce small",
    ]
    runs = {trial["mlflow_run_id"] for trial in call("trials", "small", "--json").json}
    assert (len(runs), None in runs) == (7, False)
    assert call("status", "small", "--json").json["unprojected"] == 0
    assert ran_well("delete", "small", "--yes") == ["small: deleted"]
    assert [described["study"] for described in call("studies", "--json").json] == ["pruned"]


def test_delete_asks_first(call: Call, ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``--yes``, only a yes deletes; the question is no output."""
    before = kept(ran)
    for answer in ("", "n\n", "\n"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        outcome = call("delete", "small", "--no-tracking")
        assert (outcome.code, outcome.out) == (1, "")
        assert outcome.err.startswith("Delete 'small' with its 6 trials? [y/N] ")
        assert outcome.err.endswith("hpsearch: cancelled; nothing was changed\n")
    assert before == kept(ran)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    outcome = call("delete", "small", "--no-tracking")
    assert (outcome.code, outcome.out) == (0, "small: deleted\n")


def test_delete_of_a_study_at_work(call: Call, ran: Path) -> None:
    """A study that a worker holds a trial of is not deleted under it."""
    leases = begin(ran)
    before = kept(ran)
    outcome = call("delete", "small", "--yes", "--no-tracking")
    said = "hpsearch: 1 of its trials are running; stop the workers first"
    assert (2, said) == (outcome.code, one_line(outcome))
    assert before == kept(ran)
    result = Result(State.COMPLETE, 0.5, {}, curve([[1, 0.5, 1, 0.5]]), "0" * 64)
    leases.finish(6, result)
    assert call("delete", "small", "--yes", "--no-tracking").code == 0
    assert call("status", "small").code == 2


def test_ui_refusals(call: Call, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``ui`` needs runs to show, a port that is free, and a password for any other address."""
    for name in ("HPSEARCH_UI_PASSWORD", "HPSEARCH_UI_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    outcome = call("ui")
    said = f"hpsearch: {home}: no MLflow runs yet; `hpsearch run book` creates some"
    assert (2, said) == (outcome.code, one_line(outcome))
    home.mkdir()
    (home / "mlflow.db").touch()
    for words in (["--host", "0.0.0.0"], ["--allow-host", "mlflow:5000"]):
        outcome = call("ui", *words)
        said = "hpsearch: --host, --allow-host: require --serve, which requires a password; "
        assert (2, said) == (outcome.code, one_line(outcome)[: len(said)])
    said = "hpsearch: --serve: set HPSEARCH_UI_PASSWORD, or HPSEARCH_UI_PASSWORD_FILE "
    for password in ("", "short"):
        monkeypatch.setenv("HPSEARCH_UI_PASSWORD", password)
        outcome = call("ui", "--serve", "--host", "0.0.0.0")
        assert (2, said) == (outcome.code, one_line(outcome)[: len(said)])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        outcome = call("ui", "--port", str(port))
    said = f"hpsearch: 127.0.0.1:{port}: Address already in use; use another --port"
    assert (1, "", said) == (outcome.code, outcome.out, one_line(outcome))


def test_ui_of_a_server(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where MLflow is a server already, ``ui`` says where."""
    for address in ("http://mlflow:5000", "http://user:p@ss@mlflow:5000/"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        assert Outcome(0, "MLflow UI: http://mlflow:5000\n", "") == call("ui")
    outcome = call("ui", "--serve")
    assert (outcome.code, outcome.out) == (2, "")


# -- bad input gets one clear line, exit 2, and nothing lost

STUDY = """
name = "bad"
[data]
dataset = "digits"
train = 60
[network]
hidden = [8]
[training]
lr = 0.1
epochs = 1
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "bad"', "name = ", "is not valid TOML: Invalid value"),
        ('name = "bad"', 'name = "a/b"', "name: 'a/b' has a slash"),
        ('name = "bad"', f'name = "{"x" * 129}"', "name: has 129 characters; the maximum is 128"),
        ("epochs = 1", "epoch = 1", "training.epoch: unknown key; did you mean epochs?"),
        ("epochs = 1", 'epochs = "1"', "training.epochs: input should be a valid integer"),
        ("lr = 0.1", "lr = {low = 2, high = 1}", "training.lr: low 2 is above high 1"),
        (
            "lr = 0.1",
            "lr = {low = 0.0, high = 1.0, log = true}",
            "training.lr: log needs low > 0, and low is 0.0",
        ),
        ("lr = 0.1", "lr = {choices = []}", "training.lr: choices is empty; add at least one"),
        ("[network]", "validation = 0\n[network]", "data.validation: "),
        ("[network]", "validation = 1\n[network]", "data.validation: "),
        ("[network]", "validation = 0.0\n[network]", "data.validation: "),
        ("[network]", "validation = 1.0\n[network]", "data.validation: "),
        ("epochs = 1", "epochs = 1\n[search]\ntrials = 0", "search.trials: input should be great"),
    ],
)
def test_bad_study_files(
    call: Call, ran: Path, tmp_path: Path, old: str, new: str, said: str
) -> None:
    """A study file that is wrong: one line that begins with its path and the key."""
    file = tmp_path / "bad.toml"
    file.write_text(STUDY.replace(old, new))
    before = kept(ran)
    outcome = call("run", str(file))
    expected = f"hpsearch: {file}: {said}"
    assert (2, expected) == (outcome.code, one_line(outcome)[: len(expected)])
    assert before == kept(ran)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.toml"], "missing.toml: no such study file"),
        (["."], "no study file '.'; use one of "),
        (["x" * 5000], "x"),
        (["book", "--trials", "0"], "the command line: search.trials: input should be greater"),
        (["book", "--name", "a/b"], "the command line: name: 'a/b' has a slash"),
        (["book", "--set", "x"], "--set x: must be path=value, such as training.epochs=5"),
        (["book", "--set", "data.train=5001"], "mnist5k: has 5000 examples, too few for train"),
        (["book", "--set", "data.train=1"], "data.validation: 0.2 of 1 examples leaves one part"),
        (["book", "--set", "data.dataset=mnist"], "unknown dataset 'mnist': use one of mnist5k"),
    ],
)
def test_bad_words(call: Call, home: Path, words: list[str], said: str) -> None:
    """A word that names nothing, or a value that cannot be: one line, and no store is made."""
    outcome = call("run", *words)
    line = one_line(outcome).removeprefix("hpsearch: ")
    assert (outcome.code, said in line) == (2, True)
    assert not (home / "studies.db").exists()


def idx(folder: Path, name: str, magic: int, sizes: tuple[int, ...], body: bytes) -> bytes:
    """Write a file in MNIST's format."""
    data = b"".join(number.to_bytes(4, "big") for number in (magic, *sizes)) + body
    (folder / name).write_bytes(data)
    return data


def bad_idx(folder: Path, case: str) -> None:
    """Write a pair of IDX files with one thing wrong."""
    import gzip

    magic = 0x703 if case == "magic" else 0x803
    body = bytes(range(250)) * (3 if case == "length" else 4)
    name = "train-images-idx3-ubyte"
    data = idx(folder, name, magic, (10, 10, 10), body)
    idx(folder, "train-labels-idx1-ubyte", 0x801, (10,), bytes([0, 1] * 5))
    if case == "gzip":
        (folder / name).unlink()
        (folder / f"{name}.gz").write_bytes(gzip.compress(data)[:-20])


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("magic", "is not an IDX file (it begins with 0x00000703)"),
        ("length", "do not match its length"),
        ("gzip", "is truncated"),
        ("folder", "no such folder"),
    ],
)
def test_bad_idx_folders(call: Call, ran: Path, tmp_path: Path, case: str, said: str) -> None:
    """IDX files that are not what they say: one line that names the file and what is wrong."""
    folder = tmp_path / "idx"
    if case != "folder":
        folder.mkdir()
        bad_idx(folder, case)
    before = kept(ran)
    outcome = call("run", "book", "--set", f"data.dataset=idx:{folder}")
    line = one_line(outcome)
    assert (2, f"hpsearch: {folder}", True) == (
        outcome.code,
        line[: len(f"hpsearch: {folder}")],
        said in line,
    )
    assert before == kept(ran)


X, Y = np.zeros((200, 4)), np.arange(200) % 2
BAD_ARRAYS: dict[str, tuple[Any, Any, str]] = {
    "pickled": (X, np.array([{}] * 200, dtype=object), "y is an array of pickled Python objects"),
    "lengths": (X, Y[1:], "200 examples in x but 199 labels in y"),
    "fractional": (X, Y + 0.5, "example 0 has the label 0.5"),
    "text": (np.full((200, 4), "1"), Y, "x is text, not numbers"),
    "nothing": (X[:0], Y[:0], "contains no examples"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_npz_files(call: Call, ran: Path, tmp_path: Path, case: str) -> None:
    """Arrays that cannot be trained on: one line that names the file and what is wrong."""
    x, y, said = BAD_ARRAYS[case]
    file = tmp_path / "bad.npz"
    np.savez(file, allow_pickle=True, x=x, y=y)
    before = kept(ran)
    outcome = call("run", "book", "--set", f"data.dataset=npz:{file}")
    assert (2, f"hpsearch: {file}: {said}") == (
        outcome.code,
        one_line(outcome)[: len(f"hpsearch: {file}: {said}")],
    )
    assert before == kept(ran)


def test_an_npz_file_that_claims_32_gib(call: Call, ran: Path, tmp_path: Path) -> None:
    """A few bytes cannot ask for all of the memory."""
    import zipfile

    file = tmp_path / "bomb.npz"
    head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296,), }"
    head = head.ljust(117) + b"\n"
    array = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head
    assert len(array) == 128
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", array)
        archive.writestr("y.npy", array)
    outcome = call("run", "book", "--set", f"data.dataset=npz:{file}")
    said = (
        f"hpsearch: {file}: x claims 34359738368 bytes (shape (4294967296,), float64) but holds 0"
    )
    assert (2, said) == (outcome.code, one_line(outcome)[: len(said)])


def test_bad_input_to_a_process(hpsearch: Run, ran: Path) -> None:
    """What holds within this process holds for one of its own: no traceback, one line, exit 2."""
    before = kept(ran)
    ended = hpsearch("run", "book", "--set", "data.dataset=npz:/nowhere.npz")
    said = "hpsearch: /nowhere.npz: no such file; check the path in data.dataset"
    assert (2, said) == (ended.returncode, one_line(ended))
    assert before == kept(ran)


# -- bad stores

READS = [["studies"], ["status", "small"], ["best", "small", "--json"], ["config", "small"]]
WRITES = [["retry", "small"], ["delete", "small", "--yes", "--no-tracking"], ["worker", "small"]]


def refused(call: Call, home: Path, commands: list[list[str]], said: str) -> None:
    """Each command ends with exit 2 and one line, and changes nothing."""
    before = kept(home)
    for words in commands:
        outcome = call(*words)
        assert (2, said) == (outcome.code, one_line(outcome)[: len(said)])
    assert before == kept(home)


def test_a_store_that_is_no_database(call: Call, write: Write, home: Path) -> None:
    """A text file in the store's place is left as it is."""
    home.mkdir()
    (home / "studies.db").write_text("these are notes of mine\n" * 50)
    said = f"hpsearch: {home / 'studies.db'}: cannot be opened: file is not a database"
    run = ["run", write(study()), "--no-tracking"]
    refused(call, home, [*READS, *WRITES, run], said)


def test_a_store_of_a_newer_version(call: Call, write: Write, ran: Path) -> None:
    """A store that a newer program wrote is left to it."""
    edit(ran, "UPDATE hpsearch_version SET version_num = '0999'")
    said = (
        f"hpsearch: {ran / 'studies.db'}: was written by a newer hpsearch (tables 0999, this one "
        f"knows {tables.REVISION}); update hpsearch"
    )
    run = ["run", write(study()), "--no-tracking"]
    refused(call, ran, [*READS, *WRITES, run], said)


def test_a_read_only_store(
    call: Call, write: Write, ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that may only be read can be looked at; whatever would write is refused."""
    record = store(ran).study("small")
    store(ran).register(record.study.with_trials(9), record.data_digests)  # work for a worker
    url = f"sqlite:///file:{ran / 'studies.db'}?mode=ro&uri=true"
    monkeypatch.setenv("HPSEARCH_STORAGE", url)
    assert [0] * len(READS) == [call(*words).code for words in READS]
    said = f"hpsearch: {ran / 'studies.db'}: is read-only; make it writable for this user, or set "
    run = ["run", write(study()), "--no-tracking", "--trials", "9"]
    another = ["run", write(study(name="new")), "--no-tracking"]
    refused(call, ran, [*WRITES, run, another], said)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "HPSEARCH_STORAGE: must be sqlite:///FILE or postgresql+psycopg://"),
        ("mysql://u:p@h/d", "HPSEARCH_STORAGE: "),
        (
            "sqlite://",
            "HPSEARCH_STORAGE: sqlite:// is neither an SQLite file nor a PostgreSQL database",
        ),
        ("postgresql+psycopg://u:secret@127.0.0.1:1/d", "postgresql+psycopg://u:***@127.0.0.1:1/d"),
    ],
)
def test_an_address_that_leads_nowhere(
    call: Call, write: Write, home: Path, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    """A store's address that cannot be used is told, without its password."""
    monkeypatch.setenv("HPSEARCH_STORAGE", url)
    for words in [["studies"], ["status", "small"], ["run", write(study())]]:
        outcome = call(*words)
        line = one_line(outcome)
        assert (2, f"hpsearch: {said}") == (outcome.code, line[: 10 + len(said)])
        assert "secret" not in line


def test_no_store_yet(call: Call, home: Path) -> None:
    """Where nothing was run, looking says how to begin, and makes nothing."""
    said = f"hpsearch: {home / 'studies.db'}: no study store yet; `hpsearch run` creates it"
    for words in [["status", "small"], ["worker", "small"], ["retry", "small"], ["sync"]]:
        outcome = call(*words)
        assert (2, said) == (outcome.code, one_line(outcome))
    assert not home.exists()


@pytest.mark.parametrize("how", [None, "--quiet", "--log-json"])
def test_what_a_run_logs(call: Call, write: Write, how: str | None) -> None:
    """A line for each trial; nothing but what must be told; or each trial as JSON."""
    words = ["run", write(study()), "--no-tracking", "--workers", "1"]
    outcome = call(*words, *([how] if how else []))
    assert (outcome.code, outcome.out.splitlines()[0]) == (0, "small: 6 of 6 trials (6 complete)")
    lines = outcome.err.splitlines()
    if how is None:
        told = [line for line in lines if line.startswith("small: trial ")]
        assert [int(line.split()[2]) for line in told] == list(range(6))
        assert all(" COMPLETE val_accuracy=" in line and " lr=" in line for line in told)
        assert all("/6 trials" in line for line in told)
    elif how == "--quiet":
        assert lines == []
    else:
        events = list(map(json.loads, lines))
        assert events == [{"event": "trial"} | t for t in call("trials", "small", "--json").json]
