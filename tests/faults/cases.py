"""What can go wrong, and what must hold afterwards: one function for each fault.

Each does its damage to a study in a workspace of its own, lets the study come to its end, and holds
it to its promises: ``Workspace.check``. Each returns how many processes it has killed (or stopped,
or servers it has restarted), and raises AssertionError for a broken promise.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa

from hpsearch.ledger.owner import Owner
from tests.faults.servers import Proxy
from tests.faults.workspace import (
    PATIENCE,
    Definition,
    Ended,
    Place,
    Workspace,
    children,
    end,
    kill_group,
)


def define(
    name: str, trials: int, *, epochs: int = 3, train: int = 60, **search: str
) -> Definition:
    """A study on the digits; an epoch takes as long as ``train`` is large."""
    lines = "\n".join(f"{key} = {value}" for key, value in search.items())
    text = f"""
name = "{name}"
[data]
dataset = "digits"
train = {train}
validation = 30
[network]
hidden = [16]
dropout = {{ low = 0.0, high = 0.5 }}
[training]
lr = {{ low = 1e-3, high = 1.0, log = true }}
epochs = {epochs}
batch_size = 10
[search]
trials = {trials}
lag = 4
{lines}
"""
    return Definition(name, text, trials)


TINY = define("tiny", 6)
SHORT = define("short", 24, train=300)
STEADY = define("steady", 60, epochs=27, train=600, sampler='"tpe"', pruner='"hyperband"', seed="3")
MANY = define("many", 500)
SLOW = define("slow", 10, epochs=60, train=900)

PLUGGED = {"PYTHONPATH": str(Path(__file__).with_name("plug"))}
"""The environment of a process in which a test has something happen."""

OF_WORKERS = ("claimed", "shown", "training", "trained", "finished")
OF_THE_PROJECTOR = ("run-created", "run-logged", "run-ended")


# -- processes


def seam_of_a_worker(place: Place, seam: str) -> int:
    """A worker dies at a seam: another takes its place, and the run goes on to its end."""
    workspace, tracking = place.workspace(TINY), place.server is not None
    words = workspace.command(workers=1, tracking=tracking)
    done = workspace.ended(*words, **_trap(workspace, seam))
    assert (done.code, done.error.count("a worker died")) == (0, 1), done.error
    return _sprung(workspace, place, tracking=tracking)


def seam_of_the_projector(place: Place, seam: str) -> int:
    """The projector dies at a seam, and the launcher with it: the next run goes on."""
    workspace = place.workspace(TINY)
    words = workspace.command(workers=1)
    done = workspace.ended(*words, **_trap(workspace, seam))
    assert done.code == -signal.SIGKILL, done.error
    workspace(*words)
    return _sprung(workspace, place)


def seam_of_sync(place: Place, seam: str) -> int:
    """`sync` dies at a seam: the next one writes what is missing, and then there is nothing."""
    workspace = place.workspace(TINY)
    workspace(*workspace.command(workers=1, tracking=False))
    done = workspace.ended("sync", workspace.name, **_trap(workspace, seam))
    assert done.code == -signal.SIGKILL, done.error
    workspace("sync", workspace.name)
    assert "written to Optuna's storage, 0 to MLflow" in workspace("sync", workspace.name)
    return _sprung(workspace, place)


def _trap(workspace: Workspace, seam: str) -> dict[str, str]:
    trap = workspace.folder / "trap"
    trap.touch()
    return {"FAULT_KILL": f"{seam}:{trap}", **PLUGGED}


def _sprung(workspace: Workspace, place: Place, *, tracking: bool = True) -> int:
    assert not (workspace.folder / "trap").exists(), "nothing came to that seam"
    workspace.check(place.expected(TINY), tracking=tracking)
    return 1


def random_kills(place: Place, random: Random, kills: int = 10) -> int:
    """Workers and whole groups are killed at random times, in one study after another."""
    killed = 0
    while killed < kills:
        workspace = place.workspace(STEADY)
        killed += _killed_at_random(workspace, random, kills - killed)
        workspace(*workspace.command())
        workspace.check(place.expected(STEADY))
    return killed


def _killed_at_random(workspace: Workspace, random: Random, most: int) -> int:
    """Kill, and begin again whom there is nobody left of, until the study is done."""
    killed = 0
    while killed < most and workspace.finished() < workspace.definition.trials:
        with workspace.running() as process:
            begun = workspace.finished()
            while workspace.finished() == begun and process.poll() is None:
                time.sleep(0.05)
            while killed < most:
                time.sleep(random.uniform(0.0, 0.3))
                victims = children(process.pid)
                if process.poll() is not None:
                    break
                killed += 1
                if random.random() < 0.3 or not victims:
                    kill_group(process)
                    break
                os.kill(random.choice(victims), signal.SIGKILL)
    return killed


def stopped_beyond_lease(place: Place) -> int:
    """A worker that sleeps beyond its lease loses its trial, and wakes up to do no harm."""
    workspace = place.workspace(SLOW)
    expected = place.expected(SLOW)
    with workspace.running(tracking=False, FAULT_LEASE="0.9", **PLUGGED) as process:
        held: list[int] = []
        while not held:
            workspace.wait_for(lambda: _held(workspace, process), process)
            sleeper = _held(workspace, process)[0]
            os.kill(sleeper, signal.SIGSTOP)
            # It may have ended its trial just before, and no lock of SQLite's is to sleep with it.
            held = [number for number, pid in _owned(workspace) if pid == sleeper]
            if not held or not _writable(workspace):
                os.kill(sleeper, signal.SIGCONT)
                held = []
        taken = f"SELECT owner FROM hpsearch_trials WHERE number = {held[0]} AND attempts > 1"
        workspace.wait_for(lambda: workspace.ask(taken), process)
        os.kill(sleeper, signal.SIGCONT)
        done = end(process)
        assert (done.code, "a worker died" in done.error) == (0, False), done.error
    workspace.check(expected, tracking=False)
    return 1


def _owned(workspace: Workspace) -> list[tuple[int, int]]:
    """Number and owner's pid of each trial that is running."""
    rows = workspace.ask("SELECT number, owner FROM hpsearch_trials WHERE state = 'RUNNING'")
    return [(number, Owner.parse(owner).pid) for number, owner in rows]


