"""What may stand anywhere in a study file, an argument or a ledger: of any kind."""

from __future__ import annotations

import copy
import datetime
from typing import Any

from hypothesis import strategies as st

NUMBERS = st.one_of(
    st.integers(-3, 300),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, 1, 2**31, 2**53 + 1, 2**63, 10**400]),
    st.floats(),
    st.floats(0.0, 1.0),
    st.sampled_from([0.0, -0.0, 1e-320, 5e-324, 1e-8, 0.1, 1e300, 1.7e308]),
)
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            "",
            "sgd",
            "relu",
            "he",
            "tpe",
            "grid",
            "median",
            "hyperband",
            "val_loss",
            "regression",
            "digits",
            "step",
            "a/b",
            "\x00",
            "\x1b[2J",
            "\u202e",
            "\ud800",
            "x" * 5000,
            "{params.lr}",
            "{",
            "3s",
        ]
    ),
)
SCALARS = st.one_of(
    NUMBERS,
    TEXTS,
    st.booleans(),
    st.none(),
    st.sampled_from(
        [datetime.date(2026, 1, 1), datetime.time(1), datetime.datetime(1979, 5, 27, 7, 32)]
    ),
)
KEYS = st.one_of(
    st.sampled_from(
        [
            "low",
            "high",
            "log",
            "step",
            "choices",
            "when",
            "training.lr",
            "network.hidden",
            "depth",
            "width",
            "values",
        ]
    ),
    st.text(max_size=6),
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)


@st.composite
def _range(draw: st.DrawFn) -> dict[str, Any]:
    table: dict[str, Any] = {"low": draw(NUMBERS), "high": draw(NUMBERS)}
    if draw(st.booleans()):
        table["log"] = draw(st.one_of(st.booleans(), SCALARS))
    if draw(st.booleans()):
        table["step"] = draw(NUMBERS)
    if draw(st.booleans()):
        table["when"] = draw(_WHEN)
    return table


_WHEN = st.dictionaries(
    st.sampled_from(["training.lr", "training.optimizer", "network.dropout", "params.a", "x"]),
    st.lists(SCALARS, max_size=3),
    max_size=2,
)
PLACES: st.SearchStrategy[Any] = st.one_of(
    _range(),
    st.builds(lambda choices: {"choices": choices}, st.lists(ANYTHING, max_size=4)),
    st.builds(
        lambda choices, when: {"choices": choices, "when": when},
        st.lists(SCALARS, max_size=3),
        _WHEN,
    ),
)
CONTENTS = st.one_of(SCALARS, PLACES, ANYTHING)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in nested tables and lists."""
    if not isinstance(value, dict | list):
        return [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(found for key, entry in inner for found in _paths(entry, (*path, key)))]


@st.composite
def changed(draw: st.DrawFn, whole: Any, contents: st.SearchStrategy[Any] = CONTENTS) -> Any:
    """The same with a few places changed, taken away or added."""
    value = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 4))):
        places = [path for path in _paths(value) if path]
        if not places or draw(st.integers(0, 30)) == 0:
            return draw(contents)
        *above, key = draw(st.sampled_from(places))
        place = value
        for part in above:
            place = place[part]
        how = draw(st.sampled_from(["change", "change", "change", "remove", "add"]))
        if how == "remove":
            del place[key]
        elif how == "change":
            place[key] = draw(contents)
        elif isinstance(place, dict):
            place[draw(KEYS)] = draw(contents)
        else:
            place.append(draw(contents))
    return value
