"""Which ranges does the next round search?

The last step of the book's procedure (6.5.2): look at the trials that came out best, and narrow the
ranges to where they lie. A pure function of the ranges and the trials.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from hpsearch.study.conditions import possible
from hpsearch.study.config import Choices, Params, Range, Space, Value, same

PARTS = 5
"""Equal parts of a range, of which those that have lost are not looked at."""
BEST = 0.1
"""The share of the trials that narrowing goes by, three trials at least."""
MARGIN = 0.25
"""What is added on each side of where the best lie, as a share of their span."""
LEAST = 0.1
"""A range keeps this share of its width at least."""
EDGE = 1 / PARTS
"""The best sit on an edge when their median lies within this share of the range's width."""
BEYOND = 0.5
"""How far a range grows past such an edge, as a share of its width; a decade at most."""
CLEARLY = 0.05
"""The level at which a choice, or a part of a range, has lost."""

Tried = tuple[Params, float]
"""What a COMPLETE trial tried, and its value."""


def narrowed(
    space: Space, tried: Iterable[Tried], *, maximize: bool, limits: Mapping[str, Range]
) -> Space:
    """The ranges of the next round.

    A numeric range becomes what the best trials span, with a margin, and never less than a tenth of
    what it was. It grows past an end that the best sit on, within its limits. A trial in a part of
    a range that did clearly worse than another part is not among the best, since it only had luck:
    after a brief training, most of what a range holds is as bad as guessing, and the best of many
    guesses lie anywhere. A choice goes when its trials were clearly worse than those of the choice
    that did best. A condition no longer names what does not occur any more, and what could have no
    value then is left out.

    Args:
        space: The ranges of the round before.
        tried: Its COMPLETE trials.
        maximize: Whether a larger value is better.
        limits: How far each numeric range may grow, by path; one without a limit never grows.
    """
    ranked = sorted(tried, key=lambda each: -each[1] if maximize else each[1])
    if len(ranked) < 3:
        return dict(space)
    best = _unbeaten(space, ranked)[: max(3, math.ceil(BEST * len(ranked)))]
    narrower: dict[str, Range | Choices] = {}
    for path, open_ in space.items():
        had = [params[path] for params in best if path in params]
        if isinstance(open_, Choices):
            narrower[path] = _fewer(path, open_, ranked)
        else:
            narrower[path] = _closer(open_, had, limits.get(path, open_)) if had else open_
    return possible(narrower)


def _unbeaten(space: Space, ranked: Sequence[Tried]) -> list[Params]:
    """What is tried in no part of a range that has lost, the best first; of too few, all."""
    out: set[int] = set()
    for path, open_ in space.items():
        if isinstance(open_, Range):
            groups: list[list[int]] = [[] for _ in range(PARTS)]
            for place, (params, _) in enumerate(ranked):
                if path in params:
                    groups[_part(open_, params[path])].append(place)
            out.update(place for number in _lost(groups) for place in groups[number])
    still = [params for place, (params, _) in enumerate(ranked) if place not in out]
    return still if len(still) >= 3 else [params for params, _ in ranked]


def _part(open_: Range, value: Value) -> int:
    """The part of a range that a value lies in, from 0 on."""
    assert not isinstance(value, list | str)
    low, high = _scale(open_, open_.low), _scale(open_, open_.high)
    if low == high:
        return 0
    return min(int(PARTS * (_scale(open_, float(value)) - low) / (high - low)), PARTS - 1)


def _closer(open_: Range, best: Sequence[Value], limit: Range) -> Range:
    """The range around the best values; all is reckoned on its own scale, a logarithm's for log."""
    low, high = _scale(open_, open_.low), _scale(open_, open_.high)
    width = high - low
    if width == 0:
        return open_
    at = sorted(_scale(open_, float(value)) for value in best if not isinstance(value, list | str))
    middle = at[len(at) // 2]
    spread = max(at[-1] - at[0], 0.0)
    below, above = at[0] - MARGIN * spread, at[-1] + MARGIN * spread
    short = LEAST * width - (above - below)
    if short > 0:
        below, above = below - short / 2, above + short / 2
    below, above = max(below, low), min(above, high)
    grow = min(BEYOND * width, math.log(10)) if open_.log else BEYOND * width
    if middle <= low + EDGE * width:
        below = max(low - grow, _scale(open_, limit.low))
    if middle >= high - EDGE * width:
        above = min(high + grow, _scale(open_, limit.high))
    return _range(open_, below, above, limit)


def _range(open_: Range, below: float, above: float, limit: Range) -> Range:
    """The range from one point of the scale to another, on the old range's steps."""
    low, high = (math.exp(x) if open_.log else x for x in (below, above))
    step = open_.step or (1 if isinstance(open_.low, int) else None)
    if step is not None:
        low = open_.low + math.floor((low - open_.low) / step + 1e-9) * step
        high = open_.low + math.ceil((high - open_.low) / step - 1e-9) * step
    # Rounding on the way through the logarithm must not carry an end past what is allowed.
    low, high = max(low, limit.low), min(high, limit.high)
    if isinstance(open_.low, int):
        return Range(round(low), round(high), open_.log, open_.step, open_.when)
    return Range(float(low), float(high), open_.log, open_.step, open_.when)


def _fewer(path: str, open_: Choices, ranked: Sequence[Tried]) -> Choices:
    """The choices that have not clearly lost."""
    groups = [
        [
            place
            for place, (params, _) in enumerate(ranked)
            if path in params and same(params[path], choice)
        ]
        for choice in open_.choices
    ]
    lost = _lost(groups)
    left = (choice for number, choice in enumerate(open_.choices) if number not in lost)
    return Choices(tuple(left), open_.when)


def _lost(groups: Sequence[Sequence[int]]) -> set[int]:
    """The groups of trials that are clearly worse than another one.

    Each is held against the one with the best median by a one-sided rank test (Mann and Whitney,
    Annals of Mathematical Statistics 18, 1947), its level divided by the number of comparisons.

    Args:
        groups: The places of each group's trials among all, from the best on.
    """
    from scipy.stats import mannwhitneyu

    seen = [number for number, places in enumerate(groups) if places]
    if len(seen) < 2:
        return set()
    leader = min(seen, key=lambda number: (groups[number][len(groups[number]) // 2], number))
    level = CLEARLY / (len(seen) - 1)

    def lost(number: int) -> bool:
        test = mannwhitneyu(groups[number], groups[leader], alternative="greater")
        return bool(test.pvalue < level)

    return {number for number in seen if number != leader and lost(number)}


def _scale(open_: Range, value: float) -> float:
    return math.log(value) if open_.log else float(value)
