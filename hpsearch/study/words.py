"""What is said of a study file that is wrong?"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from hpsearch.errors import StudyFileError
from hpsearch.study.section import Section
from hpsearch.text import short

_AnySection = TypeVar("_AnySection", bound=Section)


def read_section(model: type[_AnySection], table: Mapping[str, Any], key: str) -> _AnySection:
    try:
        return model.model_validate(table.get(key, {}))
    except ValidationError as error:
        raise StudyFileError(explain(error, (key,), model)) from None


def explain(error: ValidationError, prefix: tuple[str, ...], model: type[BaseModel]) -> str:
    """One of pydantic's complaints as one line: of a misspelt key rather than of a missing one."""
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    path = prefix + tuple(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{_dotted(path)}: unknown key{nearest(path[-1], _known(path, model, prefix))}"
    if first["type"] == "missing":
        return f"{_dotted(path)}: is missing; add it to [{path[0]}]"
    place = _dotted(path[:2])
    said = [e["msg"] for e in error.errors() if (prefix + e["loc"])[:2] == path[:2]]
    message = " or ".join(dict.fromkeys(m[0].lower() + m[1:] for m in said))
    return f"{place}: {message} (it is {show(first['input'])})"


def _known(path: tuple[str, ...], model: type[BaseModel], prefix: tuple[str, ...]) -> list[str]:
    """The keys of the table, itself perhaps in a list, in which one is not known."""
    for part in path[len(prefix) : -1]:
        if part in model.model_fields:  # otherwise it is a place in a list
            model = next(_models(model.model_fields[part].annotation))
    return list(model.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The tables that a type is of, or is a list of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def nearest(key: str, known: list[str]) -> str:
    """What to write instead of a key that is not known: the most similar one, or all there are."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; use one of {', '.join(known)}" if known else "; this study searches nothing"


def show(value: Any) -> str:
    if value is None:
        return "nothing"
    return short(json.dumps(value, ensure_ascii=False, default=str))


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(map(short, path))
