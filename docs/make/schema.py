"""What may stand in a study file? A JSON Schema, for editors: the models, and what a range is.

It holds each key to its own type and limits. What keys mean to each other is for hpsearch to say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hpsearch.study.config import (
    SEARCHABLE,
    ComputeConfig,
    DataConfig,
    NetworkConfig,
    SearchConfig,
    TrackingConfig,
    TrainingConfig,
)
from hpsearch.study.given import ConfirmConfig, GivenConfig
from hpsearch.study.objective import ObjectiveConfig
from hpsearch.study.section import Section

Schema = dict[str, Any]

MODELS: dict[str, type[Section]] = {
    "data": DataConfig,
    "network": NetworkConfig,
    "training": TrainingConfig,
    "objective": ObjectiveConfig,
    "search": SearchConfig,
    "confirm": ConfirmConfig,
    "given": GivenConfig,
    "compute": ComputeConfig,
    "tracking": TrackingConfig,
}
_COUNT = {"type": "integer", "minimum": 1}
_COUNTS = {"type": "array", "items": _COUNT}
WIDER: dict[str, Schema] = {
    "training.epochs": _COUNTS,
    "search.rounds": _COUNT,
}
"""What a file may write in the place of what a trial's configuration has."""
_WHEN = {"type": "object", "additionalProperties": {"type": "array", "minItems": 1}}
_RANGE = {
    "type": "object",
    "properties": {
        "low": {"type": "number"},
        "high": {"type": "number"},
        "log": {"type": "boolean"},
        "step": {"type": "number", "exclusiveMinimum": 0},
        "when": _WHEN,
    },
    "required": ["low", "high"],
    "additionalProperties": False,
}


def sections() -> dict[str, Schema]:
    """By table the schema of what it holds, a key's value alone: no range and no choices."""
    return {name: _read(name, model) for name, model in MODELS.items()}


def schema(meanings: Mapping[str, str]) -> Schema:
    """The schema of a study file.

    Args:
        meanings: What keys are for, by path such as ``training.lr``.
    """
    found = sections()
    for name in SEARCHABLE:
        keys = found[name]["properties"]
        found[name]["properties"] = {key: _open(value) for key, value in keys.items()}
    hidden = {key: _open(dict(_COUNT)) for key in ("depth", "width")}
    found["network"]["properties"]["hidden"]["anyOf"].append(
        {
            "type": "object",
            "properties": hidden,
            "required": list(hidden),
            "additionalProperties": False,
        }
    )
    for path, meaning in meanings.items():
        section, _, key = path.partition(".")
        if key:
            found[section]["properties"][key]["description"] = meaning
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "hpsearch study",
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "description": meanings.get("name", "")},
            **found,
            "params": {"type": "object", "description": "Values, ranges and choices, by name"},
        },
        "required": ["name"],
        "anyOf": [{"required": ["data", "network", "training"]}, {"required": ["objective"]}],
        "additionalProperties": False,
        "definitions": {"range": _RANGE, **_shared()},
    }


def written(meanings: Mapping[str, str]) -> str:
    """The schema as a file holds it."""
    return json.dumps(schema(meanings), indent=2, ensure_ascii=False) + "\n"


def _read(name: str, model: type[Section]) -> Schema:
    table: Schema = _plain(model.model_json_schema(ref_template="#/definitions/{model}"))
    table.pop("$defs", None)
    for key, value in table["properties"].items():
        if f"{name}.{key}" in WIDER:
            rest = {k: value.pop(k) for k in ("default",) if k in value}
            table["properties"][key] = {"anyOf": [value, WIDER[f"{name}.{key}"]], **rest}
    return table


def _shared() -> Schema:
    every = [
        model.model_json_schema(ref_template="#/definitions/{model}") for model in MODELS.values()
    ]
    return {name: _plain(of) for table in every for name, of in table.get("$defs", {}).items()}


def _plain(schema: Any) -> Any:
    """A schema without titles, docstrings and null, which TOML does not have."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema if each != {"type": "null"}]
    if not isinstance(schema, dict):
        return schema
    if "properties" in schema:
        keys = {key: _plain(value) for key, value in schema["properties"].items()}
        rest = {k: v for k, v in schema.items() if k not in ("title", "description", "properties")}
        return _plain(rest) | {"properties": keys}
    kept = {k: _plain(v) for k, v in schema.items() if k not in ("title", "description")}
    if kept.get("default", "") is None:
        del kept["default"]
    if len(kept.get("anyOf", [])) == 1:
        kept |= kept.pop("anyOf")[0]
    return kept


def _open(value: Schema) -> Schema:
    """A value, or choices, or a range where it may be a number."""
    rest: Schema = {k: value.pop(k) for k in ("default", "description") if k in value}
    several = value.get("anyOf", [value])
    choices = {
        "type": "object",
        "properties": {
            "choices": {"type": "array", "minItems": 1, "items": value},
            "when": _WHEN,
        },
        "required": ["choices"],
        "additionalProperties": False,
    }
    numbers = any(each.get("type") in ("integer", "number") for each in several)
    ranges = [{"$ref": "#/definitions/range"}] if numbers else []
    return {"anyOf": [*several, *ranges, choices], **rest}
