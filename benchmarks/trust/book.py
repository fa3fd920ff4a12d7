"""How far off are the numbers of the book's search, on real images?

Its study is trained so many times, each time with other data and seeds. The truth is measured on
the 4,500 images that no search saw: of the chosen network itself, and of a confirmed configuration
over further seeds.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
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
from hpsearch.study.config import DataConfig, Params, Study, TrialConfig
from hpsearch.training.network import NetworkTraining
from hpsearch.trust import environment
from hpsearch.trust.contenders import baseline
from hpsearch.trust.selection import Estimate, corrected

MORE = 10
"""Further seeds that the truth of a configuration is measured with."""
GOOD = 10
"""Networks that tell how easy the validation images are: those with the best accuracy on the images
that nobody looked at, which no validation image had a part in choosing. Their mean is 0 over many
draws, so that the bias less it is the same, with a smaller error."""
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
    values, tested = right.mean(axis=1), np.array([accuracy for _, accuracy in ended])
    ease = float((values - tested)[np.argsort(-tested)[:GOOD]].mean())
    order = np.argsort(-values, kind="stable")
    truth = float(tested[order[0]])
    found.raw.add(Estimate(float(values[order[0]]), 0, 1), truth, ease)
    found.corrected.add(corrected(right.astype(bool), maximize=True), truth, ease)
    chosen = [*(tried[int(place)] for place in order[:TOP]), baseline(study)]
    found.confirmed.add(*_confirmed(trainings, chosen, resplit=False), ease)
    found.resplit.add(*_confirmed(trainings, chosen, resplit=True))
    return found


def _confirmed(
    trainings: Trainings, chosen: Sequence[Params], *, resplit: bool
) -> tuple[Estimate, float]:
    """What a confirmation says of its winner, and the truth: its mean over further seeds.

    Args:
        trainings: Of the study.
        chosen: The configurations.
        resplit: Whether each seed, the further ones too, sees another training and validation part.
    """
    seeds = [
        partial(trainings, seed=10**6 + place, draw=place + 1 if resplit else None)
        for place in range(SEEDS + MORE)
    ]
    scores = np.stack([[train(params)[0] for train in seeds[:SEEDS]] for params in chosen])
    left, result = raced(scores.mean(axis=2, keepdims=True) if resplit else scores)
    winner = chosen[left[result.leader]]
    truth = float(np.mean([train(winner)[1] for train in seeds[SEEDS:]]))
    return result.estimates[result.leader], truth


class Trainings:
    """The trainings of one study: each is done once, and kept.

    Args:
        study: Whose they are.
        folder: Where they are kept, under the digest of configuration and network code.
    """

    def __init__(self, study: Study, folder: Path) -> None:
        self._study = study
        self._dataset = load("mnist5k", cache=folder)
        self._parts: dict[int | None, Splits] = {}
        self._code = _code()
        self._kept = sqlite3.connect(folder / "trainings.db", timeout=60, isolation_level=None)
        self._kept.execute(
            "CREATE TABLE IF NOT EXISTS training (key TEXT PRIMARY KEY, right BLOB, tested REAL)"
        )

    def __enter__(self) -> Trainings:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def __call__(self, params: Params, seed: int, draw: int | None = None) -> Trained:
        """Train with these values and seed, on that draw of the training and validation part."""
        config = self._study.resolve(params, seed)
        assert isinstance(config, TrialConfig)
        data = config.data.model_copy(update={"draw": draw})
        config = config.model_copy(update={"data": data})
        key = hashlib.sha256(f"{self._code} {config.model_dump_json()}".encode()).hexdigest()
        query = "SELECT right, tested FROM training WHERE key = ?"
        with closing(self._kept.execute(query, (key,))) as rows:
            row = rows.fetchone()
        parts = self._drawn(data)
        if row is None:
            right, tested = _trained(config, parts)
            row = np.packbits(right).tobytes(), tested
            self._kept.execute("INSERT OR IGNORE INTO training VALUES (?, ?, ?)", (key, *row))
        bits = np.unpackbits(np.frombuffer(row[0], np.uint8), count=len(parts.validation.y))
        return bits.astype(np.float64), row[1]

    def _drawn(self, data: DataConfig) -> Splits:
        if data.draw not in self._parts:
            described = data.model_dump(exclude={"dataset", "task"})
            self._parts[data.draw] = split(self._dataset, **described)
        return self._parts[data.draw]


def _trained(config: TrialConfig, parts: Splits) -> tuple[NDArray[np.bool_], float]:
    training = NetworkTraining(config, parts.sealed)
    for _ in training:
        pass
    right = training.outcomes("val_accuracy")
    return np.asarray(right, np.bool_), training.measures(parts.test)[1]


def _code() -> str:
    """SHA-256 of the network's source."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in _files())).hexdigest()


def _files() -> Iterator[Path]:
    assert net.__file__ is not None
    yield from sorted(Path(net.__file__).parent.rglob("*.py"))
