"""After which epochs a trial may be stopped."""

from __future__ import annotations

from typing import Any

import pytest

from hpsearch.ledger.records import Fold
from hpsearch.search.rungs import (
    measured,
    most_steps,
    own_epochs,
    own_steps,
    rung_steps,
    step_name,
)
from hpsearch.study import file as study_file
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


def test_what_a_step_is() -> None:
    """An epoch; of a trial that trains several times, each training, whatever its epochs."""
    of = study(training__epochs={"low": 2, "high": 9}, training__repeats=4)
    assert (most_steps(of), own_steps(of, {"training.epochs": 3})) == (4, 4)
    assert own_steps(study(training__epochs={"low": 2, "high": 9}), {"training.epochs": 3}) == 3
    assert most_steps(study(training__epochs=0)) == 1
    assert [step_name(each) for each in (study(), of)] == ["epoch", "repeat"]
    table = study().definition()
    del table["data"]["validation"]
    folds = study_file.parse(table | {"data": table["data"] | {"folds": 3}})
    assert (step_name(folds), most_steps(folds)) == ("fold", 3)


def test_what_is_shown_after_each_fold() -> None:
    """The mean so far; to a pruner that compares fold by fold, what each came to."""
    folds = [Fold(1, 10, 0.5), Fold(1, 30, 0.9)]
    assert measured(study(training__repeats=2, search__pruner="median"), folds) == [
        0.5,
        pytest.approx(0.8),
    ]
    assert measured(study(training__repeats=3, search__pruner="wilcoxon"), folds) == [0.5, 0.9]
