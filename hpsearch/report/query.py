"""Which trials are asked for, in which order, and with which columns?"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.errors import UsageError
from hpsearch.ledger.records import Trial
from hpsearch.study.config import Study
from hpsearch.study.words import nearest
from hpsearch.text import short

OWN = ("number", "state", "value", "epochs", "seed", "attempts", "seconds", "continues", "reason")
"""What every trial has, beside the values that it tries."""

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_CONDITION = re.compile(r"\s*([^<>=!]+?)\s*(<=|>=|!=|=|<|>)\s*(.*?)\s*", re.S)


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of a study's trials.

    Args:
        state: The state that they have, in any case of letters.
        where: Conditions that all must hold, such as ``training.lr<0.01``.
        sort: A column. Its least value comes first, and its greatest with a dash before its name;
            by ``value``, the best comes first.
        limit: How many there are at most.
    """

    state: str | None = None
    where: Sequence[str] = ()
    sort: str | None = None
    limit: int | None = None

    def of(self, study: Study, trials: Sequence[Trial]) -> list[Trial]:
        """The trials that are asked for, in their order.

        Raises:
            UsageError: If it names a state, a column or an order that does not exist.
        """
        found = list(trials)
        if self.state is not None:
            state = self.state.upper()
            states = ["COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING"]
            if state not in states:
                raise UsageError(f"--state {short(self.state)}: use one of {', '.join(states)}")
            found = [trial for trial in found if trial.state == state]
        for text in self.where:
            holds = _condition(study, text)
            found = [trial for trial in found if holds(trial)]
        if self.sort is not None:
            found = _sorted(study, found, self.sort)
        return found if self.limit is None else found[: self.limit]


def column(study: Study, name: str, option: str) -> str:
    """The column that a name means: a parameter may be named without its section.

    Raises:
        UsageError: If there is none, or several.
    """
    if name in OWN or name in study.space:
        return name
    meant = [path for path in study.space if path.partition(".")[2] == name]
    if len(meant) == 1:
        return meant[0]
    known = meant or [*OWN, *study.space]
    raise UsageError(f"{option}: no column {short(name)!r}{nearest(name, known)}")


def cell(trial: Trial, name: str) -> Any:
    """What a trial has in a column; None where it has nothing there."""
    if name == "seconds":
        return None if trial.ended is None else trial.ended - trial.started
    return getattr(trial, name) if name in OWN else trial.params.get(name)


def _condition(study: Study, text: str) -> Callable[[Trial], bool]:
    option = f"--where {short(text)}"
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise UsageError(f"{option}: expected a column, <, <=, =, !=, >= or >, and a value")
    name, compare, wanted = column(study, match[1], option), match[2], match[3]
    number = _number(wanted)
    if number is None and compare not in ("=", "!="):
        raise UsageError(f"{option}: {compare} compares numbers; {short(wanted)} is not one")

    def holds(trial: Trial) -> bool:
        given = cell(trial, name)
        if isinstance(given, int | float) and not isinstance(given, bool) and number is not None:
            return _ORDERS[compare](given, number)
        if compare not in ("=", "!="):
            return False
        same = given is not None and _text(given) == wanted
        return same is (compare == "=")

    return holds


def _sorted(study: Study, trials: list[Trial], by: str) -> list[Trial]:
    down = by.startswith("-")
    name = column(study, by.removeprefix("-"), f"--sort {short(by)}")
    if name == "value" and study.search.direction == "maximize":
        down = not down
    known = [trial for trial in trials if cell(trial, name) is not None]
    numbers = all(isinstance(cell(trial, name), int | float) for trial in known)

    def key(trial: Trial) -> Any:
        return cell(trial, name) if numbers else _text(cell(trial, name))

    rest = [trial for trial in trials if cell(trial, name) is None]
    return sorted(known, key=key, reverse=down) + rest


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
