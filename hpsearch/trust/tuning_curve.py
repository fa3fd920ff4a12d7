"""What would fewer trials have found, and what are more worth?

For searches that look at no history, each trial is a draw from one distribution; so the best of any
k of the n trials is one the search might have ended with. This module knows neither stores nor
studies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TuningCurve:
    """The best value after 1 … n trials, an entry each."""

    expected: NDArray[np.float64]
    low: NDArray[np.float64]
    """The 0.05 quantile."""
    high: NDArray[np.float64]
    """The 0.95 quantile."""

    @property
    def doubling(self) -> float:
        """What the second half of the trials was worth: the gain from n / 2 trials to n."""
        n = len(self.expected)
        return float(abs(self.expected[-1] - self.expected[(n + 1) // 2 - 1]))


def tuning_curve(values: NDArray[np.float64], *, maximize: bool) -> TuningCurve:
    """The expected best of k trials, without bias, for every k up to their number.

    The mean over all subsets of k values of their best (Tang, Lee, Xin, Liu, Yu and Lin, "Showing
    your work doesn't always work", ACL 2020, section 4: unlike draws with replacement, it has no
    bias). Of n ordered values the i-th is the best of a subset in C(i - 1, k - 1) of C(n, k) cases.

    Args:
        values: (n,), the trials' values in any order. A trial that was stopped early stands with
            the worst value, or is left out and so never drawn.
        maximize: Whether a larger value is better.

    Raises:
        ValueError: If there is none, or one is not finite.
    """
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError("a tuning curve needs at least one value, all of them finite")
    ordered = np.sort(values if maximize else -values)
    n = len(ordered)
    expected, low, high = (np.empty(n) for _ in range(3))
    # up_to[i]: the share of subsets of k that lie within the i + 1 lowest: C(i + 1, k) / C(n, k).
    up_to = np.arange(1, n + 1) / n
    for k in range(1, n + 1):
        expected[k - 1] = np.diff(up_to, prepend=0.0) @ ordered
        low[k - 1] = ordered[int(np.searchsorted(up_to, 0.05))]
        high[k - 1] = ordered[min(int(np.searchsorted(up_to, 0.95)), n - 1)]
        if k < n:  # C(i, k + 1) / C(n, k + 1) = C(i, k) / C(n, k) * (i - k) / (n - k)
            up_to = up_to * np.clip(np.arange(1, n + 1) - k, 0, None) / (n - k)
    if not maximize:
        expected, low, high = -expected, -high, -low
    return TuningCurve(expected, low, high)
