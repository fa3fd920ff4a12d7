"""Splits are drawn by seed and never overlap."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.data import splits as data
from hpsearch.data.datasets import Dataset, load
from hpsearch.data.splits import Splits, split
from hpsearch.errors import DataError
from tests.hpsearch.data.sources import (
    RNG,
    dataset,
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    load("mnist5k", cache=folder)
    return folder


@st.composite
def cases(draw: st.DrawFn) -> tuple[Dataset, dict[str, Any]]:
    """A dataset whose first feature numbers its examples, and sizes that it is large enough for."""
    n = draw(st.integers(6, 60))
    y = draw(st.lists(st.sampled_from([0, 0, 0, 0, 1, 1, 2, 5]), min_size=n, max_size=n))
    y[:2] = [0, 1]
    pool = n
    if own_test := draw(st.booleans()):
        pool = draw(st.integers(3, n - 1))
    spare = 0 if own_test else 1
    if draw(st.booleans()):
        train = draw(st.integers(2, pool - spare))
        number = draw(st.integers(1, train - 1))
        validation: float | int = number / train
    else:
        train = draw(st.integers(1, pool - spare - 1))
        validation = number = draw(st.integers(1, pool - spare - train))
    left = n - pool if own_test else pool - train - (0 if isinstance(validation, float) else number)
    test = draw(st.none() | st.integers(1, left))
    x = np.stack([np.arange(n), RNG.integers(0, 9, n)], axis=1)
    found = dataset(x, y, pool if own_test else None)
    sizes = {"train": train, "validation": validation, "test": test}
    return found, {**sizes, "seed": draw(st.integers(0, 2**64))}


def rows(part: data.Split) -> list[int]:
    """Which examples of a dataset of ``cases`` are in a part that was not scaled."""
    return [int(row) for row in part.x[:, 0]]


@given(case=cases())
def test_parts_are_disjoint_and_of_the_sizes_asked_for(case: tuple[Dataset, Any]) -> None:
    """No example is in two parts, labels stay with their examples, and the counts are exact."""
    found, asked = case
    parts = split(found, **asked, scaling="none")
    everything = [rows(part) for part in (parts.train, parts.validation, parts.test)]
    flat = [row for drawn in everything for row in drawn]
    assert len(flat) == len(set(flat))
    for drawn, part in zip(everything, (parts.train, parts.validation, parts.test), strict=True):
        assert found.y[drawn].tolist() == part.y.tolist()
    train, validation = asked["train"], asked["validation"]
    taken = round(train * validation) if isinstance(validation, float) else 0
    pool = len(found.y) if found.test_start is None else found.test_start
    left = pool - train - (0 if taken else validation)
    own = len(found.y) - pool
    expected = [train - taken, taken or validation, asked["test"] or own or left]
    assert expected == [len(drawn) for drawn in everything]
    assert all(row >= pool for row in rows(parts.test)) or not own
    assert all(row < pool for row in rows(parts.train) + rows(parts.validation))


@given(case=cases())
def test_every_draw_is_stratified_within_one_example(case: tuple[Dataset, Any]) -> None:
    """Each class has in each draw its share of what was drawn from, less or more than one."""
    found, asked = case
    parts = split(found, **asked, scaling="none")

    def counts(*drawn: int) -> Any:
        return np.bincount(found.y[list(drawn)], minlength=found.classes)

    def assert_stratified(drawn: list[int], source: list[int]) -> None:
        exact = counts(*source) * len(drawn) / len(source)
        assert (np.abs(counts(*drawn) - exact) < 1 - 1e-9).all()

    pool = list(range(len(found.y[: found.test_start])))
    train, validation, test = rows(parts.train), rows(parts.validation), rows(parts.test)
    if isinstance(asked["validation"], float):
        assert_stratified(train + validation, pool)
        assert_stratified(validation, train + validation)
        assert_stratified(train, train + validation)
    else:
        assert_stratified(train, pool)
        assert_stratified(validation, [row for row in pool if row not in set(train)])
    own = list(range(len(pool), len(found.y)))
    assert_stratified(test, own or [row for row in pool if row not in {*train, *validation}])


def all_digests(parts: Splits) -> tuple[str, str, str]:
    return parts.train.digest, parts.validation.digest, parts.test.digest


@given(case=cases())
def test_splits_are_a_function_of_their_seed(case: tuple[Dataset, Any]) -> None:
    """The same dataset, sizes and seed give the same bits, whatever NumPy's global state."""
    found, asked = case
    before = all_digests(split(found, **asked))
    np.random.seed(1)
    assert before == all_digests(split(found, **asked))


