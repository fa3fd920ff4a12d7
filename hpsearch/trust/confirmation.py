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
LEAST_KEPT = 0.25
"""Of the differences between configurations that cannot be told apart: how large their own spread
is, is itself known from a few alone."""
LEAST_ONCE = 0.1

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
    from, since a bootstrap of a few understates their spread by that, and spread as Student's t is,
    since the spread itself is estimated from a few.

    The best of several that cannot be told apart is best by luck, too. So their means and draws are
    drawn towards each other, by as much as their spread is no more than noise (Efron and Morris,
    "Data analysis using Stein's estimator and its generalizations", Journal of the American
    Statistical Association 70, 1975).

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
    apart = _deviations(rng, scores.mean(axis=2))
    if examples > 1:
        apart = apart + _deviations(rng, scores.mean(axis=1))
    drawn = means + math.sqrt(_noise(scores)[1]) * apart
    first = int((means if maximize else -means).argmax())
    gaps = drawn - drawn[:, [first]]
    gap_low, gap_high = np.quantile(gaps, [LEVEL / 2, 1 - LEVEL / 2], axis=0)
    alike = [n for n in range(configurations) if gap_low[n] <= 0 <= gap_high[n]]
    if len(alike) > 2:
        means[alike], drawn[:, alike] = _shrunk(scores[alike], apart[:, alike])
    winners = (drawn if maximize else -drawn).argmax(axis=1)
    best = np.bincount(winners, minlength=configurations) / RESAMPLES
    low, high = np.quantile(drawn, [LEVEL / 2, 1 - LEVEL / 2], axis=0)
    return Confirmed(
        [Estimate(*map(float, each)) for each in zip(means, low, high, strict=True)],
        best.tolist(),
        alike,
    )


def _deviations(rng: np.random.Generator, means: NDArray[np.float64]) -> NDArray[np.float64]:
    """(draws, configurations): how far draws of seeds or examples are from the mean of all.

    Args:
        rng: Draws them.
        means: (configurations, seeds or examples).
    """
    size = means.shape[1]
    some = rng.multinomial(size, np.full(size, 1 / size), size=RESAMPLES) / size - 1 / size
    heavier = np.sqrt((size - 1) / rng.chisquare(size - 1, size=(RESAMPLES, 1)))
    return np.asarray(math.sqrt(size / (size - 1)) * heavier * (some @ means.T), np.float64)


def _noise(scores: Scores) -> tuple[float, float]:
    """What the squared deviations of the draws sum up to, and which part of that is noise.

    The noise of a mean over seeds and examples has three parts. Draws of seeds hold the first and
    the third, draws of examples the second and the third: their interaction, which counts once
    (Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1, 2007).

    Args:
        scores: (configurations, seeds, examples).
    """
    _, seeds, examples = scores.shape
    by_seed, by_example = scores.mean(axis=2), scores.mean(axis=1)
    counted = float(by_seed.var(axis=1, ddof=1).sum()) / seeds
    if examples < 2:
        return counted, 1.0
    counted += float(by_example.var(axis=1, ddof=1).sum()) / examples
    rest = scores - by_seed[:, :, None] - by_example[:, None, :]
    rest += scores.mean(axis=(1, 2), keepdims=True)
    both = float((rest**2).sum()) / ((seeds - 1) * (examples - 1) * seeds * examples)
    return counted, max(1 - both / counted, LEAST_ONCE) if counted else 1.0


def _shrunk(
    scores: Scores, apart: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means and draws of configurations that may all be the same, drawn towards each other.

    What is common to all stays, the interaction counted twice, as a margin for not knowing how much
    the configurations differ. Of the rest, the part is kept that is not noise: the squares of the
    differences are as large as the configurations' own spread and the noise together.

    Args:
        scores: (configurations, seeds, examples), of three configurations at least.
        apart: (draws, configurations), the draws' deviations.
    """
    paired = scores - scores.mean(axis=0)
    own = paired.mean(axis=(1, 2))
    counted, once = _noise(paired)
    between = float((own**2).sum())
    kept = max(1 - once * counted / between, LEAST_KEPT) if between else LEAST_KEPT
    common = apart.mean(axis=1, keepdims=True)
    means = float(scores.mean()) + kept * own
    return means, means + common + math.sqrt(kept * once) * (apart - common)
