"""How far does an axis go, and on which scale? So that a few outliers do not flatten the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

FAR = 10.0
"""Times the median: a positive value beyond it puts the axis on a log scale."""
FENCE = 3.0
"""Distances of the quartiles, beyond the upper and the lower one: what lies there is an outlier."""


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis."""

    low: float
    high: float
    log: bool = False
    cut: str = ""
    """Where the axis ends before the values do, if so; for its label."""

    @property
    def label(self) -> str:
        """What the axis' label says beside its quantity."""
        return (", log scale" if self.log else "") + (f", {self.cut}" if self.cut else "")


def shares(values: Numbers) -> bool:
    """Whether all lie between 0 and 1: accuracies of a training of one's own may be percents."""
    found = values[np.isfinite(values)]
    return bool(((found >= 0) & (found <= 1)).all())


def accuracies(values: Numbers) -> Scale:
    """The accuracies there are with some room around them, within 0 and 1."""
    found = values[np.isfinite(values)]
    if not found.size:
        return Scale(0.0, 1.02)
    low, high = float(found.min()), float(found.max())
    margin = max(0.06 * (high - low), 0.02)
    return Scale(max(low - margin, -0.01), min(high + margin, 1.01))


def numbers(values: Numbers, floor: float | None = None) -> Scale:
    """An axis for losses or other numbers; what is infinite or no number does not count.

    It ends before outliers: values beyond the quartiles by ``FENCE`` times their distance (Tukey
    1977), and at least ``FAR`` times the upper one; where all are positive, their logarithms are
    judged. It is linear, or a log scale where a positive value still lies beyond ``FAR`` medians.

    Args:
        values: What is to be seen, of any shape.
        floor: Where a linear axis begins at the latest; the lowest value itself where not given.
    """
    found = values[np.isfinite(values)]
    if not found.size:
        return Scale(floor or 0.0, 1.0)
    inside = found[_within(found)]
    low, high, middle = float(inside.min()), float(inside.max()), float(np.median(inside))
    cut = _cut((low, float(found.min())), (high, float(found.max())))
    if low > 0 and high > FAR * middle:
        return Scale(low / 1.25, high * 1.25, True, cut)
    if floor is not None:
        low = min(low, floor)
    margin = 0.05 * (high - low) or 0.1 * abs(high) or 0.5
    return Scale(low - (0.0 if low == floor else margin), high + margin, cut=cut)


def _within(found: Numbers) -> NDArray[np.bool_]:
    """Which values are no outliers."""
    logs = bool((found > 0).all())
    judged = np.log(found) if logs else found
    lower, upper = np.quantile(judged, [0.25, 0.75])
    fence = FENCE * (upper - lower)
    if logs:
        fence = max(fence, np.log(FAR))
    elif fence == 0:
        return np.ones(found.shape, dtype=np.bool_)
    within: NDArray[np.bool_] = (judged >= lower - fence) & (judged <= upper + fence)
    return within


def _cut(*ends: tuple[float, float]) -> str:
    """Of ends of an axis beside those of the values: which ones differ."""
    cuts = [f"{end:.2g}" if abs(end) < 100 else f"{end:,.0f}" for end, of in ends if end != of]
    return f"cut at {' and '.join(cuts)}" if cuts else ""
