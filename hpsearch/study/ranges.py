"""What does an open place say, and what is wrong with it?"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hpsearch.errors import StudyFileError
from hpsearch.study import conditions
from hpsearch.study.space import LARGEST, MOST_STEPS, Choices, Range, dumps
from hpsearch.study.words import nearest, show
from hpsearch.text import short

MOST_CHOICES = 1000
"""Of one value: each is tried in its place when a study file is read."""


def open_place(path: str, table: dict[str, Any]) -> Range | Choices:
    known = ["low", "high", "log", "step", "choices", "when"]
    for key in table:
        if key not in known:
            raise StudyFileError(f"{short(path)}.{short(key)}: unknown key{nearest(key, known)}")
    when = conditions.read(path, table)
    if "choices" in table:
        choices = table["choices"]
        if table.keys() - {"choices", "when"} or not isinstance(choices, list):
            raise StudyFileError(
                f"{path}: choices cannot be combined with other keys; write choices = [a, b]"
            )
        if len(choices) > MOST_CHOICES:
            raise StudyFileError(
                f"{path}: has {len(choices)} choices; the maximum is {MOST_CHOICES}"
            )
        if not choices:
            raise StudyFileError(f"{path}: choices is empty; add at least one")
        return Choices(tuple(choices), when)
    missing = [key for key in ("low", "high") if key not in table]
    if missing:
        raise StudyFileError(f"{path}: a range needs low and high ({missing[0]} is missing)")
    for key in ("low", "high", "step"):
        value = table.get(key, 1)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not -LARGEST < value < LARGEST:
            raise StudyFileError(f"{path}.{key}: must be a finite number, not {show(value)}")
    if not isinstance(table.get("log", False), bool):
        raise StudyFileError(f"{path}.log: must be true or false")
    draft = Range(table["low"], table["high"], table.get("log", False), table.get("step"), when)
    if draft.low > draft.high:
        raise StudyFileError(f"{path}: low {draft.low} is above high {draft.high}; swap them")
    if draft.log and draft.low <= 0:
        raise StudyFileError(f"{path}: log needs low > 0, and low is {draft.low}")
    if draft.step is not None and (draft.step <= 0 or draft.log):
        raise StudyFileError(f"{path}: step must be above 0, and cannot be combined with log")
    if draft.step is not None:
        steps = (Decimal(draft.high) - Decimal(draft.low)) / Decimal(draft.step)
        if steps > MOST_STEPS:
            raise StudyFileError(
                f"{path}.step: {draft.step} makes {steps:.3g} steps from {draft.low} to "
                f"{draft.high}; use a wider step, or remove it"
            )
    return draft


def typed(path: str, draft: Range | Choices, ends: list[Any]) -> Range | Choices:
    """The range in the type of its place: whole numbers stay whole only where that is meant."""
    if isinstance(draft, Choices):
        if len(set(map(dumps, ends))) < len(ends):
            raise StudyFileError(f"{path}: choices contains a value twice")
        return Choices(tuple(ends), draft.when)
    low, high = ends
    step, when = draft.step, draft.when
    if isinstance(low, int):
        if step is not None and step != int(step):
            raise StudyFileError(f"{path}: takes integers, so step must be an integer")
        return Range(int(low), int(high), draft.log, None if step is None else int(step), when)
    return Range(float(low), float(high), draft.log, None if step is None else float(step), when)
