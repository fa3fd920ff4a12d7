"""How far off are the numbers of the book's search, on real images?

Its study is trained so many times, each time with other data and seeds. The truth is measured on
the 4,500 images that no search saw: of the chosen network itself, and of a confirmed configuration
over further seeds.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

import net
from benchmarks.trust.found import SEEDS, TOP, Found, raced
from hpsearch.data.datasets import load
from hpsearch.data.splits import Splits, split
from hpsearch.search.history import History
from hpsearch.search.seeds import training_seed
from hpsearch.search.suggest import suggest
from hpsearch.study import file as study_file
from hpsearch.study.config import Params, Study, TrialConfig
from hpsearch.training.network import NetworkTraining
from hpsearch.trust import environment
from hpsearch.trust.contenders import baseline
from hpsearch.trust.selection import Estimate, corrected

MORE = 10
"""Further seeds that the truth of a configuration is measured with."""
STUDY = Path(__file__).parents[2] / "studies" / "book-script.toml"

Numbers: TypeAlias = NDArray[np.float64]
Trained: TypeAlias = tuple[Numbers, float]
"""Which validation examples were right, and the share of the images nobody looked at."""


def book(times: int, folder: Path, workers: int, said: Callable[[str], None]) -> Found:
    """The book's search, with other data and seeds each time.

    Args:
        times: How often.
        folder: Where finished trainings are kept; those that are there are not done again.
        workers: Processes that train.
        said: Gets a line after each search.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = Found()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for number, one in enumerate(pool.map(partial(_searched, folder), range(times))):
            found.add(one)
            said(f"book, data and seed {number}: done")
    return found


def _searched(folder: Path, number: int) -> Found:
    """One search, and its confirmations."""
    study = study_file.load(STUDY, [f"data.seed={number}", f"search.seed={number}"])
    with environment.single_thread(), Trainings(study, folder) as trainings:
        return _measured(study, trainings)


def _measured(study: Study, trainings: Trainings) -> Found:
    found = Found()
    trials = range(study.search.trials)
    tried = [suggest(study, History(study), trial) for trial in trials]
    ended = [trainings(tried[trial], training_seed(study, trial)) for trial in trials]
    right = np.stack([row for row, _ in ended])
    values = right.mean(axis=1)
    order = np.argsort(-values, kind="stable")
    truth = ended[int(order[0])][1]
    found.raw.add(Estimate(float(values[order[0]]), 0, 1), truth)
    found.corrected.add(corrected(right.astype(bool), maximize=True), truth)
    chosen = [*(tried[int(place)] for place in order[:TOP]), baseline(study)]
    for tally, draw in ((found.confirmed, 0), (found.resplit, 1)):
        scores = np.stack(
            [[trainings(p, 10**6 + s, (s + 1) * draw)[0] for s in range(SEEDS)] for p in chosen]
        )
        left, result = raced(scores.mean(axis=2, keepdims=True) if draw else scores)
        winner = chosen[left[result.leader]]
        further = range(SEEDS, SEEDS + MORE)
        more = [trainings(winner, 10**6 + s, (s + 1) * draw)[1] for s in further]
        tally.add(result.estimates[result.leader], float(np.mean(more)))
    return found


class Trainings:
    """The trainings of one study: each is done once, and kept.

    Args:
        study: Whose they are.
        folder: Where they are kept, under the digest of configuration and network code.
    """

    def __init__(self, study: Study, folder: Path) -> None:
        self._study = study
        self._dataset = load("mnist5k", cache=folder)
        self._parts: dict[int, Splits] = {}
        self._code = _code()
        self._kept = sqlite3.connect(folder / "trainings.db", timeout=60, isolation_level=None)
        self._kept.execute(
            "CREATE TABLE IF NOT EXISTS training (key TEXT PRIMARY KEY, right BLOB, tested REAL)"
        )

    def __enter__(self) -> Trainings:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def __call__(self, params: Params, seed: int, draw: int = 0) -> Trained:
        """Train with these values and seed, on a draw of the training and validation part."""
        config = self._study.resolve(params, seed)
        assert isinstance(config, TrialConfig)
        key = hashlib.sha256(f"{self._code} {draw} {config.model_dump_json()}".encode()).hexdigest()
        query = "SELECT right, tested FROM training WHERE key = ?"
        with closing(self._kept.execute(query, (key,))) as rows:
            row = rows.fetchone()
        if row is None:
            right, tested = self._train(config, draw)
            row = np.packbits(right).tobytes(), tested
            self._kept.execute("INSERT OR IGNORE INTO training VALUES (?, ?, ?)", (key, *row))
        many = len(self._split(draw).validation.y)
        bits = np.unpackbits(np.frombuffer(row[0], np.uint8), count=many)
        return bits.astype(np.float64), row[1]

    def _train(self, config: TrialConfig, draw: int) -> tuple[NDArray[np.bool_], float]:
        parts = self._split(draw)
        training = NetworkTraining(config, parts.sealed)
        for _ in training:
            pass
        right = training.outcomes("val_accuracy")
        return np.asarray(right, np.bool_), training.measures(parts.test)[1]

    def _split(self, draw: int) -> Splits:
        if draw not in self._parts:
            assert self._study.data is not None
            described = self._study.data.model_dump(exclude={"dataset", "task", "draw"})
            self._parts[draw] = split(self._dataset, **described, draw=draw or None)
        return self._parts[draw]


def _code() -> str:
    """SHA-256 of the network's source."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in _files())).hexdigest()


def _files() -> Iterator[Path]:
    assert net.__file__ is not None
    yield from sorted(Path(net.__file__).parent.rglob("*.py"))
