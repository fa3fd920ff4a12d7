"""A workspace to do damage in: the command line as real processes, and a look behind its back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from hpsearch.ledger import records
from hpsearch.ledger.database import Database
from hpsearch.ledger.store import Store
from tests.postgres import Cluster

PATIENCE = 240.0
"""Seconds until something that is waited for is taken for a failure: the machine may be busy."""
FOREIGN = (
    "HPSEARCH_STORAGE",
    "FAULT_KILL",
    "FAULT_LEASE",
    "MLFLOW_TRACKING_URI",
)


@dataclass(frozen=True, slots=True)
class Definition:
    """A study file."""

    name: str
    text: str
    trials: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    error: str

    @property
    def last(self) -> str:
        """The last line on standard error."""
        return (self.error.splitlines() or [""])[-1]


class Workspace:
    """A home of its own with one study in it.

    Args:
        folder: Where it is made.
        definition: The study.
        name: The study's name in the stores.
        environment: More variables, such as where the stores are.
    """

    def __init__(
        self, folder: Path, definition: Definition, name: str = "", **environment: str
    ) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.definition = definition
        self.name = name or definition.name
        self.file = folder / "study.toml"
        self.file.write_text(definition.text)
        self.home = folder / "home"
        inherited = {key: value for key, value in os.environ.items() if key not in FOREIGN}
        self.environment = {**inherited, "HPSEARCH_HOME": str(self.home), **environment}
        url = self.environment.get("HPSEARCH_STORAGE", "")
        self.store = Path(url.removeprefix("sqlite:///")) if url else self.home / "studies.db"
        """The store's file, if it is one."""
        self.storage = url or f"sqlite:///{self.store}"
        if self.storage.startswith("sqlite"):
            url = f"sqlite:///file:{self.store}?mode=ro&uri=true"
        self._engine = sa.create_engine(url, poolclass=NullPool)

    # -- the command line

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command as the leader of a process group."""
        return subprocess.Popen(
            [sys.executable, "-m", "hpsearch", *arguments],
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def command(self, *options: str, workers: int = 2, tracking: bool = True) -> list[str]:
        """The words that run the study."""
        words = ["run", str(self.file), "--name", self.name, "--workers", str(workers), *options]
        return words if tracking else [*words, "--no-tracking"]

    def ended(self, *arguments: str, **environment: str) -> Ended:
        """Run a command to its end."""
        return end(self.start(*arguments, **environment))

    def __call__(self, *arguments: str, **environment: str) -> str:
        """Run a command that must succeed; what it printed."""
        done = self.ended(*arguments, **environment)
        assert done.code == 0, f"{arguments} ended with {done.code}: {done.error}"
        return done.out

    def json(self, *arguments: str) -> Any:
        """The JSON document that a command prints."""
        return json.loads(self(*arguments, "--json"))

    @contextmanager
    def running(
        self, *options: str, workers: int = 2, tracking: bool = True, **environment: str
    ) -> Iterator[subprocess.Popen[str]]:
        """The study running meanwhile; whatever is left of it in the end is killed."""
        words = self.command(*options, workers=workers, tracking=tracking)
        process = self.start(*words, **environment)
        try:
            yield process
        finally:
            kill_group(process)
            process.communicate()

    def kill_at(self, finished: int, *arguments: str) -> None:
        """Run a command, and kill its whole group once so many trials have finished."""
        process = self.start(*arguments)
        try:
            self.wait_for(lambda: self.finished() >= finished, process)
        finally:
            kill_group(process)
            process.communicate()

    @staticmethod
    def wait_for(
        done: Callable[[], object],
        process: subprocess.Popen[str] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        """Wait until something is so, while a process goes on."""
        deadline = time.monotonic() + patience
        while not done():
            assert process is None or process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "it did not come in time"
            time.sleep(0.05)

    # -- behind its back

    def ask(self, query: str) -> list[Any]:
        """Rows of the ledger; none while there is none, or it is away."""
        try:
            with self._engine.connect() as connection:
                return list(connection.execute(sa.text(query)).all())
        except SQLAlchemyError:
            return []

    def finished(self) -> int:
        """How many trials have ended."""
        rows = self.ask("SELECT count(*) FROM hpsearch_trials WHERE ended IS NOT NULL")
        return int(rows[0][0]) if rows else 0

    def check(self, expected: str, *, tracking: bool = True) -> None:
        """Hold the study to its promises: the undisturbed digest, and nothing for verify to say."""
        opened = Database(self.storage, create=False)
        try:
            store = Store(opened)
            record = store.study(self.name)
            counts = store.counts(record.id)
            got = records.digest(store.finished(record.id), store.steps(record.id))
        finally:
            opened.engine.dispose()
        assert (self.definition.trials, expected) == (counts.finished, got)
        assert not tracking or counts.unprojected == 0
        words = ["verify", self.name, "--json", *([] if tracking else ["--no-tracking"])]
        verified = self.ended(*words)
        assert verified.code == 0, verified.out + verified.error
        found = json.loads(verified.out)
        assert (found["ok"], found["violations"]) == (True, [])


def end(process: subprocess.Popen[str]) -> Ended:
    """Wait for a command's end."""
    try:
        out, error = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        kill_group(process)
        out, error = process.communicate()
        raise AssertionError(f"it did not end: {out}{error}") from None
    return Ended(process.returncode, out, error)


