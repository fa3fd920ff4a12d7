"""Which points has a space of choices, whole numbers and steps alone?"""

from __future__ import annotations

import math

from hpsearch.study.conditions import conditional, holds, order
from hpsearch.study.section import Params, Value
from hpsearch.study.space import Choices, Range, Space

MOST = 10_000
"""Points that are counted; a larger space is never used up."""


def size(space: Space) -> int | None:
    """How many points there are; None as in ``points``."""
    if conditional(space):
        found = points(space)
        return None if found is None else len(found)
    many = 1
    for open_ in space.values():
        values = _values(open_)
        many *= MOST + 1 if values is None else len(values)
    return many if many <= MOST else None


def points(space: Space) -> list[Params] | None:
    """Every combination of values that a trial can have, once.

    None where there are more than ``MOST``, or where real numbers are among the values.
    """
    found: list[dict[str, Value]] = [{}]
    for path in order(space):
        values = _values(space[path])
        if values is None:
            return None
        longer: list[dict[str, Value]] = []
        for params in found:
            if not holds(space[path].when, params):
                longer.append(params)
                continue
            if len(longer) + len(values) > MOST:
                return None
            longer += [{**params, path: value} for value in values]
        found = longer
    return [{path: params[path] for path in space if path in params} for params in found]


def _values(open_: Range | Choices) -> list[Value] | None:
    if isinstance(open_, Choices):
        return list(open_.choices)
    step = open_.step or (1 if isinstance(open_.low, int) else None)
    if step is None:
        return None
    many = math.floor((open_.high - open_.low) / step + 1e-9) + 1
    if many > MOST:
        return None
    # Rounding may carry the last step a bit beyond the end.
    return [min(open_.low + index * step, open_.high) for index in range(many)]
