"""How does Python say what a study leaves open? Each is what a study file's table says."""

from __future__ import annotations

import math
import operator
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, SupportsFloat, SupportsIndex

from hpsearch.errors import UsageError

When = Mapping[str, Iterable[Any]]
"""A condition: the paths of other open places, and the values that each of them may have."""


class _Open:
    """A place that the search fills."""

    when: When | None

    def _settle(self) -> None:
        """Keep the condition as it is now, whoever changes what it was made of."""
        if self.when is None:
            return
        name = type(self).__name__
        if not isinstance(self.when, Mapping) or not self.when:
            raise UsageError(
                f'{name}: when must be a mapping such as {{"params.kind": ["a", "b"]}}, '
                f"not {self.when!r}"
            )
        for path, values in self.when.items():
            if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
                raise UsageError(f"{name}: when: {path} takes a list of values, not {values!r}")
        object.__setattr__(self, "when", {path: tuple(v) for path, v in self.when.items()})

    def _condition(self) -> dict[str, Any]:
        return {} if self.when is None else {"when": plain(self.when)}

    def table(self) -> dict[str, Any]:
        """The place as a study file writes it."""
        raise NotImplementedError


class _Range(_Open):
    """Between two ends, both included."""

    __slots__ = ()

    low: Any
    high: Any
    log: bool
    step: Any

    @staticmethod
    @abstractmethod
    def _number(where: str, value: Any) -> Any:
        """The value as a number of the range's kind."""

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            value = getattr(self, name)
            if name != "step" or value is not None:
                where = f"{type(self).__name__}: {name}"
                object.__setattr__(self, name, self._number(where, value))
        self._settle()

    def table(self) -> dict[str, Any]:
        """The range as a study file writes it, without what is left out."""
        table: dict[str, Any] = {"low": self.low, "high": self.high}
        if self.log:
            table["log"] = self.log
        if self.step is not None:
            table["step"] = self.step
        return table | self._condition()


@dataclass(frozen=True, slots=True)
class Float(_Range):
    """A range of real numbers, both ends included.

    >>> Float(1e-5, 1e-1, log=True)
    Float(low=1e-05, high=0.1, log=True, step=None, when=None)

    Args:
        low: The lower end; above 0 with ``log``.
        high: The upper end.
        log: Whether it is searched by its logarithm.
        step: Search only ``low``, ``low + step``, …; not together with ``log``.
        when: The condition under which it has a value at all: other open places by their paths, and
            the values that each of them may have, such as ``{"params.kind": ["a", "b"]}``.

    Raises:
        UsageError: If one of them is no number.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: When | None = field(default=None, kw_only=True, hash=False)

    @staticmethod
    def _number(where: str, value: Any) -> float:
        return _real(where, value)


@dataclass(frozen=True, slots=True)
class Int(_Range):
    """A range of whole numbers, both ends included.

    >>> Int(2, 12)
    Int(low=2, high=12, log=False, step=None, when=None)

    Args:
        low: The lower end; above 0 with ``log``.
        high: The upper end.
        log: Whether it is searched by its logarithm.
        step: Search only ``low``, ``low + step``, …; not together with ``log``.
        when: The condition under which it has a value at all: other open places by their paths, and
            the values that each of them may have, such as ``{"params.kind": ["a", "b"]}``.

    Raises:
        UsageError: If one of them is no whole number.
    """

    low: int
    high: int
    log: bool = False
    step: int | None = None
    when: When | None = field(default=None, kw_only=True, hash=False)

    @staticmethod
    def _number(where: str, value: Any) -> int:
        return _whole(where, value)


@dataclass(frozen=True, slots=True)
class Choice(_Open):
    """A set of values without an order: numbers, texts, booleans, or lists of whole numbers.

    >>> Choice(["relu", "tanh"])
    Choice(choices=('relu', 'tanh'), when=None)

    Args:
        choices: The values.
        when: The condition under which it has a value at all, as of ``Float``.

    Raises:
        UsageError: If it is one text, or nothing that has entries.
    """

    choices: tuple[Any, ...]
    when: When | None = field(default=None, hash=False)

    def __init__(self, choices: Iterable[Any], *, when: When | None = None) -> None:
        if isinstance(choices, str | Mapping) or not isinstance(choices, Iterable):
            raise UsageError(f"Choice: takes a list of values, not {choices!r}")
        object.__setattr__(self, "choices", tuple(choices))
        object.__setattr__(self, "when", when)
        self._settle()

    def table(self) -> dict[str, Any]:
        """The choices as a study file writes them."""
        return {"choices": plain(list(self.choices))} | self._condition()


def plain(value: Any) -> Any:
    """A value as a study file can say it: tables, lists, and Python's own kinds of values.

    What it cannot say is left as it is, for the one to refuse who knows its place.
    """
    if isinstance(value, _Open):
        return value.table()
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if not isinstance(value, bool | int | float | str) and hasattr(value, "tolist"):
        return plain(value.tolist())  # NumPy's
    return value


def _real(where: str, value: SupportsFloat) -> float:
    try:
        number = float(value) if not isinstance(value, str) else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{where} must be a finite number, not {value!r}")
    return number


def _whole(where: str, value: SupportsIndex) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise UsageError(f"{where} must be a whole number, not {value!r}") from None
