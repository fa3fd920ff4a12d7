"""Does a point lie in what is searched? ``enqueue``, ``history`` and ``given`` have points."""

from __future__ import annotations

from typing import Any

from hpsearch.errors import StudyFileError
from hpsearch.study.conditions import needed
from hpsearch.study.config import flat
from hpsearch.study.given import GivenConfig
from hpsearch.study.section import Value
from hpsearch.study.space import Choices, Range, Space
from hpsearch.study.spelling import inline
from hpsearch.study.words import nearest, show
from hpsearch.text import short


def checked_given(space: Space, given: GivenConfig) -> GivenConfig:
    """The same with each value as its place has it."""
    configurations = []
    for index, one in enumerate(given.configurations):
        point = read_full_point(space, f"given.configurations[{index}].values", one.values)
        configurations.append(one.model_copy(update={"values": point}))
    return given.model_copy(update={"configurations": configurations})


def read_full_point(space: Space, where: str, raw: dict[str, Any]) -> dict[str, Value]:
    """A point that says all that a trial there has."""
    point = read_point(space, where, raw)
    for path in sorted(needed(space, point) - point.keys()):
        raise StudyFileError(f"{where}: {path} is missing")
    return point


def read_point(space: Space, where: str, raw: dict[str, Any]) -> dict[str, Value]:
    """One point of the space, its paths dotted (``{training = {lr = 1}}`` says the same)."""
    point = dict(flat(raw))
    for path, value in point.items():
        if path not in space:
            hint = nearest(path, list(space))
            raise StudyFileError(f"{where}: {short(path)} is not searched{hint}")
        open_ = space[path]
        meant = open_.meant(value) if isinstance(open_, Choices) else value
        if meant is None or meant not in open_:
            raise StudyFileError(
                f"{where}: {path} = {show(value)} is not in {short(inline(open_.table()), 200)}"
            )
        real = isinstance(open_, Range) and isinstance(open_.low, float)
        point[path] = float(value) if real else meant
    for path in sorted(point.keys() - needed(space, point)):
        raise StudyFileError(
            f"{where}: {path} has a value only under its condition; "
            f"name what that asks for as well, or leave it out"
        )
    return point
