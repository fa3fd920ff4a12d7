"""How does a study run on this machine? Worker processes, and the projector beside them.

The store is the only thing they share. A worker is the command ``hpsearch worker NAME``, tied to
its launcher by a pipe: when the launcher ends, however it ends, the pipe closes and the worker
ends with it. The first one may have been started before its study was known (``work.early``). A
worker imports only what is installed, nothing from the current folder, and refuses to work when its
code is not its launcher's: a study that runs is not to change with an upgrade.
"""

from __future__ import annotations

import math
import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING

from hpsearch.errors import HpsearchError, StoreAwayError
from hpsearch.ledger import leases
from hpsearch.ledger.database import load_orm
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Counts, StudyRecord, Trial
from hpsearch.ledger.store import Store
from hpsearch.settings import Settings
from hpsearch.threads import begin
from hpsearch.trust import compute, environment
from hpsearch.work import early as early_
from hpsearch.work import limits as limits_
from hpsearch.work.clock import Clock
from hpsearch.work.limits import Limits

if TYPE_CHECKING:
    from hpsearch.projections.projector import Projector

LOOK = 0.25  # seconds between two looks at the study; the end of a worker is seen at once
GRACE = 2.5  # seconds a worker has to hand its trial back
_FAREWELL = 3.0  # seconds after which a run that was cut short ends, whatever is yet to be written
MOST_DEATHS = 20  # workers that die one after another with no trial finished between


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study is."""

    counts: Counts
    best: Trial | None
    messages: list[str] = field(default_factory=list)
    """What is to be told, a line each."""


class Launch:
    """A study running in local processes.

        >>> launch = Launch(store, record, settings, workers=2, projector=projector)
        >>> for progress in launch.watch():
        ...     print(progress.counts)

    Args:
        store: The ledger.
        record: The study.
        settings: The workspace.
        workers: Number of processes.
        projector: What writes the projections beside them; none if another launch's does.
        beside: What else is done meanwhile, until the event is set; it may tell of something.
        variables: Of the processes' environment; by default what the study's ``[compute]`` asks.
        limits: When each process ends before the study does.
        gpus: CUDA devices that the processes get, each in its turn.
        early: A process that has been started for the first of the workers.
    """

    def __init__(
        self,
        store: Store,
        record: StudyRecord,
        settings: Settings,
        *,
        workers: int,
        projector: Projector | None,
        beside: Callable[[threading.Event, Callable[[str], None]], None] | None = None,
        variables: Mapping[str, str] | None = None,
        limits: Limits = limits_.NONE,
        gpus: Sequence[str] = (),
        early: early_.Early | None = None,
    ) -> None:
        self._store = store
        self._record = record
        self._settings = settings
        self._size = workers
        self._limits = limits
        self._gpus = gpus
        self._early = early
        self._begun = time.monotonic()
        self._code = environment.code()
        self._variables = compute.launching(record.study) if variables is None else variables
        self._workers: list[_Process] = []
        self._dead: list[_Process] = []
        self._deaths = 0  # with no trial finished since
        self._projector = projector
        self._beside = beside
        self._projected = threading.Event()
        self._messages: deque[str] = deque()
        self._stop = threading.Event()
        self._woken = threading.Event()
        """Set when there is something to look at before it is time to."""
        self._clock = Clock(store, record)
        self._end = math.inf  # by the monotonic clock
        self._last = Progress(store.counts(record.id), None)
        self._finished = self._last.counts.finished
        self._away = False
        self.failure: HpsearchError | None = None
        """What failed in a worker, if that ended the run."""

    def stop(self) -> None:
        """Have the workers hand their trials back, and end. May be called from a signal handler."""
        self._end = min(self._end, time.monotonic() + _FAREWELL)
        self._stop.set()
        self._woken.set()

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stop.is_set()

    @property
    def counts(self) -> Counts:
        """The trials as they were last seen: the store may be away."""
        return self._last.counts

    def kill(self) -> None:
        """End the workers at once; their trials are free at once, too."""
        for worker in self._workers:
            worker.process.kill()

    def watch(self) -> Generator[Progress]:
        """Run until nothing is left to do, it fails, or it is stopped."""
        thread: threading.Thread | None = None
        begun = False
        try:
            try:
                for progress in self._work():
                    if not begun:  # the workers have been, and import what they need meanwhile
                        thread, begun = self._project(), True
                    self._clock.look()
                    yield progress
            finally:
                self._end_workers()
            if self.failure is not None:  # it may be the store's, and that of each further write
                self._end = min(self._end, time.monotonic() + _FAREWELL)
            yield self._progress()
            if not begun:  # there was nothing to do but this
                thread = self._project()
            self._projected.set()
            while thread is not None and thread.is_alive() and time.monotonic() < self._end:
                thread.join(LOOK)
                yield self._progress()
        finally:
            self._projected.set()  # also where nobody watches it to its end

    def _project(self) -> threading.Thread | None:
        """Start what is done beside the workers. Returns the thread that is waited for."""
        load_orm()
        if self._beside is not None:
            arguments = (self._projected, self._messages.append)
            begin(threading.Thread(target=self._beside, args=arguments, daemon=True))
        if self._projector is None:
            return None
        environment.packages()  # looked up now: where the best is trained again needs them
        thread = threading.Thread(
            target=self._projector.follow,
            args=(self._projected, self._messages.append),
            name="projector",
            daemon=True,
        )
        begin(thread)
        return thread

    def _work(self) -> Iterator[Progress]:
        for place in range(self._size):
            self._workers.append(self._spawn(place))  # one by one: the next may find no room
        while self._workers and not self.stopped:
            if self.failure is not None:
                return
            yield self._progress()
            for worker in [w for w in self._workers if w.process.poll() is not None]:
                self._workers.remove(worker)
                code, said = worker.process.returncode, worker.close()
                if code > 0:
                    self.failure = HpsearchError(said or f"a worker ended with exit code {code}")
                elif code < 0:
                    self._dead.append(worker)
                    self._deaths += 1
                    if self.stopped:
                        continue
                    self._messages.append(f"a worker died (signal {-code}); starting another")
                    self._workers.append(self._spawn(worker.place))
            self._bury()
            if self._deaths > MOST_DEATHS:
                self.failure = HpsearchError(f"{self._deaths} workers died in a row")
            if self._workers:
                self._woken.wait(LOOK)
                self._woken.clear()

    def _spawn(self, place: int) -> _Process:
        gpus = self._gpus
        gpu = {"CUDA_VISIBLE_DEVICES": gpus[place % len(gpus)]} if gpus else {}
        variables = {**self._variables, **gpu}
        left = self._limits.after(time.monotonic() - self._begun)
        words = ["worker", "--tied", self._code, *left.options, "--", self._record.name]
        process = None if self._early is None else self._early.become(words, variables)
        if process is None:
            process = early_.start(["hpsearch", *words], early_.environ(self._settings, variables))
        try:
            owner = Owner.of(process.pid, launcher=os.getpid())
            return _Process(process, owner, place, self._woken.set)
        except BaseException:
            early_.kill(process)
            raise

    def _bury(self) -> None:
        """Free what the dead held, and give up what took too many down; once the store is there."""
        while self._dead:
            try:
                counts = self._store.counts(self._record.id)
                lost = leases.crashed(self._store.database, self._record.id, self._dead[0].owner)
            except StoreAwayError:
                return
            del self._dead[0]
            if counts.finished > self._finished:
                self._finished, self._deaths = counts.finished, 0
            for number in lost:
                self._messages.append(
                    f"trial {number} crashed its worker {leases.MOST_CRASHES} times and was given "
                    f"up (lost)"
                )

    def _end_workers(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + GRACE
        for worker in self._workers:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            worker.close()
        killed = [w.owner for w in self._workers if w.process.returncode < 0]
        self._workers = []
        if killed and self.failure is None:
            # Without this their trials are free as soon as this process has ended, too. A store
            # that is away or locked is not to keep it from that.
            thread = threading.Thread(target=self._release, args=(killed,), daemon=True)
            with suppress(MemoryError):
                begin(thread)
                thread.join(_FAREWELL - GRACE)

    def _release(self, owners: list[Owner]) -> None:
        with suppress(HpsearchError):
            leases.released(self._store.database, self._record.id, owners)

    def _progress(self) -> Progress:
        messages = []
        while self._messages:
            messages.append(self._messages.popleft())
        if self._projector is None:  # nobody looks at the study here
            return replace(self._last, messages=messages)
        try:
            counts = self._store.counts(self._record.id)
            best = self._store.best(self._record)
        except StoreAwayError as error:
            if not self._away:
                messages.append(f"{error}; the workers are waiting for it")
            self._away = True
            return replace(self._last, messages=messages)
        self._away = False
        self._last = Progress(counts, best)
        return replace(self._last, messages=messages)


class _Process:
    """A worker's process, and the last lines it wrote.

    Args:
        process: The process, its standard input and error piped.
        owner: What it is as the owner of a lease.
        place: Which of the workers it is.
        on_end: Is called, by another thread, when it has ended.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        owner: Owner,
        place: int,
        on_end: Callable[[], None],
    ) -> None:
        self.process = process
        self._on_end = on_end
        self.owner = owner
        self.place = place
        self._lines: deque[str] = deque(maxlen=20)
        assert process.stderr is not None
        self._reader = threading.Thread(target=self._read, args=(process.stderr,), daemon=True)
        begin(self._reader)

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self._lines.append(line.decode(errors="replace").rstrip())
        self.process.wait()
        self._on_end()

    def close(self) -> str:
        """To be called when it has ended.

        Returns:
            The last line that it wrote, without the program's name before it.
        """
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._reader.join(1.0)
        lines = [line for line in self._lines if line]
        return lines[-1].removeprefix("hpsearch: ") if lines else ""


def default_workers() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