@given(case=cases(), scaling=st.sampled_from(data.SCALINGS))
def test_scaling_never_sees_the_test_part(case: tuple[Dataset, Any], scaling: str) -> None:
    """Other test pixels leave training and validation as they are, bit for bit."""
    found, asked = case
    parts = split(found, **asked, scaling=scaling)
    x = found.x.copy()
    x[rows(split(found, **asked, scaling="none").test)] = 1000
    changed = split(dataset(x, found.y, found.test_start), **asked, scaling=scaling)
    assert all_digests(parts)[:2] == all_digests(changed)[:2]
    assert parts.digests["dataset"] != changed.digests["dataset"]


@given(case=cases(), scaling=st.sampled_from(data.SCALINGS))
def test_scaling_never_sees_the_validation_part(case: tuple[Dataset, Any], scaling: str) -> None:
    """Other validation pixels leave the training part as it is, bit for bit."""
    found, asked = case
    x = found.x.copy()
    x[rows(split(found, **asked, scaling="none").validation)] = 1000
    changed = split(dataset(x, found.y, found.test_start), **asked, scaling=scaling)
    assert split(found, **asked, scaling=scaling).train.digest == changed.train.digest


def test_the_book_splits_500_into_400_and_100(cache: Path) -> None:
    """500 of mnist5k with a fifth for validation: 40 and 10 of each digit, 4,500 sealed."""
    parts = split(load("mnist5k", cache=cache), train=500, validation=0.2, seed=0)
    assert np.bincount(parts.train.y).tolist() == [40] * 10
    assert np.bincount(parts.validation.y).tolist() == [10] * 10
    assert np.bincount(parts.test.y).tolist() == [450] * 10
    assert (parts.features, parts.classes, parts.source) == (784, 10, "mnist5k")
    assert (parts.train.x.dtype.name, parts.train.y.dtype.name) == ("float32", "int64")
    assert parts.train.x.flags.c_contiguous


def test_minmax_is_the_books_division_by_255(cache: Path) -> None:
    """On MNIST the scaled pixels are those of ``x.astype(float32) / 255``, to the bit."""
    mnist = load("mnist5k", cache=cache)
    raw, scaled = (
        split(mnist, train=500, validation=0.2, seed=3, scaling=scaling)
        for scaling in ("none", "minmax")
    )
    assert (raw.test.x / np.float32(255)).tobytes() == scaled.test.x.tobytes()


def test_parts_are_in_random_order(cache: Path) -> None:
    """The labels of a part are not sorted by class, nor the rare classes at one end."""
    y = split(load("mnist5k", cache=cache), train=4000, validation=500, seed=0).train.y
    assert int((y[1:] == y[:-1]).sum()) < 1000
    rare = dataset(np.arange(1000).reshape(1000, 1), [1] * 10 + [0] * 990)
    drawn = [split(rare, train=100, validation=50, seed=seed) for seed in range(200)]
    places = [int(np.argmax(parts.train.y)) for parts in drawn]
    assert np.mean(places) == pytest.approx(49.5, abs=6)


