"""How far off are the numbers in simulated studies, whose truth is known?

Every configuration, seed and example has its part in whether an answer is right: P(right) is the
logistic function of the configuration's skill and the seed's luck, less the example's difficulty
and how little it suits that configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.trust.found import Found, Numbers, raced
from hpsearch.trust.selection import Estimate, corrected

POOL = 5
"""How many times as many examples the training and validation part have together: other draws of
the validation part are from these, so that a fifth of each is what the search has chosen by."""
Places: TypeAlias = NDArray[np.intp]
_NORMAL = np.linspace(-4, 4, 161)
_SHARE = np.exp(-(_NORMAL**2) / 2) / np.exp(-(_NORMAL**2) / 2).sum()
_SKILLS = np.linspace(-9, 9, 1801)


@dataclass(frozen=True)
class World:
    """What studies are like."""

    accuracies: Callable[[np.random.Generator, int], Numbers]
    """Draws those of so many configurations."""
    baseline: float
    """The accuracy of the baseline."""
    trials: int = 100
    examples: int = 100
    top: int = 8
    seeds: int = 5
    luck: float = 0.15
    """Deviation of a seed's luck, in logits."""
    suits: float = 0.0
    """Deviation of how much an example suits a configuration, in logits."""


def _wide(rng: np.random.Generator, many: int) -> Numbers:
    return rng.uniform(0.1, 0.8, many)


def _good(rng: np.random.Generator, many: int) -> Numbers:
    return rng.normal(0.86, 0.015, many)


def _plateau(rng: np.random.Generator, many: int) -> Numbers:
    return rng.normal(0.85, 0.002, many)


def _spread(rng: np.random.Generator, many: int) -> Numbers:
    return rng.beta(4, 2, many)


def _steep(rng: np.random.Generator, many: int) -> Numbers:
    return np.asarray(0.95 - 0.5 * rng.random(many) ** 2, np.float64)


def _few_good(rng: np.random.Generator, many: int) -> Numbers:
    return np.where(rng.random(many) < 0.1, 0.9, 0.8) + rng.normal(0, 0.01, many)


TUNED = [World(_wide, 0.5), World(_good, 0.8)]
"""A space in which few configurations are good, and one in which nearly all are. The estimators
were chosen by looking at these."""

HELD_OUT = [
    World(_plateau, 0.85),
    World(_plateau, 0.85, suits=1.0),
    World(_spread, 0.5),
    World(_spread, 0.5, top=16, examples=500),
    World(_spread, 0.6, examples=1000, luck=0.05, suits=0.5),
    World(_steep, 0.7),
    World(_steep, 0.7, seeds=3, examples=50),
    World(_steep, 0.8, seeds=10, examples=200, luck=0.3),
    World(_few_good, 0.8),
    World(_few_good, 0.8, top=4, luck=0.3, suits=1.0),
    World(_wide, 0.5, seeds=3, examples=200, luck=0.3),
    World(_wide, 0.5, top=16, suits=1.0),
    World(_good, 0.85, examples=1000, luck=0.05),
    World(_good, 0.85, trials=30, top=4, examples=50),
]
"""Others, at which nobody looked before the estimators were chosen."""


def simulated(studies: int, worlds: Sequence[World]) -> Found:
    """So many studies, of each world in turn."""
    found = Found()
    for number in range(studies):
        rng = np.random.default_rng(number)
        found.add(_study(rng, worlds[number % len(worlds)]))
    return found


def _study(rng: np.random.Generator, world: World) -> Found:
    found = Found()
    table = _worth(_SKILLS, world.suits)
    worth = np.append(world.accuracies(rng, world.trials), world.baseline)
    skill = np.interp(worth, table, _SKILLS)
    hard = rng.normal(0, 1, world.examples)
    suits = rng.normal(0, world.suits, (len(skill), world.examples))

    def right(places: Places, luck: Numbers, hard: Numbers, suits: Numbers) -> NDArray[np.bool_]:
        chance = _logistic((skill[places] + luck)[:, None] - hard - suits)
        return np.asarray(rng.random(chance.shape) < chance, np.bool_)

    luck = rng.normal(0, world.luck, world.trials)
    tried = right(np.arange(world.trials), luck, hard, suits[:-1])
    values = tried.mean(axis=1)
    best = int(values.argmax())
    truth = float(np.interp(skill[best] + luck[best], _SKILLS, table))
    found.raw.add(Estimate(float(values[best]), 0, 1), truth)
    found.corrected.add(corrected(tried, maximize=True), truth)

    chosen = np.append(np.argsort(-values, kind="stable")[: world.top], world.trials)
    truths = np.interp(skill[chosen][:, None] + world.luck * _NORMAL, _SKILLS, table) @ _SHARE
    shape = len(chosen), world.seeds
    beside = (POOL - 1) * world.examples
    hard = np.append(hard, rng.normal(0, 1, beside))
    suits = np.append(suits[chosen], rng.normal(0, world.suits, (len(chosen), beside)), axis=1)
    for tally, again in ((found.confirmed, False), (found.resplit, True)):
        scores = np.empty((*shape, world.examples))
        for seed in range(world.seeds):
            drawn = np.arange(world.examples)
            if again:
                drawn = rng.choice(len(hard), world.examples, replace=False)
            scores[:, seed] = right(
                chosen, rng.normal(0, world.luck, len(chosen)), hard[drawn], suits[:, drawn]
            )
        left, said = raced(scores.mean(axis=2, keepdims=True) if again else scores)
        tally.add(said.estimates[said.leader], float(truths[left[said.leader]]))
        chances = np.zeros(len(chosen))
        chances[left] = said.best
        found.said += chances.tolist()
        found.were += (np.arange(len(chosen)) == truths.argmax()).tolist()
    return found


def _logistic(x: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-x)), np.float64)


def _worth(skill: Numbers, suits: float) -> Numbers:
    """The accuracy on all examples, for each skill."""
    margin = skill[:, None] - np.sqrt(1 + suits**2) * _NORMAL
    return np.asarray(_logistic(margin) @ _SHARE, np.float64)
