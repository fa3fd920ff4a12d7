"""How many hidden layers, and how wide? ``hidden`` of ``[network]`` by its depth and its width.

A study file writes ``hidden = { depth = …, width = … }``. Each of the two has a value or is open.
In a trial, ``hidden`` is a list again, of layers that are all alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError

from hpsearch.errors import StudyFileError
from hpsearch.study.section import Positive, Section
from hpsearch.study.words import explain, nearest
from hpsearch.text import short

MOST_LAYERS = 1000
PARTS = ("hidden.depth", "hidden.width")
"""The keys of ``[network]`` that then stand in the place of ``hidden``."""


class Layers(Section):
    """``hidden`` of ``[network]``, of a trial."""

    depth: Annotated[int, Field(ge=1, le=MOST_LAYERS)]
    width: Positive


def by_layers(network: Mapping[str, Any]) -> dict[str, Any]:
    """``[network]`` of a study file, with ``PARTS`` in the place of a ``hidden`` that has them.

    Raises:
        StudyFileError: If that has one of them without the other, or more than the two.
    """
    table, known = dict(network), list(Layers.model_fields)
    for key in PARTS:
        if key in table:
            raise StudyFileError(
                f"network.{key}: unknown key; write hidden = {{ depth = 2, width = 100 }}"
            )
    hidden = table.get("hidden")
    if not isinstance(hidden, Mapping) or not hidden.keys() & set(known):
        return table
    for key in hidden:
        if key not in known:
            raise StudyFileError(f"network.hidden.{short(key)}: unknown key{nearest(key, known)}")
    for key in known:
        if key not in hidden:
            raise StudyFileError(f"network.hidden.{key}: is missing; add it to network.hidden")
    del table["hidden"]
    return table | {f"hidden.{key}": hidden[key] for key in known}


def listed(network: Mapping[str, Any]) -> dict[str, Any]:
    """``[network]`` of a trial, with ``hidden`` as a list in the place of ``PARTS``.

    Raises:
        StudyFileError: If these describe no layers.
    """
    table = {key: value for key, value in network.items() if key not in PARTS}
    if len(table) == len(network):
        return table
    parts = {key.removeprefix("hidden."): network[key] for key in PARTS}
    try:
        layers = Layers.model_validate(parts)
    except ValidationError as error:
        raise StudyFileError(explain(error, ("network.hidden",), Layers)) from None
    return table | {"hidden": [layers.width] * layers.depth}


def value_of(section: Section, key: str) -> Any:
    """The value of a key of ``[network]`` or ``[training]`` in a trial; of ``PARTS`` as well."""
    if key not in PARTS:
        return getattr(section, key)
    hidden: list[int] = section.hidden  # type: ignore[attr-defined]
    return len(hidden) if key == PARTS[0] else hidden[0]
