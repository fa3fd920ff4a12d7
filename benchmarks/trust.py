"""How far off are the numbers that a search ends with, where the truth is known?

    python -m benchmarks.trust [--studies 200] [--book 20]

A study here is a hundred configurations, each trained once and scored on the same hundred
validation examples; its best eight, and a baseline, are then confirmed over five new seeds as
`hpsearch confirm` does, race included. Bias is the mean of a number less its truth; an interval is
good if it holds the truth in 95 % of the studies.

In the simulation every configuration, seed and example has its part in whether an answer is right:
P(right) is the logistic function of the configuration's skill and the seed's luck less the
example's difficulty. Half of the studies have a wide space, half one in which nearly all is good.
With `--book N` the book's study is trained N times too, with other data and seeds; its truth is the
accuracy on the 4,500 images nobody looked at, of the chosen network, or over ten more seeds of the
confirmed configuration. That takes half a minute each.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.datasets import load
from hpsearch.data.splits import split
from hpsearch.search.history import History
from hpsearch.search.race import LOOKS, behind
from hpsearch.search.seeds import training_seed
from hpsearch.search.suggest import suggest
from hpsearch.study import file as study_file
from hpsearch.study.config import Params, TrialConfig
from hpsearch.training.network import NetworkTraining
from hpsearch.trust import environment
from hpsearch.trust.confirmation import Confirmed, confirmed
from hpsearch.trust.contenders import baseline
from hpsearch.trust.selection import Estimate, corrected

TRIALS, EXAMPLES, TOP, SEEDS, MORE = 100, 100, 8, 5, 10
LUCK = 0.15
"""Deviation of a seed's luck, in logits."""
STUDY = Path(__file__).parent.parent / "studies" / "book.toml"

Numbers: TypeAlias = NDArray[np.float64]
_HARD = np.linspace(-4, 4, 401)
_SHARE = np.exp(-(_HARD**2) / 2) / np.exp(-(_HARD**2) / 2).sum()
_SKILLS = np.linspace(-7, 7, 2001)


@dataclass
class Tally:
    """Numbers of one kind, held against their truth."""

    off: list[float] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)

    def add(self, estimate: Estimate, truth: float) -> None:
        """One study's."""
        self.off.append(estimate.value - truth)
        self.covered.append(estimate.low <= truth <= estimate.high)

    def row(self, intervals: bool = True) -> str:
        """Bias with its standard error, and coverage."""
        error = np.std(self.off, ddof=1) / math.sqrt(len(self.off))
        covered = f"{np.mean(self.covered):.1%}" if intervals else ""
        return f"{np.mean(self.off):+.4f} ± {error:.4f} | {covered}"


@dataclass
class Found:
    """What all studies of one kind came to."""

    raw: Tally = field(default_factory=Tally)
    corrected: Tally = field(default_factory=Tally)
    confirmed: Tally = field(default_factory=Tally)
    resplit: Tally = field(default_factory=Tally)
    said: list[float] = field(default_factory=list)
    were: list[bool] = field(default_factory=list)

    def table(self) -> str:
        """Its rows."""
        rows = {
            "best value of the search": self.raw.row(intervals=False),
            "corrected": self.corrected.row(),
            "confirmed": self.confirmed.row(),
            "confirmed, `--resplit`": self.resplit.row(),
        }
        return "\n".join(f"| {name} | {row} |" for name, row in rows.items())

    def calibration(self) -> str:
        """P(best) as it was said, and how often it was so, in five bins."""
        said, were = np.array(self.said), np.array(self.were)
        bins = np.minimum((said * 5).astype(int), 4)
        lines = []
        for place in range(5):
            inside = bins == place
            if inside.any():
                lines.append(
                    f"| {place * 20} to {place * 20 + 20} % | {said[inside].mean():.0%} | "
                    f"{were[inside].mean():.0%} | {inside.sum()} |"
                )
        return "\n".join(lines)


def raced(scores: Numbers) -> tuple[list[int], Confirmed, Numbers]:
    """Who is left after the looks of a race, and what is said of them.

    Args:
        scores: (configurations, seeds, examples), or one value in place of the examples.
    """
    still = list(range(len(scores)))
    for look in range(1, LOOKS):
        seen = math.ceil(SEEDS * look / LOOKS)
        lost = behind(scores[still, :seen].mean(axis=2), maximize=True)
        still = [place for index, place in enumerate(still) if index not in lost]
    return still, confirmed(scores[still], maximize=True), scores[still]


# -- a simulation


def simulated(studies: int) -> Found:
    """So many studies, half of each kind."""
    found = Found()
    for number in range(studies):
        rng = np.random.default_rng(number)
        wide = number % 2 == 0
        worth = rng.uniform(0.1, 0.8, TRIALS) if wide else rng.normal(0.86, 0.015, TRIALS)
        skill = np.interp(worth, _worth(_SKILLS), _SKILLS)
        _study(found, rng, skill, float(np.interp(0.5 if wide else 0.8, _worth(_SKILLS), _SKILLS)))
    return found