def _held(workspace: Workspace, process: subprocess.Popen[str]) -> list[int]:
    workers = children(process.pid)
    return [pid for _, pid in _owned(workspace) if pid in workers]


def _writable(workspace: Workspace) -> bool:
    if not workspace.storage.startswith("sqlite"):
        return True
    with closing(sqlite3.connect(workspace.store, timeout=0.5, isolation_level=None)) as writer:
        try:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return False
    return True


def stampede(place: Place, *, tracking: bool = True, bare: bool = False) -> int:
    """Eight start at the same moment on nothing at all."""
    expected = place.expected(SHORT)
    workspace = place.workspace(SHORT, bare=bare)
    words = workspace.command(workers=1, tracking=tracking)
    for done in _all_ended([workspace.start(*words) for _ in range(8)]):
        assert done.code == 0, done.error
    workspace.check(expected, tracking=tracking)
    return 0


def _all_ended(processes: list[subprocess.Popen[str]]) -> list[Ended]:
    try:
        return [end(process) for process in processes]
    finally:
        for process in processes:
            kill_group(process)


def many_short(place: Place, definition: Definition = MANY) -> int:
    """Eight workers and many trials of a few milliseconds: none is run twice."""
    workspace = place.workspace(definition)
    workspace(*workspace.command(workers=8, tracking=False))
    counted = "SELECT count(*), count(DISTINCT number), max(attempts) FROM hpsearch_trials"
    assert [tuple(row) for row in workspace.ask(counted)] == [
        (definition.trials, definition.trials, 1)
    ]
    workspace.check(place.expected(definition), tracking=False)
    return 0


# -- MLflow


def tracker_misbehaves(place: Place, how: str) -> int:
    """MLflow's server fails in some way: all trials are trained meanwhile, and none is lost."""
    assert place.server is not None
    proxy = Proxy(place.server)
    # A request that hangs would go on hanging all the time that the study takes.
    workspace = place.workspace(
        SHORT, MLFLOW_TRACKING_URI=proxy.address, MLFLOW_HTTP_REQUEST_TIMEOUT="200"
    )
    try:
        proxy.misbehave(how)
        with workspace.running() as process:
            if how == "hang":
                workspace.wait_for(lambda: proxy.failed and _trained(workspace), process)
                assert proxy.failed == 1
                proxy.heal()
            elif how == "lose":
                workspace.wait_for(lambda: proxy.failed > 2 or process.poll() is not None)
                proxy.heal()
            done = end(process)
        assert (done.code, _trained(workspace)) == (0, True), done.error
        assert done.error.count("the rest will be written when it is back") == 1, done.error
        assert (how == "down") == (proxy.failed == 0)
        proxy.heal()
        workspace("sync", workspace.name)
        workspace.check(place.expected(SHORT))
    finally:
        proxy.heal()
        proxy.close()
    return 0


