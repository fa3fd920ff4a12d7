"""How does a figure stand to its goal, and was the machine idle while it was measured?"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median, quantiles

UNSTEADY = 0.1
"""How much of the median the middle half of the times may spread on an idle machine."""


def against(figure: float, goal: float, *, least: bool = False) -> str:
    """The goal, and whether the figure keeps it: is at most that, or at least."""
    kept = figure >= goal if least else figure <= goal
    return f"goal {'≥' if least else '≤'} {goal:g}: {'kept' if kept else 'MISSED'}"


def unsteady(times: Sequence[float]) -> str:
    """A warning, if the times differ as they do beside other work; else nothing."""
    if len(times) < 2:
        return "measured once"
    first, _, third = quantiles(times, n=4, method="inclusive")
    if third - first <= UNSTEADY * median(times):
        return ""
    return f"half of the times lie between {first:.3g} and {third:.3g}: the machine was not idle"