def test_another_seed_draws_other_examples() -> None:
    """Every example gets into the training part of some seed, and about equally often."""
    found = dataset(np.arange(20).reshape(20, 1), [0, 1] * 10)
    drawn = [
        rows(split(found, train=8, validation=2, seed=seed, scaling="none").train)
        for seed in range(500)
    ]
    often = np.bincount(np.concatenate(drawn), minlength=20)
    assert (np.abs(often - 200) < 60).all()


def test_the_training_examples_do_not_depend_on_the_test_part() -> None:
    """Asking for a smaller test part changes neither training nor validation."""
    found = dataset(np.arange(40).reshape(20, 2), [0, 1] * 10)
    parts = [split(found, train=8, validation=2, seed=5, test=test) for test in (None, 3)]
    assert len({all_digests(part)[:2] for part in parts}) == 1


def test_standard_scaling_leaves_constant_features_0() -> None:
    """Training features get mean 0 and deviation 1; one that is constant there is 0 everywhere."""
    x = RNG.normal(7, 3, (200, 4))
    x[:, 2] = 0.1
    y = np.arange(200) % 2
    sealed = rows(split(dataset(np.c_[np.arange(200), x], y), **HALF, scaling="none").test)
    x[sealed, 2] = 5
    parts = split(dataset(x, y), **HALF, scaling="standard")
    assert parts.train.x.mean(0) == pytest.approx([0, 0, 0, 0], abs=1e-6)
    assert parts.train.x.std(0) == pytest.approx([1, 1, 0, 1], abs=1e-6)
    assert not parts.test.x[:, 2].any()


HALF: dict[str, Any] = {"train": 100, "validation": 50, "seed": 0}


def test_minmax_keeps_what_lies_beyond_the_training_part() -> None:
    """The training part spans 0 to 1 exactly, other parts may reach beyond; constants are 0."""
    found = dataset(np.arange(200).reshape(200, 1) - 100.0, np.arange(200) % 2)
    constant = dataset(np.full((200, 3), 9), found.y)
    for scaling in ("minmax", "minmax-per-feature"):
        parts = split(found, **HALF, scaling=scaling)
        assert (parts.train.x.min(), parts.train.x.max()) == (0, 1)
        assert not split(constant, **HALF, scaling=scaling).train.x.any()


def test_minmax_per_feature_gives_each_its_own_range() -> None:
    """A feature of small numbers spans 0 to 1 as one of large numbers does."""
    x = RNG.normal(size=(200, 3)) * [1e-3, 1, 1e3] + [0, 5, -1e4]
    parts = split(dataset(x, np.arange(200) % 2), **HALF, scaling="minmax-per-feature")
    np.testing.assert_allclose(parts.train.x.min(0), 0, atol=1e-6)
    np.testing.assert_allclose(parts.train.x.max(0), 1, rtol=1e-6)
    one_range = split(dataset(x, np.arange(200) % 2), **HALF, scaling="minmax").train.x
    assert np.ptp(one_range[:, 0]) < 1e-5


@pytest.mark.parametrize(
    ("shape", "scaling"),
    [((9, 6), "standard"), ((9,), "standard"), ((9, 2, 3), "minmax"), ((9, 1, 2, 3), "minmax")],
)
def test_scaling_by_kind_of_data(shape: tuple[int, ...], scaling: str) -> None:
    """The features of an image have one range; all else is scaled per feature."""
    found = dataset(RNG.normal(size=shape), np.arange(9) % 3)
    asked: dict[str, Any] = {"train": 3, "validation": 3, "seed": 0}
    default = split(found, **asked)
    assert default.scaling == scaling
    assert default.digests == split(found, **asked, scaling=scaling).digests
    for asked_for in data.SCALINGS:
        assert split(found, **asked, scaling=asked_for).scaling == asked_for


@pytest.mark.parametrize("name", ["mnist5k", "digits"])
def test_the_libraries_images_have_one_range(name: str, cache: Path) -> None:
    """Their features are pixels, though the libraries give them flat."""
    assert split(load(name, cache=cache), train=50, validation=0.2, seed=0).scaling == "minmax"