def _trained(workspace: Workspace) -> bool:
    return workspace.finished() == workspace.definition.trials


# -- the disk, and memory


def disk_full(place: Place) -> int:
    """The store's disk is full for a while: the run ends with a line, and goes on when it is not.

    Where no small disk can be made, a limit to the size of files takes its place.
    """
    expected = place.expected(STEADY)
    if place.cluster is None and not _may_mount():
        return _file_limit(place, expected)
    with _small_disk(place) as (folder, workspace):
        with workspace.running(tracking=False) as process:
            workspace.wait_for(lambda: workspace.finished() >= 3, process)
            with (folder / "filler").open("wb", buffering=0) as filler:
                _fill(filler.fileno())
            done = end(process)
        assert_one_line(done, 1, "space" if place.cluster else "full")
        (folder / "filler").unlink()
        workspace(*workspace.command(tracking=False))
        workspace.check(expected, tracking=False)
    return 0


def _fill(file: int) -> None:
    for size in (1 << 16, 1 << 12, 1 << 9):
        try:
            while True:
                os.write(file, b"\0" * size)
        except OSError:
            continue


def _file_limit(place: Place, expected: str) -> int:
    workspace = place.workspace(STEADY)
    words = [sys.executable, "-m", "hpsearch", *workspace.command(tracking=False)]
    done = _limited(workspace, words, resource.RLIMIT_FSIZE, 600_000)
    assert_one_line(done, 1, str(workspace.store))
    assert workspace.finished() < STEADY.trials
    workspace(*workspace.command(tracking=False))
    workspace.check(expected, tracking=False)
    return 0


def _limited(workspace: Workspace, words: list[str], limit: int, size: int) -> Ended:
    process = subprocess.Popen(
        words,
        env=workspace.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: resource.setrlimit(limit, (size, size)),
    )
    return _all_ended([process])[0]


def store_read_only(place: Place) -> int:
    """The store may not be written for a while: that is said at once, with exit code 2."""
    with ExitStack() as stack:
        if place.cluster is not None:
            folder, workspace = None, place.workspace(SHORT)
        else:
            folder, workspace = stack.enter_context(_small_disk(place, SHORT))
        with workspace.running(tracking=False) as process:
            workspace.wait_for(lambda: workspace.finished() >= 3, process)
        with _read_only(place, workspace, folder):
            done = workspace.ended(*workspace.command(tracking=False))
        assert_one_line(done, 2, "read-only")
        workspace(*workspace.command(tracking=False))
        workspace.check(place.expected(SHORT), tracking=False)
    return 1


def store_locked(place: Place) -> int:
    """Another program holds the store's lock for long: the run ends with a line, then goes on."""
    workspace = place.workspace(STEADY)
    with workspace.running(tracking=False) as process:
        workspace.wait_for(lambda: workspace.finished() >= 3, process)
        with _locked(place, workspace):
            done = end(process)
    assert_one_line(done, 1, "is locked by another program")
    workspace(*workspace.command(tracking=False))
    workspace.check(place.expected(STEADY), tracking=False)
    return 0


