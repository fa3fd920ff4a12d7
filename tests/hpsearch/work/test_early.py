"""A worker that has been started before its study is known."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hpsearch.ledger.records import State
from hpsearch.training.make import trainer
from hpsearch.trust import environment
from hpsearch.work import early
from hpsearch.work.early import Early
from hpsearch.work.launch import Launch
from tests.conftest import Run, study
from tests.hpsearch.command_line import Write
from tests.hpsearch.workspace import Workspace


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Every process that is started for a worker."""
    made: list[subprocess.Popen[bytes]] = []
    start = early.start

    def remembered(*arguments: object) -> subprocess.Popen[bytes]:
        made.append(start(*arguments))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(early, "start", remembered)
    return made


class Book(Workspace):
    """A study of data that workers find."""

    def __init__(self, folder: Path, trials: int = 1) -> None:
        super().__init__(folder)
        self.variables: dict[str, str] = {}
        small = study(name="found", search__trials=trials)
        trains = trainer(small, folder, self.settings.cache)
        self.record = self.store.register(trains.settled(small), trains.digests)

    def launch(self, first: Early, workers: int = 1) -> Launch:
        """Run the study to its end."""
        launched = Launch(
            *(self.store, self.record, self.settings),
            workers=workers,
            projector=None,
            variables=self.variables,
            early=first,
        )
        for _ in launched.watch():
            pass
        return launched

    @property
    def states(self) -> list[State]:
        """How its trials ended."""
        return [trial.state for trial in self.store.trials(self.record.id)]


def test_it_becomes_the_first_worker(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    """The others are started as they always are."""
    book = Book(tmp_path, trials=3)
    with Early(book.settings) as first:
        launched = book.launch(first, workers=2)
    assert launched.failure is None
    assert book.states == [State.COMPLETE] * 3
    assert [process.args[3:5] for process in started] == [  # type: ignore[index]
        ["hpsearch.early"],
        ["hpsearch", "worker"],
    ]


def test_it_is_none_of_a_study_with_other_variables(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    """What NumPy reads when it is imported cannot be set afterwards."""
    book = Book(tmp_path, trials=1)
    with Early(book.settings) as first:
        book.variables = {"MARK": "1"}
        assert book.launch(first).failure is None
        assert started[0].returncode == -signal.SIGKILL
    assert len(started) == 2
    assert book.states == [State.COMPLETE]


def test_one_that_died_is_replaced(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    """Whenever it did: the launcher notices it as of any other worker."""
    book = Book(tmp_path, trials=1)
    with Early(book.settings) as first:
        started[0].kill()
        started[0].wait()
        assert book.launch(first).failure is None
    assert book.states == [State.COMPLETE]


def test_one_that_cannot_work_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[subprocess.Popen[bytes]]
) -> None:
    """It ended before it was told anything; the reason is what it wrote."""
    book = Book(tmp_path, trials=1)
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('no room for another process')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Early(book.settings) as first:
        started[0].wait()
        launched = book.launch(first)
    assert str(launched.failure) == "SystemExit: no room for another process"


@pytest.mark.parametrize("forks", [False, True])
def test_it_ends_with_its_launcher(forks: bool) -> None:
    """However that ends, and whoever it has forked: its end of the pipe is closed then."""
    program = (
        "import os, sys, time\n"
        "from hpsearch import settings\n"
        "from hpsearch.work.early import Early\n"
        "early = Early(settings.read())\n"
        "child = os.fork() if sys.argv[1] == 'True' else os.getpid()\n"
        "if child == 0:\n"
        "    os.close(1)\n"
        "    time.sleep(300)\n"
        "print(early._process.pid, child, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(forks)], stdout=subprocess.PIPE, text=True
    )
    pid, child = map(int, told.stdout.split())
    try:
        wait(lambda: not alive(pid))
        assert alive(child) == forks
    finally:
        if forks:
            os.kill(child, signal.SIGKILL)


def test_it_is_killed_where_it_becomes_none(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    """Whatever ended the command before there was something to do."""
    with pytest.raises(KeyError), Early(Book(tmp_path).settings) as first:
        raise KeyError
    assert started[0].returncode == -signal.SIGKILL
    assert first.become(["worker"], {}) is None


def test_where_there_is_no_room_for_it_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong with the study, or that no worker can be started, is said as ever."""

    def full(*_: object) -> subprocess.Popen[bytes]:
        raise BlockingIOError

    monkeypatch.setattr(early, "start", full)
    with Early(Book(tmp_path).settings) as first:
        assert first.become(["worker"], {}) is None


SEEN = """
import os, sys
if "hpsearch.early" in sys.orig_argv or "hpsearch" in sys.orig_argv:
    with open(os.environ["SEEN"], "a") as file:
        print(*sys.orig_argv[3:5], file=file)
"""


@pytest.mark.parametrize("profile", [None, "portable"])
def test_a_run_uses_it(
    hpsearch: Run, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    """Also in a new workspace, where importing a library of data changes the environment."""
    (tmp_path / "sitecustomize.py").write_text(SEEN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    file = write(study(search__trials=1, **({"compute__profile": profile} if profile else {})))
    ended = hpsearch("run", file, "--workers", "1", "--no-tracking")
    assert ended.returncode == 0, ended.stderr
    started = (tmp_path / "seen").read_text().splitlines()
    assert [line for line in started if "early" in line or "worker" in line] == [
        "hpsearch.early",
        *(["hpsearch worker"] if profile else []),
    ]


CHANGED = """
import sys
from pathlib import Path
from hpsearch.trust import environment
from hpsearch import early

assert environment.ROOT == Path(sys.argv[1])
looks, look = [], environment.code

def code():
    looks.append([name for name in ("net", "hpsearch.work.worker") if name in sys.modules])
    return look()

environment.code = code
early.main()
seen = look()
with open(environment.ROOT / "hpsearch" / "work" / "worker.py", "a") as file:
    print("# another version", file=file)
print(looks[0], look() == seen)
"""


def test_it_knows_which_code_it_is(tmp_path: Path) -> None:
    """Not what lies there later: a launcher that has come to see that refuses it."""
    for package in ("hpsearch", "net"):
        shutil.copytree(environment.ROOT / package, tmp_path / package)
    told = subprocess.run(
        [sys.executable, "-P", "-c", CHANGED, tmp_path],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout == "[] True\n", told.stderr


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # whoever takes over orphans here may leave them unburied


def wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.05)
