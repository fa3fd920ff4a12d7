"""After which epochs a trial may be stopped."""

from __future__ import annotations

from typing import Any

import pytest

from hpsearch.search.rungs import most_steps, own_epochs, rung_steps
from tests.conftest import study


@pytest.mark.parametrize(
    ("pruner", "changes", "expected"),
    [
        ("none", {}, []),
        ("median", {}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ("median", {"search__min_epochs": 6}, [6, 7, 8]),
        ("hyperband", {}, [1, 3]),  # and not the last, the ninth
        ("hyperband", {"search__min_epochs": 2, "search__reduction_factor": 2}, [2, 4, 8]),
        ("hyperband", {"search__min_epochs": 9}, []),
        ("median", {"training__repeats": 4}, [1, 2, 3]),  # after each repeat, whatever its epochs
        ("halving", {"training__repeats": 5}, [1, 3]),
        ("wilcoxon", {"training__repeats": 5}, [2, 3, 4]),
        ("wilcoxon", {"training__repeats": 5, "search__min_epochs": 4}, [4]),
    ],
)
def test_rungs(pruner: str, changes: dict[str, Any], expected: list[int]) -> None:
    """From the first epoch that may be judged by to the last but one of nine."""
    of = study(training__epochs=9, search__pruner=pruner, **changes)
    assert expected == list(rung_steps(of))


def test_epochs_of_a_trial() -> None:
    """A trial has its own where they are searched; the most that any may have are the study's."""
    of = study(training__epochs={"low": 2, "high": 9})
    assert (most_steps(of), own_epochs(of, {"training.epochs": 4})) == (9, 4)
    assert own_epochs(study(training__epochs=5), {}) == 5
