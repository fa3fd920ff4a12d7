"""A value at the end of its range is told with the range to try, where that would be valid."""

from __future__ import annotations

from typing import Any

import pytest

from hpsearch.report import views
from hpsearch.search.edges import edges
from hpsearch.study.config import Range
from tests.conftest import study


@pytest.mark.parametrize(
    ("path", "table", "value", "expected"),
    [
        ("training.lr", {"low": 1e-6, "high": 1e-2, "log": True}, 5e-3, (1e-6, 0.1)),
        ("training.lr", {"low": 1e-6, "high": 1e-2, "log": True}, 3e-3, None),
        ("training.lr", {"low": 1e-6, "high": 1e-2, "log": True}, 2e-6, (1e-7, 1e-2)),
        ("network.dropout", {"low": 0.0, "high": 0.5}, 0.46, (0.0, 0.75)),
        ("network.dropout", {"low": 0.0, "high": 0.5}, 0.01, None),  # nothing is below 0
        ("network.dropout", {"low": 0.2, "high": 0.5}, 0.21, (0.05, 0.5)),
        ("training.momentum", {"low": 0.5, "high": 0.99}, 0.98, None),  # 1 would be no momentum
        ("training.batch_size", {"low": 10, "high": 60, "step": 10}, 60, (10, 90)),
        ("training.batch_size", {"low": 4, "high": 60, "log": True}, 4, (1, 60)),
        ("training.batch_size", {"low": 20, "high": 20}, 20, None),
        ("training.batch_size", {"low": 40, "high": 64, "log": True}, 40, (4, 64)),
        ("training.batch_size", {"low": 10, "high": 15}, 15, (10, 18)),  # half of 5, in whole ones
        ("training.batch_size", {"low": 4, "high": 20}, 4, None),  # there is no batch of none
        ("training.batch_size", {"low": 12, "high": 20}, 12, (8, 20)),
        ("network.dropout", {"low": 0.1, "high": 0.5, "step": 0.1}, 0.5, (0.1, 0.7)),
        ("training.epochs", {"low": 1, "high": 9}, 9, None),  # longer is better by that alone
        ("training.seed", {"low": 1, "high": 9}, 9, None),
        ("network.activation", {"choices": ["relu", "tanh"]}, "relu", None),
    ],
)
def test_what_to_try(path: str, table: dict[str, Any], value: float, expected: Any) -> None:
    """Within a tenth of an end, on the range's own scale."""
    of = study(**{path.replace(".", "__"): table})
    found = {edge.path: edge.wider.ends() for edge in edges(of, of.space, {path: value})}
    assert found == ({} if expected is None else {path: expected})


def test_ends_are_told_round() -> None:
    """A range that rounds have moved about has ends that a person can read."""
    of = study(training__lr={"low": 9.999999999999982e-09, "high": 1e-2, "log": True})
    (edge,) = edges(of, of.space, {"training.lr": 9e-3})
    assert edge.wider.ends() == (1e-8, 0.1)
    (edge,) = edges(of, of.space, {"training.lr": 2e-8})
    assert edge.wider.ends() == (1e-9, 1e-2)
    of = study(network__dropout={"low": 0.0, "high": 0.30000000000000004})
    assert not list(edges(of, of.space, {"network.dropout": 0.01}))


def test_which_end() -> None:
    """Its value, and whether that is at the lower end; a place without a value lies nowhere."""
    of = study()
    (high,) = edges(of, of.space, {"training.lr": 0.99})
    (low,) = edges(of, of.space, {"training.lr": 1e-3, "network.dropout": 0.25})
    assert (high.value, high.low, high.searched) == (0.99, False, of.space["training.lr"])
    assert (low.value, low.low, low.path) == (1e-3, True, "training.lr")


def test_a_whole_front_lies_there() -> None:
    """Of several objectives each pulls to an end of its own: what all have in common counts."""
    of = study(training__lr={"low": 1e-6, "high": 1e-2, "log": True})
    best, small, middle = ({"training.lr": lr} for lr in (9e-3, 1e-6, 1e-4))
    high = {"training.lr": 8e-3}
    for front, found in (([best, high], 1), ([best, small], 0), ([best, middle], 0), ([], 1)):
        assert len(list(edges(of, of.space, best, front))) == found


def test_in_words() -> None:
    """The value, the range, and the one to try as a study file has it."""
    of = study(training__lr={"low": 1e-6, "high": 1e-2, "log": True})
    (edge,) = edges(of, of.space, {"training.lr": 0.00912345})
    assert views.edge(edge) == (
        "training.lr = 0.009123 lies at the high end of its range, 1e-06 to 0.01; a range to try: "
        "{ low = 1e-06, high = 0.1, log = true }"
    )


def test_what_all_rounds_have_searched_counts() -> None:
    """Where the study's range has grown, its old end is none any more."""
    of = study()
    grown = {**of.space, "training.lr": Range(1e-3, 100.0, log=True)}
    assert list(edges(of, grown, {"training.lr": 0.99})) == []
    assert [edge.path for edge in edges(of, of.space, {"training.lr": 0.99})] == ["training.lr"]
