"""When a worker ends before its study does."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from hpsearch.commands import worker as worker_command
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.store import Store
from hpsearch.training.make import trainer
from hpsearch.work import launch
from hpsearch.work.launch import Launch
from hpsearch.work.limits import Limits
from hpsearch.work.worker import Worker
from tests.conftest import study
from tests.hpsearch.command_line import Call, Write
from tests.hpsearch.workspace import Workspace


def test_of_a_process_that_takes_anothers_place() -> None:
    """It has what is left of the time, and the other limits whole."""
    limits = Limits(trials=3, seconds=60.0, idle=5.0)
    assert limits.after(20.0) == Limits(trials=3, seconds=40.0, idle=5.0)
    assert limits.after(90.0).seconds == 0.0
    assert Limits(trials=3).after(20.0) == Limits(trials=3)


@pytest.mark.parametrize(
    ("limits", "finished"),
    [(Limits(), 6), (Limits(trials=2), 2), (Limits(seconds=0.0), 0), (Limits(seconds=600.0), 6)],
)
def test_how_many_trials_a_worker_runs(tmp_path: Path, limits: Limits, finished: int) -> None:
    """As many as it may; what it began, it ends."""
    small = study()
    trains = trainer(small, tmp_path, tmp_path / "cache")
    book = Workspace(tmp_path, study=small)
    Worker(book.store, book.record, trains, Owner.of()).run(threading.Event(), limits)
    assert [trial.state for trial in book.trials] == ["COMPLETE"] * finished


def test_a_worker_that_waits_ends(tmp_path: Path) -> None:
    """While another holds the only trial that is left, it waits no longer than it may."""
    small = study(search__trials=1)
    trains = trainer(small, tmp_path, tmp_path / "cache")
    book = Workspace(tmp_path, study=small)
    elsewhere = Leases(book.store.database, book.record, lag=None, seed=int, owner=Owner.of(1))
    assert isinstance(elsewhere.claim(), Claim)
    worker = Worker(book.store, book.record, trains, Owner.of())
    worker.run(threading.Event(), Limits(idle=0.05))
    assert [trial.state for trial in book.trials] == ["RUNNING"]


def test_worker_on_the_command_line(
    call: Call, write: Write, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends well, says meanwhile how far the study is, and leaves the rest to others."""
    small = study()
    assert call("run", write(small), "--trials", "1", "--no-tracking").code == 0
    store = Store(Database(f"sqlite:///{home / 'studies.db'}"))
    store.register(small, store.study("small").data_digests)  # with its six trials
    monkeypatch.setattr(worker_command, "HEALTH", 0.0)
    ended = call("worker", "small", "--max-trials", "2", "--max-time", "600", "--idle-exit", "600")
    assert ended.code == 0
    first, *between, last = ended.err.splitlines()
    assert first == "hpsearch: working on small: 1 of 6 trials have finished"
    assert "hpsearch: 1 of 6 trials have finished" in between
    assert last == ("hpsearch: 3 of 6 trials have finished, 2 of them since this worker started")


def test_each_worker_has_its_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers take the devices in turn, and who replaces one that died takes its device."""
    popen, seen = launch.subprocess.Popen, list[Any]()

    def start(_: object, **options: Any) -> Any:
        seen.append(options["env"].get("CUDA_VISIBLE_DEVICES"))
        dies = "import os; os.kill(os.getpid(), 9)" if len(seen) == 2 else ""
        return popen([sys.executable, "-c", dies], **options)

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(launch.subprocess, "Popen", start)
    book = Workspace(tmp_path)
    for devices, expected in [(("0", "1"), ["0", "1", "0", "1"]), ((), [None] * 3)]:
        seen.clear()
        launched = Launch(
            *(book.store, book.record, book.settings), workers=3, projector=None, gpus=devices
        )
        for _ in launched.watch():
            pass
        assert seen[:3] == [*expected, *expected][:3]
        assert seen[3:] == [expected[1]]


def test_devices_are_listed(call: Call, write: Write) -> None:
    """A list with a gap in it is refused."""
    outcome = call("run", write(study()), "--gpus", "0,,1")
    assert (outcome.code, outcome.err) == (2, "hpsearch: --gpus '0,,1': list devices as in 0,1\n")