@pytest.mark.parametrize("scaling", ["minmax", "minmax-per-feature", "standard"])
def test_scaling_that_ends_beyond_float32_is_refused(scaling: str) -> None:
    """A training part of nearly one value makes no infinities of an outlier elsewhere."""
    x = np.full((200, 1), 0.0)
    x[:100, 0] = np.arange(100) * 1e-30
    x[150:, 0] = 1e38
    with pytest.raises(DataError, match="too far from the training part's"):
        split(dataset(x, np.arange(200) % 2, 150), **{**HALF, "validation": 20}, scaling=scaling)


def test_a_rare_class_is_no_obstacle() -> None:
    """A class with one or two examples goes where rounding puts it."""
    found = dataset(np.arange(100).reshape(100, 1), [0] * 96 + [1, 2, 2, 3])
    parts = split(found, train=50, validation=0.2, seed=0)
    assert (len(parts.train.y), len(parts.validation.y), len(parts.test.y)) == (40, 10, 50)
    assert (
        sum(part.y.tolist().count(3) for part in (parts.train, parts.validation, parts.test)) == 1
    )


SMALL = dataset(np.arange(40).reshape(20, 2), [0, 1] * 10)
WITH_TEST = dataset(SMALL.x, SMALL.y, 12)


@pytest.mark.parametrize(
    ("found", "asked", "problem"),
    [
        (SMALL, {"train": 20}, "made: has 20 examples, too few for train = 20, validation = 0.2"),
        (SMALL, {"train": 15, "validation": 5}, "has 20 examples, too few for train = 15"),
        (SMALL, {"train": 15, "test": 6}, "test = 6"),
        (WITH_TEST, {"train": 13}, "has 12 examples and 8 for testing, too few for train = 13"),
        (WITH_TEST, {"train": 8, "validation": 5}, "has 12 examples and 8 for testing"),
        (WITH_TEST, {"train": 8, "test": 9}, "test = 9"),
        (SMALL, {"train": 2}, "data.validation: 0.2 of 2 examples leaves one part empty"),
        (SMALL, {"train": 2, "validation": 0.9}, "leaves one part empty"),
        (SMALL, {"validation": 0.0}, "leaves one part empty"),
        (SMALL, {"validation": 1.0}, "leaves one part empty"),
        (SMALL, {"validation": math.nan}, "leaves one part empty"),
        (SMALL, {"validation": 0}, "data.validation: 0 examples"),
        (SMALL, {"train": 0}, "data.train: 0 examples"),
        (SMALL, {"test": -1}, "data.test: -1 examples"),
        (SMALL, {"seed": -1}, "data.seed: -1 is negative"),
        (SMALL, {"scaling": "log"}, "data.scaling: unknown 'log'; use one of minmax, minmax"),
    ],
)
def test_impossible_splits_get_one_line(
    found: Dataset, asked: dict[str, Any], problem: str
) -> None:
    """What cannot be drawn is refused, with how many examples there are."""
    arguments = {"train": 10, "validation": 0.2, "seed": 0, **asked}
    with pytest.raises(DataError) as caught:
        split(found, **arguments)
    assert problem in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_digests_are_named_by_part() -> None:
    """What is recorded of the data: the digest of the whole and of each part."""
    parts = split(SMALL, train=10, validation=0.2, seed=0)
    train, validation, test = all_digests(parts)
    recorded = {"dataset": SMALL.digest, "train": train, "validation": validation, "test": test}
    assert recorded == parts.digests


def test_all_examples_may_be_used() -> None:
    """A dataset with a test part of its own may be trained on up to the last other example."""
    parts = split(WITH_TEST, train=12, validation=0.25, seed=0)
    assert (len(parts.train.y), len(parts.validation.y), len(parts.test.y)) == (9, 3, 8)
