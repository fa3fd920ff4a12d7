"""What a digest is of: each part of a trial, and each part of an array."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hpsearch.ledger.records import State, Trial, curve, digest, pack, unpack, weights_digest

ROWS = curve([(0.1, 0.2, 0.3, 0.5)])
TRIAL = Trial(
    number=3,
    state=State.COMPLETE,
    value=0.5,
    params={"training.lr": 0.1},
    epochs=1,
    seed=7,
    attempts=1,
    started=1.0,
    ended=2.0,
    weights_sha256="ab",
    mlflow_run_id=None,
    reason=None,
    rungs={},
    environment="e",
    in_optuna=False,
    in_mlflow=False,
)


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 4},
        {"state": State.PRUNED},
        {"value": np.nextafter(0.5, 1)},
        {"value": None},
        {"weights_sha256": "cd"},
        {"weights_sha256": None},
    ],
    ids=str,
)
def test_digest_is_of_each_of_these(changes: dict[str, Any]) -> None:
    """Another number, state, value or weights digest alone is another digest."""
    assert digest([(TRIAL, ROWS)], {}) != digest([(replace(TRIAL, **changes), ROWS)], {})


@pytest.mark.parametrize(
    "changes",
    [
        {"attempts": 2},
        {"started": 5.0, "ended": 6.0},
        {"mlflow_run_id": "run"},
        {"environment": "other"},
        {"in_optuna": True, "in_mlflow": True},
    ],
    ids=str,
)
def test_digest_is_of_nothing_that_depends_on_when_and_where(changes: dict[str, Any]) -> None:
    """Equal trials have equal digests, wherever and however often they were begun."""
    assert digest([(TRIAL, ROWS)], {}) == digest([(replace(TRIAL, **changes), ROWS)], {})


def test_digest_is_as_it_was() -> None:
    """The order in which trials come does not matter, and every version gives the same."""
    other = replace(TRIAL, number=1, state=State.PRUNED, value=None, weights_sha256=None)
    steps = {3: np.array([0.5, 0.25])}
    first = digest([(TRIAL, ROWS), (other, curve([(1.0, 2.0, 3.0, 4.0)]))], steps)
    assert first == digest([(other, curve([(1.0, 2.0, 3.0, 4.0)])), (TRIAL, ROWS)], steps)
    assert first == "701eaab433dfb0e2aeba9943c69e2b5f976be8f8155f9ffd8865c572214e240a"


@pytest.mark.parametrize("number", [0, 1, 8, 9, 30])
@pytest.mark.parametrize("kind", [np.bool_, np.float32])
def test_outcomes_come_back(kind: type, number: int) -> None:
    """Right or wrong takes a bit each, a score four bytes."""
    outcomes = (np.random.default_rng(number).random(number) - 0.5).astype(kind)
    if kind is np.bool_:
        outcomes = np.arange(number) % 3 == 0
    found = unpack(pack(outcomes))
    assert found.dtype == kind
    assert np.array_equal(found, outcomes)
    assert len(pack(outcomes)) == 5 + ((number + 7) // 8 if kind is np.bool_ else 4 * number)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"b",
        b"b\x01\0\0",
        b"b\x01\0\0\0",
        b"b\x01\0\0\0\0\0",
        b"f\x01\0\0\0\0\0\0",
        b"f\x01\0\0\0\0\0\0\0\0",
        b"x\0\0\0\0",
    ],
)
def test_bytes_that_are_no_outcomes(data: bytes) -> None:
    """Too short, too long, or of no kind."""
    with pytest.raises(ValueError, match=f"{len(data)} bytes that are no outcomes"):
        unpack(data)


def test_parts_do_not_run_into_each_other() -> None:
    """What is moved from the curve to the losses by step is another digest."""
    longer = curve([*ROWS.tolist(), (1.0, 2.0, 3.0, 4.0)])
    moved = {3: np.array([1.0, 2.0, 3.0, 4.0])}
    assert digest([(TRIAL, longer)], {}) != digest([(TRIAL, ROWS)], moved)


def test_weights_digest_is_of_name_dtype_shape_and_bytes() -> None:
    """The same bytes under another name, of another type or shape, are other weights."""
    array = np.arange(6, dtype=np.float32)
    states: list[dict[str, Any]] = [
        {"W": array},
        {"V": array},
        {"W": array.view(np.int32)},
        {"W": array.reshape(2, 3)},
        {"W": array.reshape(3, 2)},
        {"W": array[::-1]},
        {"W": array, "b": array},
    ]
    assert len({weights_digest(state) for state in states}) == len(states)
    assert weights_digest({"a": array, "b": array}) == weights_digest({"b": array, "a": array})
    assert weights_digest({"W": array}) == (
        "1865ba3b3b919a793c0b25b0e8898c5fcee309a4df312df938879cb84c266310"
    )
