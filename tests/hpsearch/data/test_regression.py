"""Labels of a regression are numbers: read as such, drawn without classes, scaled by training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.data import labels
from hpsearch.data.datasets import Dataset, checked, load
from hpsearch.data.facts import facts, remarks
from hpsearch.data.splits import Splits, split
from hpsearch.errors import DataError
from tests.hpsearch.data.sources import write_npz

RNG = np.random.default_rng(0)
N = 60
SIZES: dict[str, Any] = {"train": 30, "validation": 10, "seed": 0}


def numbers(y: Any, test_start: int | None = None) -> Dataset:
    """A dataset whose one feature numbers its examples."""
    x = np.arange(len(y))[:, None]
    return checked("made", "made", x, np.array(y), test_start, task="regression")


def parts_of(parts: Splits) -> list[Any]:
    return [parts.train, parts.validation, parts.test]


@pytest.mark.parametrize("y", [[1.5, 2, 2], ["1.5", "2", " 2e0 "], np.array([3, 4, 4], ">f2") / 2])
def test_labels_are_numbers(y: Any) -> None:
    """Numbers of any type, and numbers written as text, are themselves."""
    found = labels.numbers("here", np.array(y))
    assert found.y.tolist() == [1.5, 2, 2]
    assert ((), np.float64) == (found.names, found.y.dtype)


@pytest.mark.parametrize(
    ("y", "problem"),
    [
        (["1", "two", "3"], "example 1 has the label 'two'; for a regression, labels must be num"),
        ([1.0, np.nan, 2], "example 1 has the label nan; labels must be finite float32 numbers"),
        ([1.0, 1e39], "example 1 has the label 1e+39"),
        ([2.0, 2.0], "every label is 2.0"),
    ],
)
def test_labels_that_are_no_numbers(y: Any, problem: str) -> None:
    """What cannot be learned as a number is named, with its example."""
    with pytest.raises(DataError) as caught:
        labels.numbers("here", np.array(y))
    assert f"here: {problem}" in str(caught.value)


@pytest.mark.parametrize("y", [[1.5, 2.0, 3.0], ["1.5", "2", "3"]])
def test_numbers_are_not_taken_for_classes(y: Any) -> None:
    """Without the task, fractions are refused as classes, also as text, and the task is named."""
    problem = r'example 0 has the label 1.5; .* data.task = "regression"'
    with pytest.raises(DataError, match=problem):
        labels.encode("here", np.array(y))


def test_every_source_has_the_task(tmp_path: Path) -> None:
    """The same numbers are read from .npz and CSV; what holds classes alone is refused."""
    y = np.arange(12) / 4
    npz = load(f"npz:{write_npz(tmp_path / 'd.npz', y=y)}", task="regression")
    (tmp_path / "d.csv").write_text("x,y\n" + "".join(f"{i},{t}\n" for i, t in enumerate(y)))
    table = load(f"csv:{tmp_path / 'd.csv'}#y", task="regression")
    assert y.tolist() == npz.y.tolist() == table.y.tolist()
    assert 0 == npz.classes == table.classes
    with pytest.raises(DataError, match="digits: its labels are classes"):
        load("digits", task="regression")


def test_targets_are_scaled_by_the_training_part() -> None:
    """Training labels get mean 0 and deviation 1, others the same shift; the facts keep it."""
    y = RNG.normal(1e5, 3e4, N)
    found = numbers(y)
    parts = split(found, **SIZES)
    assert pytest.approx((parts.train.y.mean(), parts.train.y.std()), abs=1e-9) == (0, 1)
    kept = facts(found, parts)
    for part in parts_of(parts):
        back = part.y * kept["target"]["deviation"] + kept["target"]["mean"]
        assert y[part.rows] == pytest.approx(back)
    assert kept["classes"] == []
    assert list(remarks(kept)) == []


def test_other_parts_labels_are_never_seen() -> None:
    """Whatever the labels outside the training part, it stays what it is, bit for bit."""
    y = RNG.normal(size=N)
    parts = split(numbers(y), **SIZES)
    others = np.concatenate([parts.validation.rows, parts.test.rows])
    y[others] += 9
    assert parts.train.digest == split(numbers(y), **SIZES).train.digest


def test_the_parts_are_drawn_at_random() -> None:
    """Sizes are exact, no example is in two parts, and the labels do not decide."""
    y = np.sort(RNG.normal(size=N))
    parts, others = split(numbers(y), **SIZES), split(numbers(y[::-1]), **SIZES)
    rows = [part.rows.tolist() for part in parts_of(parts)]
    assert [len(part) for part in rows] == [30, 10, 20]
    assert list(range(N)) == sorted(row for part in rows for row in part)
    assert rows == [part.rows.tolist() for part in parts_of(others)]


def test_equal_training_labels_are_refused() -> None:
    """Where the training part has one label, nothing can be learned of it."""
    y = np.zeros(N)
    y[split(numbers(np.arange(N)), **SIZES).test.rows] = 1
    with pytest.raises(DataError, match="made: every training label is 0"):
        split(numbers(y), **SIZES)
