"""How much of a best value is luck, where only the values are known?

The best of many trials is best partly because its validation examples suited it. Where a value is a
share of examples that were right, the noise of each value is known, and so is what the values
would look like without it. This module knows neither stores nor studies.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_GRID = 200  # truths between 0 and 1 that are thought possible
_STEPS = 20  # of expectation maximization; more would take a lone best value for the truth


def luck(values: NDArray[np.float64], examples: int) -> float:
    """What the highest of many shares is to be expected to lose on other examples.

    The trials' true shares are taken as draws from one distribution, which is estimated from all
    values without an assumption about its form: the nonparametric maximum likelihood estimate of a
    mixing distribution (Kiefer and Wolfowitz, "Consistency of the maximum likelihood estimator in
    the presence of infinitely many incidental parameters", Annals of Mathematical Statistics 27,
    1956; here by expectation maximization on a grid). The expected truth of the best trial, given
    its value, then needs no further correction for the choice (Efron, "Tweedie's formula and
    selection bias", Journal of the American Statistical Association 106, 2011).

    Args:
        values: (n,), the trials' shares of right examples, 0 to 1.
        examples: How many each was measured on.

    Raises:
        ValueError: If there is no value, or one is no share.
    """
    from scipy.stats import binom

    if examples < 1 or not len(values) or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("luck is estimated for shares of at least one example")
    right, counts = np.unique(np.rint(values * examples).astype(np.int64), return_counts=True)
    truths = (np.arange(_GRID) + 0.5) / _GRID
    likelihood = binom.pmf(right[:, None], examples, truths)
    weights = np.full(_GRID, 1 / _GRID)
    for _ in range(_STEPS):
        share = likelihood * weights
        share /= share.sum(axis=1, keepdims=True)
        weights = counts @ share / counts.sum()
    best = likelihood[-1] * weights
    return float(values.max() - best @ truths / best.sum())


def most(values: NDArray[np.float64]) -> float:
    """What the highest of the values can owe to luck at most.

    If no trial were better than another, the highest of n values would lie E[max] standard
    deviations above their mean: the expected largest of n standard normal draws (Blom,
    "Statistical Estimates and Transformed Beta-Variables", 1958: the quantile at
    (n - 0.375) / (n + 0.25)).

    Args:
        values: (n,), two at least.
    """
    from scipy.stats import norm

    n = len(values)
    if n < 2:
        raise ValueError("the spread of fewer than two values is not known")
    expected = float(norm.ppf((n - 0.375) / (n + 0.25))) * float(values.std(ddof=1))
    lead = float(values.max() - np.median(values))
    return expected if math.isfinite(expected) and expected < lead else lead