def _study(found: Found, rng: np.random.Generator, skill: Numbers, other: float) -> None:
    luck, hard = rng.normal(0, LUCK, TRIALS), rng.normal(0, 1, EXAMPLES)
    right = rng.random((TRIALS, EXAMPLES)) < _logistic((skill + luck)[:, None] - hard)
    values = right.mean(axis=1)
    best = int(values.argmax())
    truth = float(_worth(skill[best] + luck[best]))
    found.raw.add(Estimate(float(values[best]), 0, 1), truth)
    found.corrected.add(corrected(right, maximize=True), truth)
    chosen = np.append(skill[np.argsort(-values, kind="stable")[:TOP]], other)
    truths = (_worth(chosen[:, None] + LUCK * _HARD) * _SHARE).sum(axis=1)
    for tally, again in ((found.confirmed, False), (found.resplit, True)):
        new = rng.normal(0, LUCK, (len(chosen), SEEDS, 1))
        examples = rng.normal(0, 1, (SEEDS, EXAMPLES)) if again else hard
        shape = (len(chosen), SEEDS, EXAMPLES)
        scores = (rng.random(shape) < _logistic(chosen[:, None, None] + new - examples)) * 1.0
        left, said, _ = raced(scores.mean(axis=2, keepdims=True) if again else scores)
        tally.add(said.estimates[said.leader], float(truths[left[said.leader]]))
        chances = np.zeros(len(chosen))
        chances[left] = said.best
        found.said += chances.tolist()
        found.were += [place == int(truths.argmax()) for place in range(len(chosen))]


def _logistic(x: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-x)), np.float64)


def _worth(skill: Numbers | float) -> Numbers:
    """The accuracy on all examples."""
    margin = np.asarray(skill, np.float64)[..., None] - _HARD
    return np.asarray((_logistic(margin) * _SHARE).sum(axis=-1), np.float64)


# -- the book's study


def book(times: int, said: Callable[[str], None]) -> Found:
    """The book's search, with other data and seeds each time."""
    found = Found()
    with tempfile.TemporaryDirectory() as folder, environment.single_thread():
        dataset = load("mnist5k", cache=Path(folder))
        for number in range(times):
            changes = [f"data.seed={number}", f"search.seed={number}", "network.dropout=0.0"]
            study = study_file.load(STUDY, changes)
            assert study.data is not None
            described = study.data.model_dump(exclude={"dataset", "task", "draw"})
            parts = [
                split(dataset, **described, draw=draw) for draw in (None, *range(1, SEEDS + 1))
            ]

            def train(params: Params, seed: int, draw: int = 0) -> tuple[Numbers, float]:
                config = study.resolve(params, seed)  # noqa: B023 (called in this turn alone)
                assert isinstance(config, TrialConfig)
                training = NetworkTraining(config, parts[draw].sealed)  # noqa: B023
                for _ in training:
                    pass
                right = training.outcomes("val_accuracy")
                tested = training.measures(parts[draw].test)[1]  # noqa: B023
                return np.asarray(right, np.float64), tested

            history = History(study)
            tried = [suggest(study, history, trial) for trial in range(TRIALS)]
            ended = [train(p, training_seed(study, trial)) for trial, p in enumerate(tried)]
            right = np.stack([row for row, _ in ended])
            values = right.mean(axis=1)
            order = np.argsort(-values, kind="stable")
            truth = ended[int(order[0])][1]
            found.raw.add(Estimate(float(values[order[0]]), 0, 1), truth)
            found.corrected.add(corrected(right.astype(bool), maximize=True), truth)
            chosen = [*(tried[int(place)] for place in order[:TOP]), baseline(study)]
            for tally, again in ((found.confirmed, False), (found.resplit, True)):
                rows = [
                    [train(p, 10**6 + seed, (seed + 1) * again)[0] for seed in range(SEEDS)]
                    for p in chosen
                ]
                scores = np.array(rows)
                left, result, _ = raced(scores.mean(axis=2, keepdims=True) if again else scores)
                winner = chosen[left[result.leader]]
                more = [train(winner, 10**9 + seed)[1] for seed in range(MORE)]
                tally.add(result.estimates[result.leader], float(np.mean(more)))
            said(f"book, data and seed {number}: done")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trust")
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--book", type=int, default=0, help="times that it is trained")
    asked = parser.parse_args(arguments)
    kinds = {f"{asked.studies} simulated studies": simulated(asked.studies)}
    if asked.book:
        kinds[f"the book's search, {asked.book} times"] = book(
            asked.book, lambda line: print(line, flush=True)
        )
    for name, found in kinds.items():
        print(f"\n| {name} | bias | 95 % interval holds the truth |\n| --- | --- | --- |")
        print(found.table())
        if found.said:
            print("\n| P(best) said | in the mean | was so | cases |\n| --- | --- | --- | --- |")
            print(found.calibration())


if __name__ == "__main__":
    main()
