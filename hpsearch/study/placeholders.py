"""How do a trial's values get into a command's arguments?

``{params.lr}``, ``{seed}``, ``{number}``, ``{config}``, ``{config.json}`` and ``{folder}``; ``{{``
is a brace. No shell reads the result, and nothing is split: an argument stays one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from hpsearch.errors import StudyFileError
from hpsearch.study.objective import ObjectiveConfig

PLACES = ("seed", "number", "config", "config.json", "folder")
_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def check_command(
    objective: ObjectiveConfig, names: Collection[str], sometimes: Collection[str] = ()
) -> None:
    """Make sure that every placeholder of a command has a value in every trial.

    Args:
        objective: What has the command, if it has one.
        names: What ``[params]`` names.
        sometimes: Those of them that have a value only under a condition.

    Raises:
        StudyFileError: If one has none.
    """
    known = {*PLACES, *(f"params.{name}" for name in names)}
    for index, argument in enumerate(objective.command or ()):
        where = f"objective.command[{index}]"
        if "\0" in argument:
            raise StudyFileError(f"{where}: contains a NUL character, which arguments cannot")
        for token in _TOKEN.finditer(argument):
            if token[0] in ("{", "}"):
                raise StudyFileError(
                    f"{where}: single brace; to get one, write {token[0]}{token[0]}"
                )
            if token[1] is not None and token[1] not in known:
                there = ", ".join(f"{{{name}}}" for name in sorted(known))
                raise StudyFileError(f"{where}: unknown placeholder {token[0]}; use one of {there}")
            if (token[1] or "").removeprefix("params.") in sometimes:
                raise StudyFileError(
                    f"{where}: {token[0]} has a value only under its condition; let the command "
                    f"read it from {{config}} or {{config.json}}"
                )


def filled(argument: str, values: Mapping[str, Any]) -> str:
    """An argument with its placeholders filled in, by their names."""

    def value(token: re.Match[str]) -> str:
        return token[0][0] if token[1] is None else text(values[token[1]])

    return _TOKEN.sub(value, argument)


def text(value: Any) -> str:
    """A value as an argument: texts as they are, all else as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value)
