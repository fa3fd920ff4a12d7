"""Macro F1 against its definition and scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

import net

LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


@given(LABELS)
def test_it_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    """The same over any labels: classes that occur nowhere are left out by both."""
    predicted, labels = np.array(pairs).T
    expected = f1_score(labels, predicted, average="macro", zero_division=0)
    assert net.macro_f1(net.class_counts(predicted, labels, 5)) == pytest.approx(expected)


def test_by_hand() -> None:
    """Class 0: right 1, said 2, labelled 1; class 1: right 1, said 1, labelled 2."""
    counts = net.class_counts(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    assert counts.tolist() == [[1, 1, 0], [2, 1, 0], [1, 2, 0]]
    assert net.macro_f1(counts) == pytest.approx(2 / 3)


def test_counts_add_up() -> None:
    """Those of two halves are together those of the whole."""
    rng = np.random.default_rng(0)
    predicted, labels = rng.integers(0, 3, (2, 20))
    halves = [net.class_counts(predicted[s], labels[s], 3) for s in (slice(0, 7), slice(7, 20))]
    assert np.array_equal(halves[0] + halves[1], net.class_counts(predicted, labels, 3))
