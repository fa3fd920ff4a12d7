"""How much of the best value is luck?

The best of many trials is best partly because its validation examples suited it. What each trial
scored on each example tells how much: choose on some of the examples, and score on the others.
This module knows neither stores nor studies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
Z95 = 1.959963984540054
"""The 0.975 quantile of the standard normal distribution."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    def within(self, least: float, most: float) -> Estimate:
        """The same, without what no value can be: an accuracy lies between 0 and 1."""
        return Estimate(*(min(max(one, least), most) for one in (self.value, self.low, self.high)))


def corrected(
    outcomes: NDArray[Any],
    *,
    maximize: bool,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """The value that the best trial is to be expected to have on examples not chosen by.

    Bootstrap bias correction (Tsamardinos, Greasidou and Borboudakis, "Bootstrapping the
    out-of-sample predictions for efficient and accurate cross-validation", Machine Learning 107,
    2018, Algorithm 2): draw the examples with replacement, choose the trial that is best on those
    drawn, score it on those left out; the mean over all draws. It corrects for the last choice
    among these trials. It cannot correct for a search that was led by the same examples.

    The mean of one trial's score on the examples left out is its value, over all possible draws. So
    of each draw, only by how much the chosen trial differs there from the best one is taken, and
    added to the value of that: a control variate, which takes away most of the draws' noise, and
    all of it where every draw chooses the same trial.

    The interval is Wilson's at that mean where each example is right or wrong, since the percentile
    interval of the draws is too wide. Elsewhere it is the normal interval of a mean, with the
    spread of the chosen trial's scores.

    Args:
        outcomes: (trials, examples), what each trial scored on each example: right or wrong, or a
            loss. Their mean over the examples is the trial's value.
        maximize: Whether a larger mean is better.
        seed: Of the draws: the same seed gives the same estimate.
        resamples: Number of draws.

    Raises:
        ValueError: If there is no trial, or fewer than two examples, or a score is not finite.
    """
    trials, examples = outcomes.shape
    if trials < 1 or examples < 2:
        raise ValueError("a correction needs at least one trial and two examples")
    binary = outcomes.dtype == np.bool_
    scores = outcomes.astype(np.float64)
    if not np.isfinite(scores).all():
        raise ValueError("every score must be finite")
    sign = 1.0 if maximize else -1.0
    best = scores[int((sign * scores.mean(axis=1)).argmax())]
    rng = np.random.default_rng(seed)
    total = 0.0
    counted = 0
    while counted < resamples:
        drawn = _draws(rng, min(100, resamples - counted), examples)
        chosen = (sign * (drawn @ scores.T)).argmax(axis=1)  # the first of equals
        left_out = drawn == 0
        there = left_out.any(axis=1)  # with two examples one draw may take both
        gaps = ((scores[chosen] - best) * left_out).sum(axis=1)[there]
        total += float((gaps / left_out.sum(axis=1)[there]).sum())
        counted += int(there.sum())
    value = float(best.mean()) + total / counted
    if binary:
        return wilson(min(max(value, 0.0), 1.0), examples)
    half = Z95 * float(best.std(ddof=1)) / math.sqrt(examples)
    return Estimate(value, value - half, value + half)


def wilson(share: float, examples: int) -> Estimate:
    """The 95 % interval of a share of right examples.

    Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22, 1927.

    Args:
        share: Of the examples that were right, 0 to 1.
        examples: How many there were.
    """
    if not 0 <= share <= 1 or examples < 1:
        raise ValueError("a share lies between 0 and 1, of at least one example")
    z2 = Z95**2
    middle = (share + z2 / (2 * examples)) / (1 + z2 / examples)
    spread = math.sqrt(share * (1 - share) / examples + z2 / (4 * examples**2))
    half = Z95 * spread / (1 + z2 / examples)
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half))


def _draws(rng: np.random.Generator, number: int, examples: int) -> NDArray[np.float64]:
    """(number, examples): how often each draw with replacement took each example."""
    taken = rng.integers(0, examples, size=(number, examples))
    offset = taken + examples * np.arange(number)[:, None]
    counts = np.bincount(offset.ravel(), minlength=number * examples)
    return counts.reshape(number, examples).astype(np.float64)
