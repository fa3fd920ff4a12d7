"""An axis shows most of what there is, whatever the rest."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.report import scale

LOSSES = np.linspace(0.5, 2.5, 19)


def test_usual_losses_are_linear_from_zero() -> None:
    """As in the book's figures."""
    assert scale.numbers(LOSSES, floor=0.0) == scale.Scale(0.0, 2.625)


@pytest.mark.parametrize("outlier", [244.0, 1e30])
def test_an_outlier_is_cut_off_and_said(outlier: float) -> None:
    """The axis is that of the others, and its label says where it ends."""
    axis = scale.numbers(np.append(LOSSES, outlier), floor=0.0)
    assert (axis.low, axis.high, axis.label) == (0.0, 2.625, ", cut at 2.5")


def test_many_magnitudes_take_a_log_scale() -> None:
    """Which the label says, too."""
    axis = scale.numbers(np.geomspace(1e-4, 1, 50))
    assert axis.log
    assert axis.label == ", log scale"
    assert axis.low < 1e-4 < 1 < axis.high


def test_equal_values_have_room() -> None:
    """Zero among them."""
    for value in (0.0, 3.0, -2.0):
        axis = scale.numbers(np.full(9, value))
        assert axis.low < value < axis.high


def test_accuracies_stay_accuracies() -> None:
    """No axis of them goes far beyond 0 and 1."""
    for values in (np.zeros(5), np.ones(5), np.linspace(0, 1, 5)):
        axis = scale.accuracies(values)
        assert -0.02 < axis.low < axis.high < 1.02
        assert axis.low <= values.min() <= values.max() <= axis.high


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=60))
def test_most_values_are_inside(values: list[float]) -> None:
    """At least the middle half of them; and nothing warns."""
    found = np.array(values, dtype=np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        axis = scale.numbers(found)
    finite = found[np.isfinite(found)]
    assert np.isfinite([axis.low, axis.high]).all()
    assert axis.low < axis.high
    assert not axis.log or axis.low > 0
    if finite.size:
        inside = (finite >= axis.low) & (finite <= axis.high)
        assert inside.sum() * 2 >= finite.size
