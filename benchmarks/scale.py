"""What does a long study cost? The 10,000th trial beside the 100th.

    python -m benchmarks.scale [--quick]

The ledger is filled without training (SQLite). Then two workers without an objective take turns in
this process, on a study of 100 trials and on the long one alternately, so that whatever else the
machine does slows both; what is compared are medians. Processes are measured as they are used, from
their start. The projections are filled once for their part, which takes some minutes of the whole;
``--quick`` measures all this at 1,000 trials, in about a minute.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import sqlalchemy as sa

from hpsearch.data import splits as data
from hpsearch.data.datasets import load
from hpsearch.ledger import tables
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Curve, Result, State, StudyRecord, curve, encode
from hpsearch.ledger.store import Store
from hpsearch.projections.projector import Projector
from hpsearch.search.history import History
from hpsearch.search.pruning import Pruning
from hpsearch.search.seeds import training_seed
from hpsearch.search.suggest import suggest
from hpsearch.settings import Settings
from hpsearch.study import config
from hpsearch.study import file as study_file
from hpsearch.study.config import Params, Study
from hpsearch.trust import environment

FEW = 100
MEASURED = 60
"""Trials that are measured around each of the two lengths."""
RANGES: dict[str, dict[str, Any]] = {
    "network.dropout": {"low": 0.0, "high": 0.5},
    "training.lr": {"low": 1e-4, "high": 1.0, "log": True},
    "training.weight_decay": {"low": 1e-8, "high": 1e-2, "log": True},
}
EPOCHS = {"none": 1, "median": 27}
"""Epochs of a trial, by the study's pruner."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    what: str
    measured: str
    goal: str = ""
    kept: bool | None = None


def at_most(what: str, value: float, goal: float, unit: str, more: str = "") -> Row:
    """A measurement and its goal."""
    said = f"{value:.2f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return Row(what, said + more, f"<= {goal:g} {unit}", value <= goal)


# -- filling a ledger


def study(name: str, sampler: str, pruner: str) -> Study:
    """A study of three parameters, whose real training takes a millisecond."""
    table: dict[str, Any] = {
        "name": name,
        "data": {"dataset": "digits", "train": 60, "validation": 30},
        "network": {"hidden": [8]},
        "training": {"epochs": EPOCHS[pruner], "batch_size": 60},
        "search": {"sampler": sampler, "pruner": pruner, "metric": "val_loss", "trials": 10**6},
    }
    table["search"]["direction"] = "minimize"
    for path, ends in RANGES.items():
        section, key = path.split(".")
        table[section][key] = ends
    return study_file.parse(table)


def objective(params: Params, epochs: int) -> Curve:
    """A made-up training: a learning rate near 0.1 learns best."""
    lr, dropout = float(str(params["training.lr"])), float(str(params["network.dropout"]))
    loss = (math.log10(lr) + 1) ** 2 + dropout
    return curve([[loss + 1 / e, 0.5, loss + 1 / e, 0.5] for e in range(1, epochs + 1)])


def digests() -> dict[str, str]:
    """Of the data that ``study`` names."""
    dataset = load("digits")
    described = study("any", "random", "none").data
    parts = data.split(
        dataset,
        train=described.train,
        validation=described.validation,
        seed=described.seed,
        test=described.test,
        scaling=described.scaling,
    )
    return parts.digests


