"""Faults without end, on both kinds of store: `python -m tests.faults.soak --minutes 20`.

Goes round all rows of the battery with other seeds each time, until the minutes are over; says how
each case went, and in the end how often what was done and how many promises were broken.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random

from tests.compose import mlflow_server
from tests.faults import cases
from tests.faults.workspace import Place
from tests.postgres import Cluster

Case = Callable[[Place, Random], int]


@dataclass(slots=True)
class Row:
    """A kind of fault, and what became of it so far."""

    name: str
    case: Case
    stores: tuple[str, ...] = ("SQLite", "PostgreSQL")
    cases: int = 0
    kills: int = 0
    violations: int = 0
    seconds: float = 0.0


def rows() -> list[Row]:
    """The battery."""
    sqlite, postgresql = ("SQLite",), ("PostgreSQL",)
    found = [
        Row(f"seam {seam}", lambda place, _, seam=seam: cases.seam_of_a_worker(place, seam))
        for seam in cases.OF_WORKERS
    ]
    found += [
        Row(f"seam {seam}", lambda place, _, seam=seam: cases.seam_of_the_projector(place, seam))
        for seam in cases.OF_THE_PROJECTOR
    ]
    found += [
        Row(f"sync, seam {seam}", lambda place, _, seam=seam: cases.seam_of_sync(place, seam))
        for seam in ("syncing", *cases.OF_THE_PROJECTOR)
    ]
    found += [
        Row("random kills", lambda place, random: cases.random_kills(place, random)),
        Row("stopped beyond its lease", lambda place, _: cases.stopped_beyond_lease(place)),
        Row(
            "eight on nothing",
            lambda place, random: cases.stampede(
                place, tracking=random.random() < 0.5, bare=random.random() < 0.5
            ),
        ),
        Row("500 short trials", lambda place, _: cases.many_short(place)),
    ]
    found += [
        Row(f"MLflow: {how}", lambda place, _, how=how: cases.tracker_misbehaves(place, how))
        for how in ("down", "500", "hang", "lose")
    ]
    found += [
        Row("disk full", lambda place, _: cases.disk_full(place)),
        Row("store read-only", lambda place, _: cases.store_read_only(place)),
        Row("store locked for long", lambda place, _: cases.store_locked(place)),
        Row("artifacts gone", lambda place, _: cases.artifacts_gone(place)),
        Row("memory limit", lambda place, _: cases.memory_limit(place)),
        Row("database's clock", lambda place, _: cases.clock_steps(place)),
    ]
    found += [
        Row(f"log {how}", lambda place, _, how=how: cases.torn_log(place, how), sqlite)
        for how in ("garbage", "truncated", "flipped")
    ]
    found += [
        Row(
            f"restart, {mode}",
            lambda place, _, mode=mode: cases.server_restarted(place, mode=mode),
            postgresql,
        )
        for mode in ("immediate", "fast")
    ]
    found += [
        Row(
            f"away for {away} s",
            lambda place, _, away=away: cases.server_restarted(place, away),
            postgresql,
        )
        for away in (1, 10, 60)
    ]
    found += [
        Row("away at the start", lambda p, _: cases.server_away_at_the_start(p), postgresql),
        Row("away at the end", lambda p, _: cases.stopped_while_the_server_is_away(p), postgresql),
    ]
    return found


def main() -> int:
    """Run the battery for so many minutes. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    battery = rows()
    print(f"soak: {arguments.minutes:g} minutes, seed {arguments.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        with mlflow_server(folder / "server") as server:
            cluster = Cluster()
            try:
                place = Place(folder / "sqlite")
                places = [place, place.at(cluster, server)]
                end = time.monotonic() + 60 * arguments.minutes
                _rounds(battery, places, server, arguments.seed, end)
            finally:
                cluster.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _table(battery)
    return 1 if any(row.violations for row in battery) else 0


def _rounds(battery: list[Row], places: list[Place], server: str, seed: int, end: float) -> None:
    for row, place, number in _endless(battery, places, seed):
        left = end - time.monotonic()
        if left <= 0:
            return
        if row.name.startswith("MLflow:"):
            place = place.at(place.cluster, server)
        began = time.monotonic()
        said = "ok"
        try:
            row.kills += row.case(place, Random(f"{seed}-{number}"))
        except Exception:  # whatever it is, it is a broken promise, and the battery goes on
            row.violations += 1
            said = "VIOLATION"
            traceback.print_exc()
        row.cases += 1
        took = time.monotonic() - began
        row.seconds += took
        print(f"{left / 60:5.1f} min left  {place.kind:10}  {row.name:26}  {said}  {took:.1f} s")
        sys.stdout.flush()


def _endless(
    battery: list[Row], places: list[Place], seed: int
) -> Iterator[tuple[Row, Place, int]]:
    """All rows on all their stores, round after round, in another order each time."""
    numbers = count()
    for turn in count():
        pairs = [(row, place) for row in battery for place in places if place.kind in row.stores]
        Random(f"{seed}-order-{turn}").shuffle(pairs)
        for row, place in pairs:
            yield row, place, next(numbers)


def _table(battery: list[Row]) -> None:
    print(f"\n{'fault':28}{'cases':>7}{'kills':>7}{'violations':>12}{'seconds':>9}")
    total = Row("all", lambda *_: 0)
    for row in [*battery, total]:
        print(f"{row.name:28}{row.cases:7}{row.kills:7}{row.violations:12}{row.seconds:9.0f}")
        total.cases += row.cases
        total.kills += row.kills
        total.violations += row.violations
        total.seconds += row.seconds


if __name__ == "__main__":
    sys.exit(main())
