"""What is filled in and what becomes one-hot is learned on the training part alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.data.columns import Column
from hpsearch.data.datasets import Dataset, checked
from hpsearch.data.features import learn
from hpsearch.data.splits import Splits, split
from hpsearch.errors import DataError
from tests.hpsearch.data.sources import dataset

NAN = np.nan
COLUMNS = (Column("mass"), Column("colour", ("brown", "grey", "white")), Column("length"))
X = np.array([[1, 0, 10], [3, 1, NAN], [5, 1, 30], [NAN, NAN, 50], [100, 2, 60], [1, 0, 70]])
Y = np.array([0, 1, 0, 1, 0, 1])
TRAIN = np.array([0, 1, 2, 3])


def table(x: Any = X, y: Any = Y) -> Dataset:
    """A table of three columns, of which the second is one of categories."""
    return checked("made", "made", np.array(x, np.float64), np.array(y), columns=COLUMNS)


def test_missing_values_are_refused_with_column_and_count() -> None:
    """Without ``missing`` the error names each column, and how many values it lacks."""
    problem = r"made: values are missing in column 'mass' \(1\), column 'colour' \(1\), column 'len"
    with pytest.raises(DataError, match=problem) as caught:
        split(table(), train=3, validation=2, seed=0)
    assert str(caught.value).endswith('fill them in, or set data.missing = "mean"')
    with pytest.raises(DataError, match=r"values are missing in feature 1 \(2\)"):
        split(dataset([[1.0, NAN], [2, 1], [2, NAN], [3, 1]], [0, 1, 0, 1]), **SMALL)


SMALL: dict[str, Any] = {"train": 2, "validation": 0.5, "seed": 0}


def test_numbers_get_the_mean_and_categories_the_shares() -> None:
    """Of four training examples, one lacks each: the other three say what takes its place."""
    found = learn(table(), TRAIN, "mean")
    assert found.names == ("mass", "colour=brown", "colour=grey", "length")
    third = 1 / 3
    expected = [[1, 1, 0, 10], [3, 0, 1, 30], [5, 0, 1, 30], [3, third, 2 * third, 50]]
    np.testing.assert_allclose(found.of(X[:4]), expected)


def test_a_category_that_training_lacks_is_none_of_those_it_has() -> None:
    """White is in no training example: such an example is neither brown nor grey."""
    found = learn(table(), TRAIN, "mean")
    assert found.of(X[4:5]).tolist() == [[100, 0, 0, 60]]


def test_a_column_without_any_value_is_refused() -> None:
    """What no training example has cannot be filled in."""
    x = X.copy()
    x[:4, 2] = NAN
    with pytest.raises(DataError, match="no training example has a value for column 'length'"):
        learn(table(x), TRAIN, "mean")


def sealed(missing: bool) -> tuple[Dataset, dict[str, Any], np.ndarray[Any, Any]]:
    """A larger table, its split, and its rows outside the training part."""
    rng = np.random.default_rng(2)
    x = np.stack([rng.normal(size=60), rng.integers(0, 3, 60), rng.normal(size=60)], axis=1)
    if missing:
        x[rng.random(x.shape) < 0.1] = NAN
    found = table(x, np.arange(60) % 2)
    sizes = {"train": 30, "validation": 10, "seed": 0, "missing": "mean"}
    parts = split(found, **sizes)
    return found, sizes, np.concatenate([parts.validation.rows, parts.test.rows])


@given(seed=st.integers(0, 99), scaling=st.sampled_from(["minmax", "standard", "none"]))
def test_the_other_parts_are_never_seen(seed: int, scaling: str) -> None:
    """Whatever the other parts hold, the training part stays what it is, bit for bit."""
    found, sizes, others = sealed(missing=True)
    rng = np.random.default_rng(seed)
    x = found.x.copy()
    x[others] = np.where(rng.random((len(others), 3)) < 0.3, NAN, rng.integers(0, 3, (30, 3)))
    changed = split(table(x, found.y), **sizes, scaling=scaling)
    assert split(found, **sizes, scaling=scaling).train.digest == changed.train.digest


def values(parts: Splits) -> np.ndarray[Any, Any]:
    return np.concatenate([parts.train.x, parts.validation.x, parts.test.x])


@pytest.mark.parametrize("scaling", ["minmax", "standard"])
def test_scaling_leaves_categories_as_they_are(scaling: str) -> None:
    """One-hot features are 0 and 1 whatever the scaling, and numbers are scaled beside them."""
    found, sizes, _ = sealed(missing=False)
    parts = split(found, **sizes, scaling=scaling)
    assert parts.features == 5
    assert {0, 1} == set(values(parts)[:, 1:4].ravel().tolist())
    assert values(parts)[:, 1:4].sum(axis=1).tolist() == [1] * 60
    numbers = parts.train.x[:, [0, 4]]
    if scaling == "minmax":
        assert (numbers.min(), numbers.max()) == (0, 1)
    else:
        assert numbers.mean(axis=0) == pytest.approx([0, 0], abs=1e-6)


def test_a_table_of_categories_alone_is_scaled_by_nothing() -> None:
    """Where there are no numbers, every feature is 0 or 1."""
    x = np.arange(40)[:, None] % 3
    only = checked(
        "made", "made", x.astype(float), np.arange(40) % 2, columns=(Column("a", ("x", "y", "z")),)
    )
    assert {0, 1} == set(values(split(only, train=20, validation=0.5, seed=0)).ravel().tolist())


def test_without_missing_values_mean_changes_nothing() -> None:
    """Data that lacks nothing is the same with and without ``missing``, to the bit."""
    found = dataset(np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2)
    sizes: dict[str, Any] = {"train": 20, "validation": 0.5, "seed": 0}
    assert split(found, **sizes).digests == split(found, **sizes, missing="mean").digests