def kill_group(process: subprocess.Popen[str]) -> None:
    """SIGKILL to a process, its children, and theirs; afterwards none of them lives."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + PATIENCE
    while _lives(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _lives(group: int) -> bool:
    """Whether a thread of a group is there that has not ended (proc(5): state and pgrp).

    A process's first thread may be a zombie while its others still hold its files.
    """
    for stat in Path("/proc").glob("[0-9]*/task/[0-9]*/stat"):
        try:
            state, _, found = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has ended meanwhile
            continue
        if int(found) == group and state not in "ZX":
            return True
    return False


def children(pid: int) -> list[int]:
    """Living children, in the order of their starting."""
    found = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    except FileNotFoundError:
        return []
    return sorted(found)


@dataclass
class Place:
    """Where workspaces are made: which store, and which MLflow."""

    folder: Path
    cluster: Cluster | None = None
    """PostgreSQL; None for SQLite."""
    server: str | None = None
    """An MLflow server's address; None for a database of the workspace's own."""
    _numbers: Iterator[int] = field(default_factory=count)
    _known: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What it is called in a list."""
        return "SQLite" if self.cluster is None else "PostgreSQL"

    def at(self, cluster: Cluster | None, server: str | None) -> Place:
        """The same folder with other stores."""
        return replace(self, cluster=cluster, server=server)

    def workspace(
        self, definition: Definition, *, bare: bool = False, **environment: str
    ) -> Workspace:
        """A workspace with nothing in it but, unless it is to be bare, the parsed dataset."""
        number = next(self._numbers)
        if self.cluster is not None:
            environment = {"HPSEARCH_STORAGE": self.cluster.database(), **environment}
        if self.server is not None:
            environment = {"MLFLOW_TRACKING_URI": self.server, **environment}
        made = Workspace(
            self.folder / f"{number:04}", definition, f"{definition.name}-{number}", **environment
        )
        cache = self.folder / "cache"
        if not bare and cache.exists():
            shutil.copytree(cache, made.home / "cache")
        return made

    def expected(self, definition: Definition) -> str:
        """The digest of the undisturbed run: one worker, from its beginning to its end."""
        if definition.text not in self._known:
            alone = self.at(None, None).workspace(definition)
            alone(*alone.command(workers=1, tracking=False))
            self._known[definition.text] = alone.json("digest", alone.name)["digest"]
            if not (self.folder / "cache").exists():
                shutil.copytree(alone.home / "cache", self.folder / "cache")
        return self._known[definition.text]
