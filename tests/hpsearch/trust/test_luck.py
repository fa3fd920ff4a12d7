"""How much of a best value is luck, held against simulations in which the truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist, stdev

import numpy as np
import pytest
from numpy.typing import NDArray

from hpsearch.trust.luck import luck, most

Truths = Callable[[np.random.Generator, int], NDArray[np.float64]]
SPACES: dict[str, Truths] = {
    "alike": lambda rng, n: np.full(n, 0.8),
    "near": lambda rng, n: rng.normal(0.8, 0.03, n),
    "apart": lambda rng, n: rng.normal(0.7, 0.1, n).clip(0, 1),
    "half of them fail": lambda rng, n: np.where(
        rng.random(n) < 0.6, 0.1, rng.normal(0.8, 0.03, n)
    ),
}


@pytest.mark.parametrize("trials", [20, 100])
@pytest.mark.parametrize("space", SPACES)
def test_it_is_about_what_it_is(space: str, trials: int) -> None:
    """Over 200 searches with known truth, its mean is within 30 % or 0.01 of the true one."""
    rng = np.random.default_rng(0)
    true, told = [], []
    for _ in range(200):
        truths = SPACES[space](rng, trials)
        values = rng.binomial(100, truths.clip(0, 1)) / 100
        best = values.argmax()
        true.append(values[best] - truths[best])
        told.append(luck(values, 100))
    assert np.mean(told) == pytest.approx(np.mean(true), rel=0.3, abs=0.01)


def test_by_hand() -> None:
    """Twenty steps of expectation maximization over 200 truths, written plainly."""
    values, n = [0.5, 0.7, 0.7, 0.9], 10
    truths = [(place + 0.5) / 200 for place in range(200)]

    def chance(right: int, truth: float) -> float:
        return math.comb(n, right) * truth**right * (1 - truth) ** (n - right)

    def shares(right: int, weights: list[float]) -> list[float]:
        joint = [chance(right, t) * w for t, w in zip(truths, weights, strict=True)]
        return [each / sum(joint) for each in joint]

    weights = [1 / 200] * 200
    for _ in range(20):
        parts = [shares(round(value * n), weights) for value in values]
        weights = [sum(column) / len(values) for column in zip(*parts, strict=True)]
    expected = sum(s * t for s, t in zip(shares(9, weights), truths, strict=True))
    assert luck(np.array(values), n) == pytest.approx(0.9 - expected, rel=1e-9)


def test_more_examples_are_less_luck() -> None:
    """The same values on more examples owe less to chance."""
    values = np.round(np.random.default_rng(0).normal(0.8, 0.05, 50), 2)
    found = [luck(values, examples) for examples in (50, 500, 5000)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 5 * found[2]


@pytest.mark.parametrize(
    ("values", "examples"), [([], 10), ([0.5, 1.5], 10), ([0.5, np.nan], 10), ([0.5, 0.6], 0)]
)
def test_what_is_no_share(values: list[float], examples: int) -> None:
    """Only shares of examples have a noise that is known."""
    with pytest.raises(ValueError, match="for shares of at least one example"):
        luck(np.array(values), examples)


def test_the_most_that_luck_can_be() -> None:
    """What the best of so many equal trials leads by, and never more than it does lead by."""
    rng = np.random.default_rng(0)
    searches = rng.normal(0, 1, (2000, 50))
    leads = searches.max(axis=1) - np.median(searches, axis=1)
    told = np.array([most(values) for values in searches])
    assert (told <= leads).all()
    assert told.mean() == pytest.approx(leads.mean(), rel=0.1)
    assert most(np.array([0.1, 0.1, 0.1, 0.1])) == 0.0
    values = [0.0, 0.0, 1.0, 2.0, 9.0]
    blom = NormalDist().inv_cdf((5 - 0.375) / (5 + 0.25)) * stdev(values)
    assert most(np.array(values)) == pytest.approx(blom)
    assert blom < 8.0
    assert most(np.array([-1.0, -1.0, -1.0, 0.1, 0.1])) == pytest.approx(
        NormalDist().inv_cdf(4.625 / 5.25) * stdev([-1.0, -1.0, -1.0, 0.1, 0.1])
    )
    assert most(np.array([0.0, 1.0])) == pytest.approx(min(0.5, 0.5895 * 0.7071), rel=1e-3)
    with pytest.raises(ValueError, match="fewer than two"):
        most(np.array([1.0]))
