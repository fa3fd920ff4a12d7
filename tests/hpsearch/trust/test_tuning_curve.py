"""The expected best of k trials, held against all subsets."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from hpsearch.trust.tuning_curve import tuning_curve


@pytest.mark.parametrize("maximize", [True, False])
def test_expected_best_is_the_mean_over_subsets(maximize: bool) -> None:
    """For every k it is the mean of the best over all subsets of k."""
    values = np.random.default_rng(0).normal(size=7)
    best = max if maximize else min
    expected = [np.mean([best(subset) for subset in combinations(values, k)]) for k in range(1, 8)]
    assert pytest.approx(expected) == tuning_curve(values, maximize=maximize).expected


def test_bands_enclose_and_close() -> None:
    """The bands lie around the expected best, and all three end at the best of all."""
    values = np.random.default_rng(1).normal(size=60)
    curve = tuning_curve(values, maximize=True)
    assert (curve.low <= curve.high).all()
    assert (curve.low < curve.expected)[:30].all()
    assert (curve.expected < curve.high)[:30].all()
    assert pytest.approx(values.max()) == curve.low[-1] == curve.expected[-1] == curve.high[-1]


def test_quantiles_are_those_of_the_subsets() -> None:
    """The 0.05 and 0.95 quantiles of the best of four, by counting all subsets."""
    values = np.random.default_rng(2).normal(size=12)
    bests = sorted(max(subset) for subset in combinations(values, 4))
    curve = tuning_curve(values, maximize=True)
    count = len(bests)
    assert bests[int(np.ceil(0.05 * count)) - 1] == curve.low[3]
    assert bests[int(np.ceil(0.95 * count)) - 1] == curve.high[3]


def test_doubling() -> None:
    """What the second half of the trials was worth."""
    curve = tuning_curve(np.array([0.0, 0.0, 0.0, 1.0]), maximize=True)
    assert pytest.approx(0.5) == curve.doubling


def test_thousands_of_trials() -> None:
    """A long study's curve stays finite and never falls."""
    curve = tuning_curve(np.random.default_rng(3).normal(size=3000), maximize=True)
    assert np.isfinite(curve.expected).all()
    assert (np.diff(curve.expected) >= -1e-12).all()


def test_nothing_is_refused() -> None:
    """No value, or one that is not finite, has no curve."""
    for values in (np.array([]), np.array([1.0, np.nan])):
        with pytest.raises(ValueError, match="finite"):
            tuning_curve(values, maximize=True)