@contextmanager
def _locked(place: Place, workspace: Workspace) -> Iterator[None]:
    if place.cluster is None:
        with closing(sqlite3.connect(workspace.store, timeout=20, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            yield
            holder.execute("ROLLBACK")
        return
    engine = sa.create_engine(workspace.storage)
    with engine.begin() as connection:
        connection.execute(sa.text("LOCK TABLE hpsearch_studies IN ACCESS EXCLUSIVE MODE"))
        yield
    engine.dispose()


@contextmanager
def _read_only(place: Place, workspace: Workspace, folder: Path | None) -> Iterator[None]:
    if folder is not None:
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        try:
            yield
        finally:
            subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
        return
    assert place.cluster is not None
    name = workspace.storage.partition("?")[0].rpartition("/")[2]
    setting = f"ALTER DATABASE {name} SET default_transaction_read_only"
    place.cluster.execute(f"{setting} = on")
    try:
        yield
    finally:
        place.cluster.execute(f"{setting} = off")


@contextmanager
def _small_disk(place: Place, definition: Definition = STEADY) -> Iterator[tuple[Path, Workspace]]:
    """A disk of a few megabytes, and a workspace whose store alone is on it."""
    if not _may_mount():
        pytest.skip("needs the right to mount a file system")
    place_of_disk = place.folder if place.cluster is None else place.cluster.folder
    folder = place_of_disk / f"disk-{os.urandom(4).hex()}"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(folder)], check=True)
    try:
        if place.cluster is None:
            yield (
                folder,
                place.workspace(definition, HPSEARCH_STORAGE=f"sqlite:///{folder / 'studies.db'}"),
            )
            return
        (folder / "space").mkdir()
        if place.cluster.user is not None:
            shutil.chown(folder / "space", place.cluster.user)
        space = f"small_{os.urandom(4).hex()}"
        place.cluster.execute(f"CREATE TABLESPACE {space} LOCATION '{folder / 'space'}'")
        url = place.cluster.database(f"TABLESPACE {space}")
        try:
            yield folder, place.workspace(definition, HPSEARCH_STORAGE=url)
        finally:
            (folder / "filler").unlink(missing_ok=True)
            name = url.partition("?")[0].rpartition("/")[2]
            place.cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")
            place.cluster.execute(f"DROP TABLESPACE {space}")
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _may_mount() -> bool:
    return (
        os.geteuid() == 0
        and subprocess.run(
            ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"],
            capture_output=True,
            check=False,
        ).returncode
        == 0
    )


def artifacts_gone(place: Place) -> int:
    """The artifacts' folder is gone, and cannot be made: the search goes on to its end, exit 1."""
    workspace = place.at(place.cluster, None).workspace(SHORT)
    artifacts = workspace.home / "artifacts"
    with workspace.running() as process:
        written = "SELECT number FROM hpsearch_trials WHERE in_mlflow"
        workspace.wait_for(lambda: workspace.ask(written), process)
    shutil.rmtree(artifacts)
    artifacts.touch()
    done = workspace.ended(*workspace.command())
    assert workspace.finished() == SHORT.trials
    assert_one_line(done, 1, "hpsearch sync")
    assert str(artifacts) in done.last
    artifacts.unlink()
    workspace(*workspace.command())  # `run` again continues; there is nothing left but this
    workspace.check(place.expected(SHORT))
    return 1


def memory_limit(place: Place) -> int:
    """Memory runs out in a training: the run ends with a line, and goes on where there is more."""
    small, large = place.workspace(TINY), place.workspace(LARGE)
    peak = 0
    with small.running(tracking=False) as process:
        while process.poll() is None:
            peak = max(peak, *(_peak(pid) for pid in [process.pid, *children(process.pid)]))
            time.sleep(0.01)
    words = [sys.executable, "-m", "hpsearch", *large.command(tracking=False)]
    # Enough for every process, but for none with 400 MB of weights and gradients on top.
    done = _limited(large, words, resource.RLIMIT_AS, peak + (128 << 20))
    assert_one_line(done, 1, "MemoryError")
    assert large.finished() == 0
    assert large.ask("SELECT number FROM hpsearch_trials WHERE state = 'RUNNING'") == []
    large(*large.command(tracking=False))
    large.check(place.expected(LARGE), tracking=False)
    return 0


LARGE = Definition(
    "large",
    define("large", 1, epochs=1).text.replace("hidden = [16]", "hidden = [7000, 7000]"),
    1,
)


