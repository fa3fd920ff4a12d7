"""Equal examples in two parts are counted, and kept in one part where that is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.data.datasets import Dataset
from hpsearch.data.duplicates import between, groups
from hpsearch.data.facts import facts, remarks
from hpsearch.data.splits import Splits, split
from hpsearch.errors import DataError
from tests.hpsearch.data.sources import dataset

SIZES: dict[str, Any] = {"train": 400, "validation": 0.25, "seed": 0}


def repeated(times: int = 10) -> Dataset:
    """60 images so many times over, with random labels."""
    rng = np.random.default_rng(1)
    x = np.tile(rng.integers(0, 256, (60, 4), dtype=np.uint8), (times, 1))
    return dataset(x, rng.integers(0, 2, len(x)))


def rows(parts: Splits) -> list[list[int]]:
    return [part.rows.tolist() for part in (parts.train, parts.validation, parts.test)]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), min_size=1, max_size=30))
def test_a_group_is_named_by_its_first_row(pairs: list[tuple[int, int]]) -> None:
    """Rows have a number in common exactly if all of their features are the same."""
    expected = [pairs.index(pair) for pair in pairs]
    assert groups(np.array(pairs)).tolist() == expected


def test_equal_means_byte_for_byte() -> None:
    """Values that are not a number are equal to themselves, and 0.0 is not -0.0."""
    assert groups(np.array([[np.nan], [0.0], [np.nan], [-0.0]])).tolist() == [0, 1, 0, 3]


def test_what_is_counted() -> None:
    """Each validation or test example counts once that a part before it has, not those within."""
    x = np.array([[0], [1], [1], [0], [0], [2], [2], [1], [3]])
    found = between(x, np.array([0, 1, 2]), np.array([3, 4, 5]), np.array([6, 7, 8]))
    assert found == {"validation": 2, "test": 2}


def test_random_labels_are_learned_by_heart_unless_equal_ones_stay_together() -> None:
    """60 images ten times over are in all parts; together, they are in one each."""
    found = repeated()
    apart, together = split(found, **SIZES), split(found, **SIZES, duplicates="together")
    assert facts(found, apart)["duplicates"] == {"validation": 100, "test": 200}
    assert facts(found, together)["duplicates"] == {"validation": 0, "test": 0}
    assert [len(part) for part in rows(together)] == [300, 100, 200]


@st.composite
def grouped(draw: st.DrawFn) -> tuple[Dataset, dict[str, Any]]:
    """A dataset of few different examples, and sizes that may or may not fit its groups."""
    n = draw(st.integers(8, 60))
    x = np.array(draw(st.lists(st.integers(0, draw(st.integers(0, 40))), min_size=n, max_size=n)))
    y = np.array(draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    y[:2] = [0, 1]
    start = draw(st.none() | st.integers(4, n - 1))
    train = draw(st.integers(2, n))
    validation = draw(st.integers(2, n) | st.floats(0.01, 0.99))
    sizes = {"train": train, "validation": validation, "seed": draw(st.integers(0, 99))}
    return dataset(x[:, None], y, start), sizes


@given(case=grouped())
def test_no_example_is_in_two_parts(case: tuple[Dataset, dict[str, Any]]) -> None:
    """Whatever the groups, parts share no example, and none is larger than was asked for."""
    found, sizes = case
    try:
        parts = split(found, **sizes, duplicates="together")
    except DataError:
        return
    assert facts(found, parts)["duplicates"] == {"validation": 0, "test": 0}
    train, validation, test = rows(parts)
    drawn = train + validation + test
    assert len(drawn) == len(set(drawn))
    asked = sizes["validation"]
    number = asked if isinstance(asked, int) else round(sizes["train"] * asked)
    assert number >= len(validation)
    assert sizes["train"] >= len(train) + (0 if isinstance(asked, int) else len(validation))
    own = None if found.test_start is None else list(range(found.test_start, len(found.y)))
    assert own is None or own == sorted(test)


@given(seed=st.integers(0, 99), own=st.booleans(), asked=st.sampled_from([0.2, 7]))
def test_without_equal_examples_nothing_changes(seed: int, own: bool, asked: float) -> None:
    """Where no two examples are equal, the split is the same as without the setting."""
    y = np.random.default_rng(seed).integers(0, 4, 60)
    found = dataset(np.arange(60)[:, None], y, 45 if own else None)
    sizes: dict[str, Any] = {"train": 30, "validation": asked, "seed": seed, "test": 5}
    plain, together = split(found, **sizes), split(found, **sizes, duplicates="together")
    assert rows(plain) == rows(together)
    assert plain.digests == together.digests


def test_a_test_part_of_its_own_keeps_what_equals_it() -> None:
    """Examples that equal one of the dataset's test part are in no other part."""
    found = dataset(np.array([*range(20), *range(5)])[:, None], np.arange(25) % 2, 20)
    parts = split(found, train=10, validation=5, seed=0, duplicates="together")
    assert set(range(5, 20)) == {*parts.train.rows.tolist(), *parts.validation.rows.tolist()}
    with pytest.raises(
        DataError, match="made: has 15 examples without duplicates among the 5 for test"
    ):
        split(found, train=11, validation=5, seed=0, duplicates="together")


def test_groups_that_fit_nowhere_are_refused() -> None:
    """Two images fifty times each fill no three parts."""
    found = dataset(np.repeat([[0], [1]], 50, axis=0), [0] * 50 + [1] * 50)
    with pytest.raises(DataError, match="no validation examples are left when duplicates stay"):
        split(found, train=50, validation=20, seed=0, duplicates="together")


def test_what_is_said() -> None:
    """One sentence for what is equal, one for names that are not 0 … classes - 1; else nothing."""
    found = repeated()
    (line,) = remarks(facts(found, split(found, **SIZES)))
    assert line.startswith(
        "100 of 100 validation examples are duplicates of training examples, and 200 of 200 test "
        "examples are duplicates of examples in the other parts: results look better than they "
        "are; "
    )
    assert list(remarks(facts(found, split(found, **SIZES, duplicates="together")))) == []
    named = dataset(np.arange(60)[:, None], np.array(["cat", "dog", "eel"])[np.arange(60) % 3])
    made = facts(named, split(named, train=30, validation=9, seed=0))
    assert list(remarks(made)) == ["3 classes: cat, dog, eel"]
    assert made["sizes"] == {"train": 30, "validation": 9, "test": 21}
    assert list(remarks({})) == [], "a study of before"
