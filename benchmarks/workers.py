"""How many workers does one study keep busy?

    python -m benchmarks.workers [--quick] [--measure | --simulate]

**Simulated**: 64 and 1,000 workers. Each is a generator in this process that claims, shows, renews
and finishes trials by the ledger's own code, on SQLite. Only training and waiting are left out, by
a clock that jumps from one event to the next. A step takes on that clock the CPU time that it took
here, and what it takes longer on PostgreSQL. Claims of one study come one after another, as they
lock its row there; other steps do not wait for each other.

**Measured**: 16 processes on a PostgreSQL of this benchmark's own, which waits for no disk. A
training is a sleep, so that two cores are enough for all of them.
"""

from __future__ import annotations

import argparse
import heapq
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np
import sqlalchemy as sa

from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Idle, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Result, State, StudyRecord, curve
from hpsearch.ledger.store import Store
from hpsearch.study import file as study_file
from hpsearch.work.worker import LONGEST_WAIT, OFTEN, SHORTEST_WAIT, SOON
from tests.postgres import Cluster

EXTRA = 0.001
"""Seconds that a step takes longer on PostgreSQL than on SQLite (``--measure`` on two cores)."""
PARAMS = {"training.lr": 0.1}

_Answer = TypeVar("_Answer")
Step = Generator[float, None, _Answer]
"""What takes time: it yields seconds until it is to go on."""


def entered(database: Database, name: str) -> StudyRecord:
    """A study that does not end."""
    table: dict[str, Any] = {
        "name": name,
        "data": {"dataset": "digits", "train": 60, "validation": 30},
        "network": {"hidden": [8]},
        "training": {"lr": {"low": 1e-4, "high": 1.0, "log": True}, "epochs": 1},
        "search": {"trials": 10**6},
    }
    return Store(database).register(study_file.parse(table), {"dataset": "d" * 64})


def leases_of(database: Database, record: StudyRecord, lag: int | None, place: int) -> Leases:
    """The leases of a worker on a host of its own."""
    owner = replace(Owner.of(), host=f"host-{place}")
    return Leases(database, record, lag=lag, seed=int, owner=owner)


def result(number: int) -> Result:
    """How a trial ends."""
    return Result(State.COMPLETE, 0.5, PARAMS, curve([[0.1, 0.2, 0.3, 0.5]]), f"{number:064x}")


def spread(number: int) -> float:
    """How long a trial's training takes: a factor of mean 1, from 0.4 to 2 for nine in ten."""
    return float(np.random.default_rng(number).lognormal(-0.125, 0.5))


# -- simulated


class Clocked(Database):
    """A database whose clock is set by hand."""

    time = 1e9

    @property
    def now(self) -> sa.ColumnElement[float]:
        """Seconds since 1970."""
        return sa.literal(self.time, sa.Double)


@dataclass
class Seen:
    """What became of a simulated crew."""

    claims: list[float]
    """Seconds that each claim of a trial took, its turn waited for."""
    finished: list[int]
    """Trials, in the order of their ends."""
    looks: int = 0
    """Claims that were told to wait."""
    trained: float = 0.0
    """Seconds that all workers trained, together."""


class Crew:
    """Workers of one study on a clock that jumps.

    Args:
        database: Where the ledger is.
        lag: How much older the trials are that a trial looks at; None if it looks at none.
        cost: What a step takes on the clock, by the seconds of CPU that it took here.
    """

    def __init__(self, database: Clocked, lag: int | None, cost: Callable[[float], float]) -> None:
        self._database, self._lag, self._cost = database, lag, cost
        self._record = entered(database, f"lag {lag}")
        self._free_at = database.time  # when nobody holds the study's row any more
        self.seen = Seen([], [])

    def run(self, workers: int, training: float, seconds: float) -> Seen:
        """Have so many work for a while.

        Args:
            workers: How many.
            training: Seconds that a training takes in the mean, on the clock.
            seconds: How long they work, on the clock.
        """
        begun = self._database.time
        crew = (self._worker(place, training, begun + seconds) for place in range(workers))
        order = count()
        events = [(begun, next(order), worker) for worker in crew]
        while events:
            now, _, worker = heapq.heappop(events)
            if now >= begun + seconds:
                break
            self._database.time = now
            for pause in worker:
                heapq.heappush(events, (now + pause, next(order), worker))
                break
        return self.seen

    def _worker(self, place: int, training: float, end: float) -> Step[None]:
        """What a worker does, with the waits of ``hpsearch.work.worker``."""
        leases = leases_of(self._database, self._record, self._lag, place)
        wait = SHORTEST_WAIT
        while True:
            asked = self._database.time
            claim = yield from self._step(leases.claim, alone=True)
            if not isinstance(claim, Claim):
                self.seen.looks += 1
                yield wait
                wait = min(2 * wait, LONGEST_WAIT)
                continue
            wait = SHORTEST_WAIT
            self.seen.claims.append(self._database.time - asked)
            yield from self._train(leases, claim.number, training, end)

    def _train(self, leases: Leases, number: int, training: float, end: float) -> Step[None]:
        yield from self._step(lambda: leases.show(number, PARAMS))
        left, pause = training * spread(number), SOON
        while left > 0:
            part = min(left, pause)
            self.seen.trained += max(0.0, min(part, end - self._database.time))
            yield part
            left, pause = left - part, OFTEN
            if left > 0:
                yield from self._step(lambda: leases.renew(number))
        yield from self._step(lambda: leases.finish(number, result(number)))
        self.seen.finished.append(number)

    def _step(self, step: Callable[[], _Answer], *, alone: bool = False) -> Step[_Answer]:
        """Take a step with the ledger, and the time for it: first come, first served."""
        now = self._database.time
        starts = max(now, self._free_at) if alone else now
        begun = time.thread_time()
        answer = step()
        ends = starts + self._cost(time.thread_time() - begun)
        if alone:
            self._free_at = ends
        yield ends - now
        return answer


