"""Where does a trial lie at the end of a range, and which range would be the next to try?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from hpsearch.search.narrowing import BEYOND
from hpsearch.search.rounds import valid
from hpsearch.study.config import Params, Range, Space, Study, Value
from hpsearch.study.rounds import EPOCHS

EDGE = 0.1
"""A value within this share of a range's width lies at its end."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A value at the end of its range."""

    path: str
    value: float
    low: bool
    """Whether it is the lower end."""
    searched: Range
    wider: Range
    """What to try: a decade more where the range has a log scale, else half as much again."""


def edges(
    study: Study, space: Space, params: Params, front: Iterable[Params] = ()
) -> Iterator[Edge]:
    """Where a trial lies within a tenth of the end of a range that could be wider.

    Args:
        study: The study.
        space: What was searched; with rounds, by all of them.
        params: The trial's.
        front: Of several objectives, those of the whole front. One objective or the other is the
            best at the end of many a range; a wider one is worth a try where all of them lie there.
    """
    others = list(front)
    for path, open_ in space.items():
        if not isinstance(open_, Range) or open_.low == open_.high or path not in params:
            continue
        if path in (EPOCHS, "training.seed"):
            continue
        ends = {_end(open_, one[path]) for one in (params, *others) if path in one}
        if ends not in ({-1}, {1}):
            continue
        low = ends == {-1}
        wider = _lower(open_) if low else _higher(open_)
        grows = wider.low < open_.low if low else wider.high > open_.high
        if grows and valid(study, path, wider):
            yield Edge(path, float(str(params[path])), low, open_, wider)


def _end(open_: Range, value: Value) -> int:
    """At which end of a range a value lies: -1 at the low one, 1 at the high one, 0 at none."""
    low, high, at = (
        math.log(each) if open_.log else float(each)
        for each in (open_.low, open_.high, float(str(value)))
    )
    place = (at - low) / (high - low)
    return -1 if place <= EDGE else int(place >= 1 - EDGE)


def _lower(open_: Range) -> Range:
    if open_.log:
        low = open_.low / 10
    else:
        low = open_.low - _further(open_)
        low = max(low, 0) if open_.low >= 0 else low
    low = max(1, math.floor(low)) if _counts(open_) else _typed(open_, low)
    return replace(open_, low=low, high=_typed(open_, open_.high))


def _higher(open_: Range) -> Range:
    high = open_.high * 10 if open_.log else open_.high + _further(open_)
    return replace(open_, low=_typed(open_, open_.low), high=_typed(open_, high))


def _further(open_: Range) -> float:
    """How much further: half of the width, in whole steps."""
    step = open_.step or (1 if isinstance(open_.low, int) else None)
    half = BEYOND * (open_.high - open_.low)
    return half if step is None else math.ceil(half / step) * step


def _counts(open_: Range) -> bool:
    """Whether it is of whole numbers on a log scale, which begins at 1."""
    return open_.log and isinstance(open_.low, int)


def _typed(open_: Range, end: float) -> int | float:
    # A decade below 1e-6 is 1e-07 and not 9.999999999999999e-08.
    return round(end) if isinstance(open_.low, int) else float(f"{end:.12g}")
