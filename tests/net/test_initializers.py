"""The spread of the first weights, and what it does to activations (6.2)."""

import math

import numpy as np
import pytest

import net


@pytest.mark.parametrize(
    ("init", "expected"),
    [("he", math.sqrt(2 / 400)), ("xavier", math.sqrt(1 / 400)), (0.01, 0.01), (1, 1.0)],
)
def test_weights_have_the_standard_deviation(init: str | float, expected: float) -> None:
    """Weights scatter around 0 as asked; biases are 0."""
    network = net.Network(400, [300], 10, init=init, rng=np.random.default_rng(0))
    weight = network.state["layers.0.weight"]
    assert net.standard_deviation(init, 400) == pytest.approx(expected)
    assert weight.std() == pytest.approx(expected, rel=0.02)
    assert abs(weight.mean()) < 0.02 * expected
    assert not network.state["layers.0.bias"].any()


@pytest.mark.parametrize(
    ("init", "low", "high"), [("he", 0.4, 1.2), (0.01, 0.0, 1e-4), ("xavier", 0.05, 0.3)]
)
def test_activations_of_deep_relu_networks(init: str | float, low: float, high: float) -> None:
    """After five ReLU layers He keeps the spread, Xavier loses some, 0.01 all of it (Fig. 6-14)."""
    rng = np.random.default_rng(0)
    network = net.Network(100, [100] * 5, 10, init=init, rng=rng)
    last = network.activations(rng.normal(size=(1000, 100)))[-1]
    assert low < last.std() < high


@pytest.mark.parametrize("init", ["hee", -0.1, math.nan, math.inf])
def test_unknown_init(init: str | float) -> None:
    """A misspelt name or an impossible deviation is an error that repeats it."""
    with pytest.raises(ValueError, match=str(init)):
        net.standard_deviation(init, 10)


def test_float32_and_float64_start_alike() -> None:
    """The first weights of a float32 network are the float64 network's, rounded."""
    single, double = (
        net.Network(5, [4], 3, dtype=dtype, rng=np.random.default_rng(0)).parameters
        for dtype in (np.float32, np.float64)
    )
    np.testing.assert_array_equal(single, double.astype(np.float32))
