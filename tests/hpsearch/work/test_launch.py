"""What a launcher does about its workers; how they run and end is in test_cli and faults."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hpsearch.errors import StoreAwayError
from hpsearch.ledger import leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Ended, State, StudyRecord
from hpsearch.ledger.store import Store
from hpsearch.ledger.tables import trials
from hpsearch.settings import Settings
from hpsearch.study import file as study_file
from hpsearch.trust import environment
from hpsearch.work import launch
from hpsearch.work.launch import Launch, Progress
from tests.conftest import Run, study
from tests.hpsearch.workspace import Workspace


def test_a_crash_in_an_outage_is_counted_when_the_store_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that dies while the store is away is not forgotten, and its trial is freed."""
    book = Workspace(tmp_path)
    launched = _of_children(monkeypatch, book.store, book.record, book.settings)
    crashed, away = leases.crashed, [True, True]

    def store_is_away(*arguments: Any) -> list[int]:
        if away:
            away.pop()
            raise StoreAwayError("gone")
        return crashed(*arguments)

    monkeypatch.setattr(leases, "crashed", store_is_away)
    said = [message for progress in launched.watch() for message in progress.messages]
    assert said == ["a worker died (signal 9); starting another"]
    assert not away
    with book.store.database.read() as connection:
        row = connection.execute(sa.select(trials)).one()
    assert (row.state, row.crashes, row.owner) == ("WAITING", 1, None)


def test_a_worker_of_other_code_does_not_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the program was replaced under a running study, no trial is run by the new one."""
    book = Workspace(tmp_path)
    monkeypatch.setattr(environment, "code", lambda: "0" * 64)
    launched = Launch(book.store, book.record, book.settings, workers=1, projector=None)
    for _ in launched.watch():
        pass
    assert str(launched.failure) == (
        f"the code in {environment.ROOT} has changed since this run started; run the "
        f"same command to resume with the new code"
    )
    assert book.trials == []


def _of_children(
    monkeypatch: pytest.MonkeyPatch, store: Store, record: StudyRecord, settings: Settings
) -> Launch:
    """A launch whose first worker holds a trial and dies, and whose second soon ends well."""
    sleep = "import os, time; time.sleep(0.7)"
    programs = [f"{sleep}; os.kill(os.getpid(), 9)", sleep]
    popen = launch.subprocess.Popen

    def start(_: object, **options: Any) -> subprocess.Popen[bytes]:
        process = popen([sys.executable, "-c", programs.pop(0)], **options)
        if programs:
            owner = Owner.of(process.pid, launcher=os.getpid())
            holder = leases.Leases(store.database, record, lag=None, seed=int, owner=owner)
            assert isinstance(holder.claim(), leases.Claim)
        return process

    monkeypatch.setattr(launch.subprocess, "Popen", start)
    return Launch(store, record, settings, workers=1, projector=None)


def test_nobody_takes_a_dead_workers_place_once_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal's Ctrl-C ends a worker that is just starting, too."""
    book = Workspace(tmp_path)
    popen, started = launch.subprocess.Popen, list[subprocess.Popen[bytes]]()

    def start(_: object, **options: Any) -> subprocess.Popen[bytes]:
        dies = "import os, signal; signal.signal(2, signal.SIG_DFL); os.kill(os.getpid(), 2)"
        started.append(popen([sys.executable, "-c", dies], **options))
        return started[-1]

    monkeypatch.setattr(launch.subprocess, "Popen", start)
    launched = Launch(book.store, book.record, book.settings, workers=1, projector=None)
    said = list[str]()
    for progress in launched.watch():
        said += progress.messages
        started[0].wait()
        launched.stop()
    assert (said, len(started)) == ([], 1)


@pytest.mark.parametrize("lacking", ["process", "thread"])
def test_no_worker_is_left_where_another_finds_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    """The first would train on, with nobody who watches it."""
    book = Workspace(tmp_path)
    popen, started = launch.subprocess.Popen, list[subprocess.Popen[bytes]]()

    def start(_: object, **options: Any) -> subprocess.Popen[bytes]:
        if lacking == "process" and started:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        started.append(popen([sys.executable, "-c", "input()"], **options))
        return started[-1]

    def begin(thread: threading.Thread) -> None:
        if len(started) == 2:
            raise MemoryError("can't start new thread")
        thread.start()

    monkeypatch.setattr(launch.subprocess, "Popen", start)
    monkeypatch.setattr(launch, "begin", begin)
    launched = Launch(book.store, book.record, book.settings, workers=2, projector=None)
    with pytest.raises(BlockingIOError if lacking == "process" else MemoryError):
        list(launched.watch())
    assert len(started) == (1 if lacking == "process" else 2)
    assert all(process.returncode is not None for process in started)


def test_a_name_with_a_dash(home: Path, tmp_path: Path, hpsearch: Run) -> None:
    """A name that looks like an option is one to nobody, and the commands shown go on with it."""
    file = tmp_path / "small.toml"
    file.write_text(study_file.toml(study(search__trials=2)))
    for name in ("-mine", "--help"):
        words = ["run", str(file), f"--name={name}", "--no-tracking", "--workers", "1"]
        ended = hpsearch(*words)
        assert (ended.returncode, "Usage" * ("Usage" in ended.stdout)) == (0, ""), ended.stderr
        assert f"hpsearch sync -- {name}" in ended.stdout
        shown = hpsearch("best", "--", name).stdout.partition("configuration:  hpsearch ")[2]
        assert hpsearch(*shlex.split(shown)).returncode == 0


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="there is no such signal here")
def test_a_killed_worker_is_noticed_whoever_started_this(home: Path, tmp_path: Path) -> None:
    """Where the end of children was ignored, a worker that died is replaced all the same."""
    file, trap = tmp_path / "small.toml", tmp_path / "trap"
    file.write_text(study_file.toml(study(search__trials=2)))
    trap.touch()
    plug = Path(__file__).parents[2] / "faults" / "plug"
    ended = subprocess.run(
        [sys.executable, "-m", "hpsearch", "run", file, "--no-tracking", "--workers", "1"],
        env={**os.environ, "PYTHONPATH": str(plug), "FAULT_KILL": f"training:{trap}"},
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr.count("a worker died (signal 9)")) == (0, 1)
    assert "small: 2 of 2 trials" in ended.stdout


def test_the_time_of_a_run_ends_it_wherever_its_workers_are(tmp_path: Path) -> None:
    """Who says where they are need not think of the clock."""

    class Elsewhere(Launch):
        def _work(self) -> Iterator[Progress]:
            yield self._progress()

    book = Workspace(tmp_path, study=study(search__max_time=1e-6))
    book.run(State.COMPLETE)
    launched = Elsewhere(book.store, book.record, book.settings, workers=0, projector=None)
    for _ in launched.watch():
        pass
    assert book.store.study("small").ended == Ended("max_time", 1)
