"""Which open places have a value? One with ``when`` has none in a trial where that does not hold.

A place whose condition names another stands behind it. So a trial's values can be chosen one after
the other, and it is known of each place in turn whether it has one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from hpsearch.errors import StudyFileError
from hpsearch.study.section import Params, Value
from hpsearch.study.space import Choices, Range, Space, When, grid, same, steps
from hpsearch.study.words import nearest, show
from hpsearch.text import short

LARGEST_GRID = 100_000
"""Points; more than that no study visits, and the list of them would not fit into memory."""


def conditional(space: Space) -> bool:
    """Whether some place has a value in some trials only."""
    return any(open_.when for open_ in space.values())


def holds(when: When, params: Params) -> bool:
    """Whether a condition is met by the values that a trial has."""
    return all(
        path in params and any(same(params[path], value) for value in values)
        for path, values in when
    )


def needed(space: Space, params: Params) -> set[str]:
    """The places that have a value beside these of the same trial."""
    return {path for path, open_ in space.items() if holds(open_.when, params)}


def filled(space: Space, params: Params) -> bool:
    """Whether a trial has all its values; one that failed early may have none."""
    return params.keys() >= needed(space, params)


def order(space: Space) -> list[str]:
    """The places, each behind those that its condition names.

    Raises:
        StudyFileError: If conditions go round.
    """
    above = {path: [place for place, _ in open_.when] for path, open_ in space.items()}
    try:
        return list(TopologicalSorter(above).static_order())
    except CycleError as error:
        around = error.args[1]
        shown = short(" -> ".join(around), 300)
        raise StudyFileError(f"{around[0]}.when: conditions form a cycle: {shown}") from None


def points(space: Space) -> list[Params]:
    """What a grid visits: each combination of values that a trial can have, once.

    Raises:
        StudyFileError: If they are too many, or a range has no steps.
    """
    for path, open_ in space.items():
        _bound(steps(path, open_), f"{path} alone makes {steps(path, open_)}")
    found: list[dict[str, Value]] = [{}]
    for path in order(space):
        open_ = space[path]
        values, longer = grid(path, open_), []
        for params in found:
            if holds(open_.when, params):
                longer += [{**params, path: value} for value in values]
            else:
                longer.append(params)
            _bound(len(longer), f"the grid has more than {LARGEST_GRID}")
        found = longer
    return list(found)


def grid_size(space: Space) -> int:
    """How many points a grid visits.

    Raises:
        StudyFileError: If they are too many, or a range has no steps.
    """
    if conditional(space):
        return len(points(space))
    size = math.prod(steps(path, open_) for path, open_ in space.items())
    _bound(size, f"the grid has {size}")
    return size


def _bound(size: int, said: str) -> None:
    if size > LARGEST_GRID:
        raise StudyFileError(
            f"search.sampler: {said} points, and the maximum is {LARGEST_GRID}; "
            f"use wider steps, or the random sampler"
        )


def read(path: str, table: Mapping[str, Any]) -> When:
    """The condition in the table of an open place; what it names is looked at by ``checked``.

    Raises:
        StudyFileError: If it is no table of lists.
    """
    if "when" not in table:
        return ()
    when = table["when"]
    example = '{ "training.optimizer" = ["momentum"] }'
    if not isinstance(when, dict) or not when:
        raise StudyFileError(f"{path}.when: must be a table such as {example}")
    found = []
    for place, values in _flat(when):
        if not isinstance(values, list) or not values:
            raise StudyFileError(
                f"{path}.when: {short(place)} must be a list of values, as in {example}"
            )
        found.append((place, tuple(values)))
    return tuple(sorted(found))


def checked(space: Space) -> dict[str, Range | Choices]:
    """The space with each value in a condition as its place has it.

    Raises:
        StudyFileError: If a condition names what is not searched or never occurs, or they go round.
    """
    found = {}
    for path, open_ in space.items():
        when = tuple((place, _values(path, place, values, space)) for place, values in open_.when)
        found[path] = with_when(open_, when)
    order(found)
    return found


def with_when(open_: Range | Choices, when: When) -> Range | Choices:
    """The same place under another condition."""
    if isinstance(open_, Choices):
        return Choices(open_.choices, when)
    return Range(open_.low, open_.high, open_.log, open_.step, when)


def possible(space: Space) -> dict[str, Range | Choices]:
    """The space where its conditions name only what still occurs: a place that never does goes."""
    kept: dict[str, Range | Choices] = {}
    for path in order(space):
        when = tuple(
            (place, tuple(value for value in values if place in kept and value in kept[place]))
            for place, values in space[path].when
        )
        if all(values for _, values in when):
            kept[path] = with_when(space[path], when)
    return {path: kept[path] for path in space if path in kept}


def _values(path: str, place: str, values: tuple[Value, ...], space: Space) -> tuple[Value, ...]:
    if place not in space:
        raise StudyFileError(
            f"{path}.when: {short(place)} is not searched{nearest(place, list(space))}"
        )
    parent = space[place]
    if isinstance(parent, Range) and not isinstance(parent.low, int):
        raise StudyFileError(
            f"{path}.when: {place} is a range of real numbers; name choices or whole numbers"
        )
    found = []
    for value in values:
        meant = parent.meant(value) if isinstance(parent, Choices) else value
        if meant is None or meant not in parent:
            raise StudyFileError(f"{path}.when: {place} is never {show(value)}")
        found.append(meant)
    return tuple(found)


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
