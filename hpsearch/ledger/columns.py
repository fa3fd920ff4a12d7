"""What may stand in a column of the ledger, and what does it mean?"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, TypeAlias

from hpsearch.errors import HpsearchError
from hpsearch.ledger.records import Ended, Fold, Opened, Opening, State
from hpsearch.study import file as study_file
from hpsearch.study.budgets import KEYS
from hpsearch.study.config import Choices, Range, Study

Read: TypeAlias = Callable[[Any], Any]
"""Takes a column's content, and raises ValueError if it is not what stands there."""
LAST = 253402214400.0
"""A time: the last day that a date can be of."""


def _whole(value: Any, low: int = 0, high: int = 2**31 - 1) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{show(value)} is no whole number from {low} to {high}")
    return value


def _real(value: Any) -> float:
    if type(value) is not float or not math.isfinite(value):
        raise ValueError(f"{show(value)} is no finite number")
    return value


def _time(value: Any) -> float:
    if not 0 <= _real(value) <= LAST:
        raise ValueError(f"{show(value)} is no time")
    return float(value)


def _text(value: Any) -> str:
    if type(value) is not str or not _decoded(value):
        raise ValueError(f"{show(value)} is no text")
    return value


def _flag(value: Any) -> bool:
    if value not in (0, 1) or isinstance(value, float):
        raise ValueError(f"{show(value)} is neither true nor false")
    return bool(value)


def _state(value: Any) -> State:
    if value not in list(State):
        raise ValueError(f"{show(value)} is no state of a trial")
    return State(value)


def json_object(value: Any) -> dict[str, Any]:
    try:
        found = json.loads(_text(value), parse_constant=_no_number)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(map(_decoded, found)):
        raise ValueError(f"{show(value)} is no JSON object")
    return found


def _digests(value: Any) -> dict[str, Any]:
    found = json_object(value)
    digests = [digest for part, digest in found.items() if part != "facts"]
    facts = found.get("facts", {})
    if not isinstance(facts, dict) or not all(isinstance(digest, str) for digest in digests):
        raise ValueError(f"{show(value)} holds no digests of data")
    return found


def _names(value: Any) -> tuple[str, ...]:
    try:
        found = json.loads(_text(value))
    except (ValueError, RecursionError):
        found = None
    named = isinstance(found, list) and all(isinstance(name, str) for name in found)
    if not named or len(set(found)) < len(found) or not found:
        raise ValueError(f"{show(value)} is no list of names")
    return tuple(found)


def _rungs(value: Any) -> dict[str, float]:
    found = json_object(value)
    for metric in found.values():
        if isinstance(metric, bool) or not isinstance(metric, int | float):
            raise ValueError(f"{show(value)} holds no numbers by rung")
    return found


def _folds(value: Any) -> tuple[Fold, ...]:
    try:
        found = json.loads(_text("[]" if value is None else value), parse_constant=_no_number)
        return tuple(
            Fold(_whole(epochs), _whole(weight, low=1), _real(float(of)))
            for epochs, weight, of in found
        )
    except (OverflowError, RecursionError, TypeError, ValueError):
        raise ValueError(f"{show(value)} is no list of folds") from None


def _reproduced(value: Any) -> dict[str, Any]:
    found = json_object(value)
    if not isinstance(found.get("number"), int) or not isinstance(found.get("identical"), bool):
        raise ValueError(f"{show(value)} is no outcome of a reproduction")
    return found


def _ended(value: Any) -> Ended:
    found = json_object(value)
    if found.keys() != {"by", "at"} or found["by"] not in KEYS:
        raise ValueError(f"{show(value)} is no end of a study")
    return Ended(found["by"], _whole(found["at"], low=1))


def _openings(value: Any) -> tuple[Opening, ...]:
    try:
        return tuple(map(_opening, json.loads(_text("[]" if value is None else value))))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        raise ValueError(f"{show(value)} is no list of openings") from None


def _opening(table: Any) -> Opening:
    found = table["result"]
    if found is not None:
        numbers = {key: _maybe(_real, found[key]) for key in ("value", "low", "high", "baseline")}
        counts = {key: _whole(found[key]) for key in ("seeds", "examples", "trained")}
        found = Opened(
            metric=_text(found["metric"]),
            trial=_maybe(_whole, found["trial"]),
            better=_maybe(_real, found["better"]),
            out=_maybe(_text, found["out"]),
            networks=_maybe(_whole, found.get("networks")),
            **numbers,
            **counts,
        )
    return Opening(_text(table["study"]), _time(table["opened"]), found)


@lru_cache(maxsize=64)
def _study(value: Any) -> Study:
    try:
        return study_file.parse(json_object(value))
    except HpsearchError as error:
        raise ValueError(f"is no study: {error}") from None
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError):
        raise ValueError(f"{show(value)} is no study") from None


def _maybe(reader: Read, value: Any) -> Any:
    return None if value is None else reader(value)


def fits(value: Any, open_: Range | Choices | None) -> bool:
    """Whether a param is of the kind that is searched; how far it may go, ``verify`` judges."""
    if isinstance(open_, Choices):
        return value in open_
    if open_ is None or isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int if isinstance(open_.low, int) else int | float) and (
        abs(value) < 2**63 if isinstance(value, int) else math.isfinite(value)
    )


def _no_number(said: str) -> float:
    raise ValueError(said)


def _decoded(text: str) -> bool:
    """Whether it came out of UTF-8 whole: what did not is kept as surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def show(value: Any, most: int = 60) -> str:
    text = ascii(value)
    return text if len(text) <= most else text[: most - 3] + "..."


STUDY: Mapping[str, Read] = {
    "id": _whole,
    "name": _text,
    "definition": _study,
    "metrics": _names,
    "folder": partial(_maybe, _text),
    "budget": partial(_whole, low=1),
    "next_number": _whole,
    "created": _time,
    "data_digests": _digests,
    "mlflow_run_id": partial(_maybe, _text),
    "mlflow_summary": partial(_maybe, _text),
    "reproduced": partial(_maybe, _reproduced),
    "ended": partial(_maybe, _ended),
    "openings": _openings,
    "incarnation": _text,
}
TRIAL: Mapping[str, Read] = {
    "number": _whole,
    "state": _state,
    "value": partial(_maybe, _real),
    "params": json_object,
    "epochs": _whole,
    "seed": partial(_whole, high=2**63 - 1),
    "attempts": _whole,
    "crashes": _whole,
    "started": _time,
    "ended": partial(_maybe, _time),
    "weights_sha256": partial(_maybe, _text),
    "reason": partial(_maybe, _text),
    "rungs": _rungs,
    "hidden": _flag,
    "environment": partial(_maybe, _text),
    "owner": partial(_maybe, _text),
    "lease_until": partial(_maybe, _real),
    "mlflow_run_id": partial(_maybe, _text),
    "in_optuna": _flag,
    "in_mlflow": _flag,
    "folds": _folds,
}
UNFINISHED = {name: TRIAL[name] for name in ("number", "state", "seed", "owner", "lease_until")}
