"""Which of a few configurations is the best, and how sure is that?

Each was trained with the same new seeds, and scored on the same examples; so they are compared seed
by seed and example by example. This module knows neither stores nor studies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpsearch.trust.selection import Estimate

RESAMPLES = 2000
LEVEL = 0.05

Scores = NDArray[np.float64]
"""(configurations, seeds, examples): what each training scored on each example. Where only values
are known, the last axis has one entry."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What new seeds say of the configurations, an entry each."""

    estimates: list[Estimate]
    best: list[float]
    """The probability that it is the best of them."""
    alike: list[int]
    """Those that the data cannot tell from the leader, the leader among them."""

    @property
    def leader(self) -> int:
        """The configuration with the highest probability of being the best, the first of equals."""
        return int(np.argmax(self.best))


def confirmed(scores: Scores, *, maximize: bool, seed: int = 0) -> Confirmed:
    """Compare configurations over seeds and examples.

    A paired bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 8):
    each draw takes seeds and examples with replacement, the same ones for all configurations. Draws
    of examples alone would say how a training compares, not how a configuration does. A draw's
    deviation is widened by sqrt(n / (n - 1)) of the number of seeds or examples that it was drawn
    from, since a bootstrap of a few understates their spread by that.

    Args:
        scores: What each training scored.
        maximize: Whether a larger score is better.
        seed: Of the draws.

    Raises:
        ValueError: With fewer than two seeds, or a score that is not finite.
    """
    configurations, seeds, examples = scores.shape
    if seeds < 2 or not np.isfinite(scores).all():
        raise ValueError("a confirmation needs two seeds at least, and scores that are finite")
    rng = np.random.default_rng(seed)
    means = scores.mean(axis=(1, 2))
    over_examples = scores.mean(axis=1)
    over_seeds = scores.mean(axis=2)
    some_seeds = _shares(rng, RESAMPLES, seeds) - 1 / seeds
    drawn = means + _wider(seeds) * (some_seeds @ over_seeds.T)
    if examples > 1:
        some_examples = _shares(rng, RESAMPLES, examples) - 1 / examples
        drawn += _wider(examples) * (some_examples @ over_examples.T)
    winners = (drawn if maximize else -drawn).argmax(axis=1)
    best = np.bincount(winners, minlength=configurations) / RESAMPLES
    leader = int(np.argmax(best))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    gaps = drawn - drawn[:, [leader]]
    gap_low, gap_high = np.quantile(gaps, [LEVEL / 2, 1 - LEVEL / 2], axis=0)
    return Confirmed(
        [Estimate(*map(float, each)) for each in zip(means, low, high, strict=True)],
        best.tolist(),
        [n for n in range(configurations) if gap_low[n] <= 0 <= gap_high[n]],
    )


def _shares(rng: np.random.Generator, number: int, size: int) -> NDArray[np.float64]:
    """(number, size): the share of each of ``size`` in draws of as many with replacement."""
    return rng.multinomial(size, np.full(size, 1 / size), size=number) / size


def _wider(size: int) -> float:
    return math.sqrt(size / (size - 1))