def _peak(pid: int) -> int:
    """The most address space that a process has had, in bytes."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("VmPeak:"))


def assert_one_line(done: Ended, code: int, said: str) -> None:
    """A command failed with this exit code, and said in its last line why."""
    assert code == done.code, done.error
    assert "Traceback" not in done.error
    assert done.last.startswith("hpsearch: "), done.error
    assert said in done.last


# -- clocks


def clock_steps(place: Place) -> int:
    """The database's clock goes an hour ahead, then two back, under workers of two time zones.

    A clock of our own rather than libfaketime's: under that one Python's sleeps and timeouts fail.
    """
    workspace = place.workspace(STEADY)
    clock = workspace.folder / "clock"
    clock.write_text("0")
    skew = {"FAULT_CLOCK": str(clock), "PYTHONPATH": str(Path(__file__).with_name("skew"))}
    words = workspace.command(tracking=False)
    processes = [
        workspace.start(*words, **skew, TZ=zone, PGTZ=zone) for zone in ("AAA-14", "BBB+12")
    ]
    try:
        for finished, offset in ((10, "3600"), (30, "-3600")):
            workspace.wait_for(lambda: workspace.finished() >= finished, processes[0])  # noqa: B023
            step = clock.with_name("step")
            step.write_text(offset)
            step.rename(clock)
    finally:
        ended = _all_ended(processes)
    for done in ended:
        assert done.code == 0, done.error
    workspace("sync", workspace.name)
    workspace.check(place.expected(STEADY))
    return 0


# -- the databases


def torn_log(place: Place, how: str) -> int:
    """The end of SQLite's log is lost or garbage after a kill: what was lost is run again."""
    workspace = place.workspace(STEADY)
    with workspace.running() as process:
        written = "SELECT count(*) FROM hpsearch_trials WHERE in_mlflow"
        workspace.wait_for(lambda: (workspace.ask(written) or [[0]])[0][0] >= 5, process)
    log = Path(f"{workspace.store}-wal")
    content = log.read_bytes()
    page = int.from_bytes(content[8:12], "big")
    frame, frames = page + 24, (len(content) - 32) // (page + 24)
    assert frames > 1
    if how == "garbage":
        log.write_bytes(content + os.urandom(3 * frame + 100))
    elif how == "truncated":
        log.write_bytes(content[: 32 + frame * (frames * 2 // 3) + frame // 2])
    else:
        position = 32 + frame * (frames * 2 // 3) + frame // 2
        flipped = bytes(byte ^ 0xFF for byte in content[position : position + 8])
        log.write_bytes(content[:position] + flipped + content[position + 8 :])
    Path(f"{workspace.store}-shm").unlink()  # as after a crash of the machine
    workspace(*workspace.command())
    workspace.check(place.expected(STEADY))
    return 1


def server_restarted(place: Place, away: float = 0.0, mode: str = "immediate") -> int:
    """PostgreSQL goes away under four workers: within 10 s of its return the work goes on."""
    assert place.cluster is not None
    workspace = place.workspace(STEADY)
    with workspace.running(workers=4) as process:
        workspace.wait_for(lambda: workspace.finished() >= 5, process)
        if away:
            place.cluster.stop(mode)
            try:
                deadline = time.monotonic() + away
                while time.monotonic() < deadline:
                    assert process.poll() is None, process.communicate()
                    time.sleep(0.1)
            finally:
                place.cluster.start()
        else:
            place.cluster.restart(mode)
        before = workspace.finished()
        assert before < STEADY.trials
        workspace.wait_for(lambda: workspace.finished() > before, process, patience=10.0)
        done = end(process)
    assert done.code == 0, done.error
    workspace("sync", workspace.name)
    workspace.check(place.expected(STEADY))
    return 1


def stopped_while_the_server_is_away(place: Place) -> int:
    """A run is told to end while PostgreSQL is away: it does, in order, and can be gone on with."""
    assert place.cluster is not None
    workspace = place.workspace(STEADY)
    with workspace.running() as process:
        workspace.wait_for(lambda: workspace.finished() >= 5, process)
        place.cluster.stop("fast")
        try:
            os.killpg(process.pid, signal.SIGINT)
            done = end(process)
        finally:
            place.cluster.start()
    assert done.code == 130, done.error
    assert done.last.endswith("run the same command to resume"), done.error
    assert "Traceback" not in done.error
    workspace(*workspace.command())
    workspace.check(place.expected(STEADY))
    return 1


def server_away_at_the_start(place: Place) -> int:
    """PostgreSQL is away when a run is started, and a worker dies while it is: both are said."""
    assert place.cluster is not None
    workspace = place.workspace(STEADY)
    with workspace.running() as process:
        workspace.wait_for(lambda: workspace.finished() >= 5, process)
        place.cluster.stop("fast")
        try:
            refused = workspace.ended(*workspace.command())
            assert_one_line(refused, 2, "cannot be opened")
            os.kill(children(process.pid)[0], signal.SIGKILL)
            deadline = time.monotonic() + PATIENCE
            while len(children(process.pid)) < 2:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            place.cluster.start()
        done = end(process)
    assert (done.code, done.error.count("a worker died")) == (0, 1), done.error
    workspace("sync", workspace.name)
    workspace.check(place.expected(STEADY))
    return 2
