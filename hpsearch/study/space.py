"""What is an open place? A range or choices, and the condition under which it has a value."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpsearch.errors import StudyFileError
from hpsearch.study.section import Value

LARGEST = 1e300
"""Of a range's ends: what is computed with them stays finite."""
MOST_STEPS = 2**53
"""Of a range: real numbers cannot tell more of them apart."""

When = tuple[tuple[str, tuple[Value, ...]], ...]
"""A condition: each of these open places has one of these values. Without any, it always holds."""


@dataclass(frozen=True, slots=True)
class Range:
    """An interval; of whole numbers where ``low`` and ``high`` are."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None
    when: When = ()

    def ends(self) -> tuple[Value, ...]:
        """The values that must be valid for all between them to be."""
        return (self.low, self.high)

    def table(self) -> dict[str, Any]:
        """The range as a study file writes it."""
        table: dict[str, Any] = {"low": self.low, "high": self.high}
        if self.log:
            table["log"] = True
        if self.step is not None:
            table["step"] = self.step
        return table | _when(self.when)

    def __contains__(self, value: object) -> bool:
        whole = isinstance(self.low, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            return False
        if not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / (self.step or math.inf)
        return abs(steps - round(steps)) < 1e-8


@dataclass(frozen=True, slots=True)
class Choices:
    """A set of values without an order."""

    choices: tuple[Value, ...]
    when: When = ()

    def ends(self) -> tuple[Value, ...]:
        """Every choice."""
        return self.choices

    def table(self) -> dict[str, Any]:
        """The choices as a study file writes them."""
        return {"choices": list(self.choices)} | _when(self.when)

    def __contains__(self, value: object) -> bool:
        return any(same(value, choice) for choice in self.choices)

    def meant(self, value: Any) -> Value | None:
        """The choice that a person means by a value: the same, or else one equal number."""
        for choice in self.choices:
            if same(value, choice):
                return choice
        number = isinstance(value, int | float) and not isinstance(value, bool)
        equal = [c for c in self.choices if number and c == value and not isinstance(c, bool)]
        return equal[0] if equal else None


Space = Mapping[str, Range | Choices]


def grid(path: str, open_: Range | Choices) -> list[Value]:
    """The values that a grid visits.

    Raises:
        StudyFileError: For a range of real numbers without ``step``.
    """
    if isinstance(open_, Choices):
        return list(open_.choices)
    step = open_.step or 1
    # Rounding may carry the last step a bit beyond the end.
    return [min(open_.low + index * step, open_.high) for index in range(steps(path, open_))]


def steps(path: str, open_: Range | Choices) -> int:
    """How many values a grid visits of one path.

    Raises:
        StudyFileError: For a range of real numbers without ``step``.
    """
    if isinstance(open_, Choices):
        return len(open_.choices)
    step = open_.step or (1 if isinstance(open_.low, int) else None)
    if step is None or open_.log:
        raise StudyFileError(
            f"{path}: the grid sampler needs choices or a step; give `choices = [...]` or `step`"
        )
    return math.floor((open_.high - open_.low) / step + 1e-9) + 1


def middle(open_: Range | Choices) -> Value:
    """The value half way between the ends, on the range's own scale; of choices the first."""
    if isinstance(open_, Choices):
        return open_.choices[0]
    low, high = open_.low, open_.high
    half = math.sqrt(low) * math.sqrt(high) if open_.log else low + (high - low) / 2
    if isinstance(low, int) or open_.step is not None:
        step = open_.step or 1
        half = low + step * int((half - low) / step + 1e-9)
        return int(half) if isinstance(low, int) else half
    return min(max(half, low), high)


def dumps(value: Any) -> str:
    """Canonical JSON: one spelling for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def same(value: object, choice: object) -> bool:
    """Equal and of one kind: 1, 1.0 and true are three values, in a list as well."""
    if value is choice:
        return True
    return type(value) is type(choice) and value == choice and dumps(value) == dumps(choice)


def _when(when: When) -> dict[str, Any]:
    return {"when": {path: list(values) for path, values in when}} if when else {}