def simulated(workers: int, training: float, seconds: float) -> Iterator[str]:
    """The table's lines."""
    for lag in (8, workers, 4 * workers, None):
        with tempfile.TemporaryDirectory() as folder:
            database = Clocked(f"sqlite:///{Path(folder, 'studies.db')}")
            seen = Crew(database, lag, lambda spent: spent + EXTRA).run(workers, training, seconds)
            database.engine.dispose()
        idle, claimed = 1 - seen.trained / (workers * seconds), len(seen.claims) / seconds
        middle, slowest = 1000 * median(seen.claims), 1000 * max(seen.claims)
        yield (
            f"| {workers:,} | {training:g} s | {lag or 'none'} | {claimed:.1f} | {middle:,.0f} ms "
            f"| {slowest:,.0f} ms | {seen.looks / seconds:,.0f} | {idle:.0%} |"
        )


# -- measured


def work(
    url: str,
    name: str,
    lag: int | None,
    place: int,
    training: float,
    seconds: float,
    ready: Any,
    told: Any,
) -> None:
    """One process: claim, sleep, finish, until the time is over."""
    database = Database(url)
    leases = leases_of(database, Store(database).study(name), lag, place)
    ready.wait()
    begun = time.monotonic()
    claimed, trained, took, wait = 0, 0.0, list[float](), SHORTEST_WAIT
    while time.monotonic() - begun < seconds:
        asked = time.monotonic()
        claim = leases.claim()
        if isinstance(claim, Claim):
            took.append(time.monotonic() - asked)
            claimed, wait = claimed + 1, SHORTEST_WAIT
            pause = training * spread(claim.number)
            leases.show(claim.number, PARAMS)
            time.sleep(pause)
            trained += max(0.0, min(pause, begun + seconds - (time.monotonic() - pause)))
            leases.finish(claim.number, result(claim.number))
        elif claim is Idle.WAIT:
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
    told.put((claimed, trained, took))
    database.engine.dispose()


def measured(processes: int, seconds: float) -> Iterator[str]:
    """The table's lines."""
    start = multiprocessing.get_context("spawn")
    cluster = Cluster()
    try:
        yield "| training | lag | claims a second | claim | idle |"
        yield "| --- | --- | --- | --- | --- |"
        for training, lag in ((0.0, None), *((2.0, lag) for lag in (1, 8, 16, 32, None))):
            url = cluster.database()
            database = Database(url)
            name = entered(database, "measured").name
            database.engine.dispose()
            ready, told = start.Barrier(processes), start.Queue()
            crew = [
                start.Process(
                    target=work, args=(url, name, lag, place, training, seconds, ready, told)
                )
                for place in range(processes)
            ]
            for process in crew:
                process.start()
            claimed, trained, took = zip(*(told.get() for _ in crew), strict=True)
            for process in crew:
                process.join()
            middle = 1000 * median(each for part in took for each in part)
            idle = f"{1 - sum(trained) / (processes * seconds):.0%}" if training else ""
            rate = "" if training else f"{sum(claimed) / seconds:.0f}"
            yield f"| {training:g} s | {lag or 'none'} | {rate} | {middle:.1f} ms | {idle} |"
    finally:
        cluster.close()


def main() -> None:
    """Measure, and print each line as it comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer workers, and a shorter time")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--measure", action="store_true", help="only the processes")
    only.add_argument("--simulate", action="store_true", help="only the simulation")
    asked = parser.parse_args()
    if not asked.measure:
        print("| workers | training | lag | claims a second | claim | slowest | in vain | idle |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for crew in [(16, 10, 30)] if asked.quick else [(64, 10, 100), (1000, 30, 60)]:
            for line in simulated(*crew):
                print(line, flush=True)
    if not asked.simulate:
        for line in measured(16, 5 if asked.quick else 20):
            print(line, flush=True)


if __name__ == "__main__":
    main()
