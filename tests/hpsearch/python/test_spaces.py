"""Ranges and choices from Python are those of a study file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hpsearch
from hpsearch import Choice, Float, Int
from hpsearch.errors import UsageError
from hpsearch.python.spaces import plain


@pytest.mark.parametrize(
    ("open_", "table"),
    [
        (Float(0, 1), {"low": 0.0, "high": 1.0}),
        (Float(1e-5, 1e-1, log=True), {"low": 1e-5, "high": 1e-1, "log": True}),
        (Float(0, 1, step=0.25), {"low": 0.0, "high": 1.0, "step": 0.25}),
        (Float(np.float32(0.5), np.int64(1)), {"low": 0.5, "high": 1.0}),
        (Int(2, 12), {"low": 2, "high": 12}),
        (Int(0, 12, step=3), {"low": 0, "high": 12, "step": 3}),
        (Int(np.int32(2), 12, log=True), {"low": 2, "high": 12, "log": True}),
        (Choice(["a", 1, 2.5, True]), {"choices": ["a", 1, 2.5, True]}),
        (
            Float(0, 1, when={"params.kind": ("a", "b")}),
            {"low": 0.0, "high": 1.0, "when": {"params.kind": ["a", "b"]}},
        ),
        (
            Int(1, 9, when={"params.deep": [True], "params.size": range(1, 3)}),
            {"low": 1, "high": 9, "when": {"params.deep": [True], "params.size": [1, 2]}},
        ),
        (
            Choice([1, 2], when={"training.optimizer": ["adam"]}),
            {"choices": [1, 2], "when": {"training.optimizer": ["adam"]}},
        ),
        (Choice(((10, 20), np.array([30]))), {"choices": [[10, 20], [30]]}),
    ],
    ids=str,
)
def test_table(open_: Float | Int | Choice, table: dict[str, Any]) -> None:
    """Each says what a study file says, in Python's own kinds of values."""
    shown = plain(open_)
    assert table == shown
    assert [type(v) for v in table.values()] == [type(v) for v in shown.values()]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Float("a", 1), "Float: low must be a finite number, not 'a'"),
        (lambda: Float(0, float("inf")), "Float: high must be a finite number, not inf"),
        (lambda: Int(0, 2.5), "Int: high must be a whole number, not 2.5"),
        (lambda: Int(0, 9, step=0.5), "Int: step must be a whole number, not 0.5"),
        (lambda: Choice("abc"), "Choice: takes a list of values, not 'abc'"),
        (
            lambda: Float(0, 1, when=["a"]),
            'Float: when must be a mapping such as {"params.kind": ["a", "b"]}, not [\'a\']',
        ),
        (
            lambda: Choice([1], when={"params.kind": "a"}),
            "Choice: when: params.kind takes a list of values, not 'a'",
        ),
        (lambda: Choice(3), "Choice: takes a list of values, not 3"),
    ],
)
def test_refused(make: Any, said: str) -> None:
    """What is no range is refused where it is made, in one line."""
    with pytest.raises(UsageError) as raised:
        make()
    assert said == str(raised.value)


def test_plain() -> None:
    """Tuples become lists, and NumPy's values Python's, however deep."""
    given = {"a": (1, np.float64(0.5)), "b": {"c": np.bool_(True), "d": Int(1, 2)}}
    assert plain(given) == {"a": [1, 0.5], "b": {"c": True, "d": {"low": 1, "high": 2}}}


def test_a_conditional_study() -> None:
    """A condition in Python is that of a study file, and is kept whatever becomes of its list."""
    kinds = ["b"]
    open_ = Float(0, 1, when={"params.kind": kinds})
    kinds.append("c")
    study = hpsearch.Study(
        "when",
        function="m:f",
        metrics=["cost"],
        params={"kind": Choice(["a", "b"]), "x": open_},
    )
    assert 'x = { low = 0.0, high = 1.0, when = { "params.kind" = ["b"] } }\n' in study.toml()
    assert hash(open_) == hash(Float(0, 1))
    assert open_ != Float(0, 1)
