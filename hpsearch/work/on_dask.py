"""How does a study run on the machines of a Dask cluster? One task there is one worker.

A task starts the command ``hpsearch worker NAME`` on the machine that it is on, and holds a pipe
to it. The pipe closes when the task ends, however it ends, and the worker hands its trial back. So
Dask decides where workers are, and nothing else: the ledger is what they share, as everywhere.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from hpsearch import tied
from hpsearch.errors import HpsearchError, UsageError
from hpsearch.ledger.records import StudyRecord
from hpsearch.ledger.store import Store
from hpsearch.projections.projector import Projector
from hpsearch.settings import Settings
from hpsearch.trust import environment
from hpsearch.work.launch import GRACE, LOOK, MOST_DEATHS, Launch, Progress

if TYPE_CHECKING:
    from distributed import Client, Future

_PATIENCE = 20.0  # seconds to wait for the scheduler
_ASKS = 0.5  # seconds between two times that a task asks whether it is to end


class OnDask(Launch):
    """A study whose workers are tasks of a Dask cluster.

    Args:
        store: The ledger, which those machines must reach, too.
        record: The study.
        settings: The workspace.
        workers: How many tasks.
        projector: What writes the projections, here.
        beside: What else is done here meanwhile.
        address: The scheduler's, as ``dask://HOST:PORT``.
        resources: What each task needs of Dask's worker, as ``{"GPU": 1}``.

    Raises:
        UsageError: If Dask is not installed, or the scheduler is not to be reached.
    """

    def __init__(
        self,
        store: Store,
        record: StudyRecord,
        settings: Settings,
        *,
        workers: int,
        projector: Projector,
        beside: Callable[[threading.Event, Callable[[str], None]], None] | None,
        address: str,
        resources: Mapping[str, float],
    ) -> None:
        super().__init__(
            store, record, settings, workers=workers, projector=projector, beside=beside
        )
        self._client = _connected(address)
        self._resources = dict(resources)
        self._ending = f"hpsearch-{uuid4().hex}"  # an event, by which tasks learn that they end
        self._tasks: list[Future] = []

    def kill(self) -> None:
        """Leave the tasks alone: they end with this client, and their workers with them."""
        with suppress(Exception):
            self._client.close(timeout=1)

    def _work(self) -> Iterator[Progress]:
        self._tasks = [self._task() for _ in range(self._size)]
        while self._tasks and not self.stopped and self.failure is None:
            yield self._progress()
            for task in [task for task in self._tasks if task.done()]:
                self._tasks.remove(task)
                self._ended(task)
            self._stop.wait(LOOK)

    def _task(self) -> Future:
        shared = None if self._store.database.file is None else self._settings.storage
        return self._client.submit(
            *(work, self._record.name, environment.code(), shared, self._ending),
            key=f"hpsearch-{self._record.name}-{uuid4().hex}",
            resources=self._resources or None,
            pure=False,
        )

    def _ended(self, task: Future) -> None:
        """Ask how a task ended; one whose machine was lost too often is begun anew."""
        if task.status == "finished":
            said = task.result()
            if said is not None:
                self.failure = HpsearchError(said)
            return
        error = task.exception() if task.status == "error" else None
        if error is not None and type(error).__name__ != "KilledWorker":
            self.failure = HpsearchError(f"a task of Dask's: {type(error).__name__}: {error}")
            return
        self._deaths += 1
        self._messages.append("Dask lost a worker; starting another")
        if self._deaths > MOST_DEATHS:
            self.failure = HpsearchError(f"Dask lost {self._deaths} workers")
        else:
            self._tasks.append(self._task())

    def _end_workers(self) -> None:
        from distributed import Event, wait

        try:
            if self._tasks:
                Event(self._ending, client=self._client).set()
                wait(self._tasks, timeout=GRACE)
        except Exception:  # the cluster is gone, and its pipes with it
            self._tasks = []
        finally:
            with suppress(Exception):
                self._client.close(timeout=1)


def work(name: str, code: str, storage: str | None, ending: str) -> str | None:
    """Be one worker of a study on this machine; a task of Dask's.

    Args:
        name: The study.
        code: Digest of the program that it was begun with.
        storage: The ledger's address; None where this machine's ``HPSEARCH_STORAGE`` says it,
            since an address with a password is not to travel through a scheduler.
        ending: The event that ends it.

    Returns:
        What failed, in a line; None if nothing did.
    """
    from distributed import Event

    given = {} if storage is None else {"HPSEARCH_STORAGE": storage}
    event = Event(ending)
    with tempfile.TemporaryFile() as said:
        worker = tied.start(
            ["hpsearch", "worker", "--held", code, "--", name],
            {**os.environ, **given},
            stderr=said,
        )
        assert worker.stdin is not None
        try:
            while worker.poll() is None and not event.is_set():
                time.sleep(_ASKS)
        finally:
            worker.stdin.close()
        if worker.wait() in (0, 143):
            return None
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
    last = lines[-1].removeprefix("hpsearch: ") if lines else f"exit code {worker.returncode}"
    return f"{os.uname().nodename}: {last}"


def _connected(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError:
        raise UsageError(
            f"--on {address}: Dask is not installed; run: pip install 'hpsearch[dask]'"
        ) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what is lost is said here
    place = address.removeprefix("dask://").rstrip("/")
    try:
        return Client(f"tcp://{place}", timeout=_PATIENCE, name="hpsearch")
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"--on {address}: no Dask scheduler answers there; it must be dask://HOST:PORT"
        ) from error
