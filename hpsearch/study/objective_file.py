"""What do ``[objective]`` and ``[params]`` say, and what is wrong with them?"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from hpsearch.errors import StudyFileError
from hpsearch.study.objective import RESERVED, ObjectiveConfig
from hpsearch.study.ranges import open_place, typed
from hpsearch.study.space import Choices, Range
from hpsearch.study.words import read_section

NAME = re.compile(r"[A-Za-z0-9_-]+")
"""A parameter's name, between dots."""


def objective(table: Mapping[str, Any]) -> ObjectiveConfig:
    for key in ("data", "network", "training"):
        if key in table:
            raise StudyFileError(f"{key}: cannot be combined with [objective]; remove one of them")
    objective = read_section(ObjectiveConfig, table, "objective")
    if (objective.function is None) == (objective.command is None):
        raise StudyFileError("objective: needs either a function or a command")
    if objective.function and objective.outputs:
        raise StudyFileError(
            "objective.outputs: applies to commands only; a function returns its state"
        )
    metrics = objective.metrics
    if not metrics or len(set(metrics)) < len(metrics):
        raise StudyFileError("objective.metrics: must list at least one name, and each only once")
    if reserved := set(metrics) & set(RESERVED):
        raise StudyFileError(f"objective.metrics: {min(reserved)} is a reserved name; rename it")
    return objective


def ranked_by(table: Mapping[str, Any], objective: ObjectiveConfig) -> dict[str, Any]:
    """The tables with the first metric as the one that ranks, where none is named."""
    return {**table, "search": {"metric": objective.metrics[0], **table.get("search", {})}}


def params(
    table: Mapping[str, Any], prefix: str = ""
) -> tuple[dict[str, dict[str, Any]], dict[str, Range | Choices]]:
    """Part ``[params]`` into what has a value and what is open, by dotted names."""
    fixed: dict[str, Any] = {}
    space: dict[str, Range | Choices] = {}
    for key, value in sorted(table.items()):
        name, path = f"{prefix}{key}", f"params.{prefix}{key}"
        if not NAME.fullmatch(key):
            raise StudyFileError(f"{path}: must be a name of letters, digits, _ and -")
        if isinstance(value, dict) and not {"low", "high", "choices"} & value.keys():
            inner, more = params(value, f"{name}.")
            fixed, space = {**fixed, **inner["params"]}, {**space, **more}
        elif isinstance(value, dict):
            draft = open_place(path, value)
            ends = list(draft.ends())
            if isinstance(draft, Range) and any(isinstance(end, float) for end in ends):
                ends = [float(str(end)) for end in ends]
            elif isinstance(draft, Choices):
                ends = [_value(path, end) for end in ends]
            space[path] = typed(path, draft, ends)
        else:
            fixed[name] = _value(path, value)
    return {"params": fixed}, dict(sorted(space.items()))


def _value(path: str, value: Any) -> Any:
    finite = not isinstance(value, float) or math.isfinite(value)
    if isinstance(value, list):
        return [_value(path, entry) for entry in value]
    if not isinstance(value, bool | int | float | str) or not finite:
        raise StudyFileError(f"{path}: must be a number, text, true or false, or a list of these")
    return value