def fill(folder: Path, of: Study, length: int) -> tuple[Store, StudyRecord]:
    """A ledger with so many finished trials, a third of them pruned where that can be."""
    folder.mkdir(parents=True)
    store = Store(Database(f"sqlite:///{folder / 'studies.db'}"))
    record = store.register(of, digests())
    with environment.single_thread():
        here = environment.current()
    store.remember(here, environment.digest(here))
    random = np.random.default_rng(0)
    epochs = EPOCHS[of.search.pruner]
    trials, curves = [], []
    for number in range(length):
        params: Params = {
            "network.dropout": float(random.uniform(0, 0.5)),
            "training.lr": float(10 ** random.uniform(-4, 0)),
            "training.weight_decay": float(10 ** random.uniform(-8, -2)),
        }
        rows = objective(params, epochs)
        pruned = epochs > 1 and number % 3 == 2
        if pruned:
            rows = rows[: epochs // 3]
        trials.append(
            {
                "study_id": record.id,
                "number": number,
                "state": State.PRUNED if pruned else State.COMPLETE,
                "value": None if pruned else float(rows[-1, 2]),
                "params": config.dumps(dict(params)),
                "epochs": len(rows),
                "seed": training_seed(of, number),
                "started": record.created + number,
                "ended": record.created + number + 1,
                "weights_sha256": f"{number:064x}",
                "reason": "median" if pruned else None,
                "environment": environment.digest(here),
            }
        )
        row = {"study_id": record.id, "number": number, "epochs": encode(rows), "steps": b""}
        curves.append(row)
    with store.database.write() as connection:
        connection.execute(sa.insert(tables.trials), trials)
        connection.execute(sa.insert(tables.curves), curves)
        connection.execute(
            sa.update(tables.studies)
            .where(tables.studies.c.id == record.id)
            .values(next_number=length)
        )
    return store, record


# -- a worker without an objective

Seconds = dict[str, list[float]]


class Worker:
    """What a worker does with the store and the history, and nothing else."""

    def __init__(self, store: Store, record: StudyRecord, index: int) -> None:
        self._store, self._record, self._study = store, record, record.study
        looks_back = record.study.search.looks_back
        self._leases = Leases(
            store.database,
            record,
            lag=record.study.search.lag if looks_back else None,
            seed=lambda number: training_seed(record.study, number),
            owner=replace(Owner.of(), host=f"worker-{index}"),
        )
        self.history = History(record.study)
        self._known = -1

    def trial(self, spent: Seconds) -> None:
        """One trial from its claim to its finish."""
        begun = time.perf_counter()
        claim = self._leases.claim()
        assert isinstance(claim, Claim)
        claimed = time.perf_counter()
        self.learn(claim.number)
        learnt = time.perf_counter()
        params = suggest(self._study, self.history, claim.number)
        suggested = time.perf_counter()
        self._leases.show(claim.number, params)
        shown = time.perf_counter()
        rows = objective(params, EPOCHS[self._study.search.pruner])
        pruning = Pruning(self._study, self.history, claim.number, params)
        stopped = [pruning.stops(e, float(row[2])) for e, row in enumerate(rows, start=1)]
        pruned = time.perf_counter()
        if any(stopped):
            rows = rows[: stopped.index(True) + 1]
        state = State.PRUNED if any(stopped) else State.COMPLETE
        value = None if any(stopped) else float(rows[-1, 2])
        self._leases.finish(claim.number, Result(state, value, params, rows, "f" * 64))
        finished = time.perf_counter()
        store = claimed - begun + learnt - claimed + shown - suggested + finished - pruned
        spent["store"].append(store)
        spent["suggestion"].append(suggested - learnt)
        spent["pruning"].append(pruned - shown)

    def learn(self, number: int) -> None:
        """Take in what trial ``number`` may look at."""
        last = number - self._study.search.lag
        while self._study.search.looks_back and self._known < last:
            up_to = min(self._known + 500, last)
            self.history.add(self._store.history(self._record.id, self._known, up_to))
            self._known = up_to


def per_trial(folder: Path, length: int) -> Iterator[Row]:
    """Store and suggestion, early and late in a study."""
    for sampler, pruner, goal in (("random", "none", 2), ("tpe", "none", 4), ("tpe", "median", 4)):
        name = sampler if pruner == "none" else f"{sampler} and {pruner} pruner"
        spent: list[Seconds] = [defaultdict(list), defaultdict(list)]
        pairs = []
        for place, trials in enumerate((FEW - MEASURED // 2, length - MEASURED // 2)):
            where = folder / f"{sampler}-{pruner}-{place}"
            store, record = fill(where, study("long", sampler, pruner), trials)
            pairs.append([Worker(store, record, index) for index in range(2)])
        for round_ in range(MEASURED + 4):
            for seconds, workers in zip(spent, pairs, strict=True):
                workers[round_ % 2].trial(seconds if round_ >= 4 else defaultdict(list))
        parts = ("store", "suggestion") + (("pruning",) if pruner != "none" else ())
        for part in parts:
            few, many = (1000 * median(seconds[part]) for seconds in spent)
            what = f"{name}: {part} per trial"
            more = f"  ({few:.2f} ms -> {many:.2f} ms)"
            if part == "pruning":
                yield Row(what, f"{many / few:.2f} times{more}")
            else:
                yield at_most(what, many / few, goal, "times", more)


def memory(folder: Path, length: int) -> Iterator[Row]:
    """What a worker's process takes more, late in a study."""
    for sampler, pruner in (("tpe", "none"), ("tpe", "median")):
        where = folder / f"memory-{pruner}"
        fill(where, study("long", sampler, pruner), length)
        name = sampler if pruner == "none" else f"{sampler} and {pruner} pruner"
        for how in ("trial by trial", "joining late"):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                grown = pool.submit(_grown, where / "studies.db", length, how).result()
            yield at_most(f"{name}: memory of a worker, {how}", grown / 2**20, 50, "MB more")


def _grown(file: Path, length: int, how: str) -> int:
    """Bytes that this process grows by from trial 100 to the last."""
    store = Store(Database(f"sqlite:///{file}"))
    worker = Worker(store, store.study("long"), 0)

    def look(number: int) -> None:
        worker.learn(number)
        params = suggest(store.study("long").study, worker.history, number)
        pruning = Pruning(store.study("long").study, worker.history, number, params)
        for epoch, row in enumerate(objective(params, 27), start=1):
            pruning.stops(epoch, float(row[2]))

    lag = store.study("long").study.search.lag
    for number in range(FEW):
        look(number)
    before = _resident()
    for number in range(FEW, length, 1 if how == "trial by trial" else length):
        worker.learn(number)
        if number % 100 == 0:
            look(number)
    for number in range(length + lag - 5, length + lag):
        look(number)
    return _resident() - before


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


# -- as processes


class Workspace:
    """A long study of TPE's in a workspace of its own, with its projections."""

    def __init__(self, home: Path, length: int) -> None:
        self.home, self.length = home, length
        self.study = study("long", "tpe", "none").with_trials(length)
        self.store, self.record = fill(home, self.study, length)
        self.settings = Settings(
            home, f"sqlite:///{home / 'studies.db'}", f"sqlite:///{home / 'mlflow.db'}"
        )
        unset = ("HPSEARCH_STORAGE", "MLFLOW_TRACKING_URI")
        self.environment = {key: value for key, value in os.environ.items() if key not in unset}
        self.environment["HPSEARCH_HOME"] = str(home)

    def row(self, goal: float, *arguments: str) -> Row:
        """Seconds that a command takes, its start included, and its part of them on a core."""
        seconds, busy = [], []
        for _ in range(3):
            begun, before = time.perf_counter(), _children()
            code = self.start(*arguments).wait()
            assert code == 0, f"hpsearch {' '.join(arguments)} ended with {code}"
            seconds.append(time.perf_counter() - begun)
            busy.append(_children() - before)
        what, more = f"hpsearch {' '.join(arguments)}", f"  ({median(busy):.2f} s of a core)"
        return at_most(what, median(seconds), goal, "s", more)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A command as a process."""
        return subprocess.Popen(
            [sys.executable, "-m", "hpsearch", *arguments],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def looks(self) -> Iterator[Row]:
        """The commands that look."""
        yield self.row(2, "status", "long", "--json")
        yield self.row(2, "best", "long", "--json")
        yield self.row(2, "trials", "long", "--json")
        yield self.row(2, "trials", "long")

    def polling(self) -> Iterator[Row]:
        """What ``run`` spends on showing how far it is."""
        from hpsearch.work import launch

        looks = 100
        begun = time.process_time()
        for _ in range(looks):
            self.store.counts(self.record.id)
            self.store.best(self.record)
        share = (time.process_time() - begun) / looks / launch._LOOK
        yield at_most("hpsearch run: looks at the store", 100 * share, 5, "% of a core")

    def projections(self) -> Iterator[Row]:
        """A sync of everything, and one with nothing missing."""
        begun = time.perf_counter()
        written = Projector(self.store, "long", self.settings).sync()
        seconds = 1000 * (time.perf_counter() - begun) / self.length
        assert written.optuna == written.mlflow == self.length
        yield Row("projections: written anew", f"{seconds:.1f} ms a trial")
        self.start("sync", "long").wait()  # the best trial is trained once more
        yield self.row(30, "sync", "long")
        projector = Projector(self.store, "long", self.settings)
        projector.step()  # the first one compares
        looks = 20
        begun = time.process_time()
        for _ in range(looks):
            projector.step()
        share = (time.process_time() - begun) / looks / 0.3
        yield at_most("projector: looks at the store", 100 * share, 5, "% of a core")

    def cold(self) -> Iterator[Row]:
        """A new process on the study, until the first of its trials has its values."""
        file = self.home / "long.toml"
        file.write_text(study_file.toml(self.study))
        for first, command in zip(
            count(self.length),
            (["worker", "long"], ["run", str(file), "--workers", "1"]),
            strict=False,
        ):
            self.store.register(self.study.with_trials(first + 1), digests())
            if command[0] == "run":
                command += ["--trials", str(first + 1)]
            begun = time.perf_counter()
            process = self.start(*command)
            while not self._suggested(first):
                assert process.poll() is None or self._suggested(first), f"{command} ended"
                time.sleep(0.01)
            seconds = time.perf_counter() - begun
            process.send_signal(signal.SIGINT)
            process.wait()
            yield at_most(f"hpsearch {command[0]}, cold: first values after", seconds, 5, "s")

    def _suggested(self, number: int) -> bool:
        with closing(sqlite3.connect(self.home / "studies.db", timeout=30)) as connection:
            query = "SELECT params FROM hpsearch_trials WHERE number = ?"
            row = connection.execute(query, [number]).fetchone()
        return row is not None and bool(json.loads(row[0]))


def _children() -> float:
    """Seconds of a core that the processes that ended here have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure, and print each line as it comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 trials in place of 10,000")
    length = 1000 if parser.parse_args().quick else 10_000
    print(f"{f'at {length:,} trials':58} {'measured':>38}  {'goal':16}")
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "home", length)
        parts = (
            per_trial(Path(folder), length),
            memory(Path(folder), length),
            workspace.polling(),
            workspace.looks(),
            workspace.projections(),
            workspace.cold(),
        )
        for part in parts:
            for row in part:
                verdict = "" if row.kept is None else "kept" if row.kept else "MISSED"
                missed += row.kept is False
                line = f"{row.what:58} {row.measured:>38}  {row.goal:16} {verdict}"
                print(line.rstrip(), flush=True)
    print("all goals kept" if not missed else f"{missed} goals MISSED")


if __name__ == "__main__":
    main()
