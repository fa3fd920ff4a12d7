"""The losses and the penalty."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import net
from net.arrays import Array
from net.gradient import relative_error

FLOAT64 = np.dtype(np.float64)

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 7)


def value(loss: net.SoftmaxCrossEntropy | net.MeanSquaredError, y: Array, target: Any) -> float:
    """The loss of a batch."""
    loss.forward(y, target)
    return loss.value()


def test_cross_entropy_by_hand() -> None:
    """Of the probabilities 0.6 and 0.05 it is -log 0.6 and -log 0.05 (4.2.2), here averaged."""
    p = np.array([[0.1, 0.6, 0.3], [0.05, 0.9, 0.05]])
    loss = net.SoftmaxCrossEntropy(2, 3, FLOAT64)
    expected = -(math.log(0.6) + math.log(0.05)) / 2
    assert value(loss, np.log(p) + 7, np.array([1, 2])) == pytest.approx(expected)
    np.testing.assert_allclose(loss.predictions(np.log(p) - 7), p)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, n=sizes, classes=sizes)
def test_cross_entropy_gradient(seed: int, n: int, classes: int) -> None:
    """Its gradient by the logits is the numerical one, to 1e-7."""
    rng = np.random.default_rng(seed)
    loss, x = net.SoftmaxCrossEntropy(n, classes, FLOAT64), rng.normal(size=(n, classes))
    t = rng.integers(0, classes, n)
    before = value(loss, x, t)
    dx = loss.backward().copy()
    assert loss.value() == before
    assert relative_error(dx, net.numerical_gradient(lambda x: value(loss, x, t), x)) <= 1e-7


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_at_extreme_logits(dtype: type[np.float32]) -> None:
    """At ±1e4 loss, probabilities and gradient are finite, and the loss is half their distance."""
    logits = np.array([[1e4, -1e4], [-1e4, 1e4]], dtype)
    loss = net.SoftmaxCrossEntropy(2, 2, np.dtype(dtype))
    assert value(loss, logits, np.array([0, 0])) == pytest.approx(1e4)
    assert loss.backward().tolist() == [[0, 0], [-0.5, 0.5]]
    assert loss.predictions(logits).tolist() == [[1, 0], [0, 1]]


@settings(max_examples=40, deadline=None)
@given(seed=seeds, n=sizes, outputs=sizes)
def test_mean_squared_error(seed: int, n: int, outputs: int) -> None:
    """It is half the sum of squares by the batch's size, with the gradient (y - t) / n."""
    rng = np.random.default_rng(seed)
    y, t = rng.normal(size=(2, n, outputs))
    loss = net.MeanSquaredError(n, outputs, FLOAT64)
    by_hand = sum((a - b) ** 2 for a, b in zip(y.flat, t.flat, strict=True)) / 2 / n
    assert value(loss, y, t) == pytest.approx(by_hand)
    dy = loss.backward().copy()
    assert relative_error(dy, net.numerical_gradient(lambda y: value(loss, y, t), y)) <= 1e-7


def test_penalty_adds_its_gradient() -> None:
    """λ W is added to the gradient, over arrays longer than a block too."""
    rows = np.random.default_rng(0).normal(size=(2, 200_003))
    expected = rows[1] + 0.1 * rows[0]
    net.L2Penalty(rows, 0.1).add_gradient()
    np.testing.assert_allclose(rows[1], expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_penalty_descends_as_sgd_would(dtype: type[np.float32]) -> None:
    """W - lr (g + λ W) to the type's rounding; decay is there on average below its epsilon, too."""
    rows = np.random.default_rng(0).normal(size=(2, 200_003)).astype(dtype)
    weights, gradients = rows.astype(np.float64)
    net.L2Penalty(rows, 1e-7).descend(0.1)
    step = 0.1 * (gradients + 1e-7 * weights)
    epsilon = np.finfo(dtype).eps
    np.testing.assert_allclose(rows[0], weights - step, rtol=epsilon, atol=2 * epsilon)
    assert np.mean((rows[0] - weights + 0.1 * gradients) * weights) == pytest.approx(
        -0.1 * 1e-7 * np.mean(weights**2), rel=0.2
    )


def test_a_batch_of_none_has_activations_of_none() -> None:
    """Nothing goes through the network, and nothing fails."""
    network = net.Network(3, [4], 2, rng=np.random.default_rng(0))
    assert [each.shape for each in network.activations(np.empty((0, 3)))] == [(0, 4)]
