"""Each layer: values by hand, gradients against numerical ones, extreme inputs."""

import weakref
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import net
from net.arrays import Array, Parameter, constant
from net.gradient import relative_error

FLOAT64 = np.dtype(np.float64)

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 7)


def parameter(value: Array) -> Parameter:
    """A parameter whose gradient is not there yet."""
    return Parameter(value, np.full_like(value, np.nan))


def away_from_zero(rng: np.random.Generator, n: int, units: int) -> Array:
    """Numbers of both signs, none within 0.1 of 0."""
    x = rng.normal(size=(n, units))
    return x + 0.1 * np.sign(x)


def error_of_dx(layer: net.Layer, x: Array, rng: np.random.Generator) -> float:
    """The error of dL/dx against the numerical gradient, for L a random sum of the outputs."""
    dy = rng.normal(size=layer.forward(x.copy()).shape)
    dx = layer.backward(dy.copy()).copy()
    numerical = net.numerical_gradient(lambda x: float(np.sum(dy * layer.forward(x.copy()))), x)
    return relative_error(dx, numerical)


def error_of(p: Parameter, layer: net.Layer, x: Array, rng: np.random.Generator) -> float:
    """The same for a parameter of the layer."""
    dy = rng.normal(size=layer.forward(x.copy()).shape)
    layer.backward(dy.copy())
    backpropagated = p.gradient.copy()
    numerical = net.numerical_gradient(
        lambda _: float(np.sum(dy * layer.forward(x.copy()))), p.value
    )
    return relative_error(backpropagated, numerical)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, n=sizes, inputs=sizes, outputs=sizes)
def test_affine(seed: int, n: int, inputs: int, outputs: int) -> None:
    """Affine is x W + b, and its three gradients are right."""
    rng = np.random.default_rng(seed)
    weight, bias = (
        parameter(rng.normal(size=(inputs, outputs))),
        parameter(rng.normal(size=outputs)),
    )
    layer, x = net.Affine(weight, bias, n), rng.normal(size=(n, inputs))
    np.testing.assert_allclose(
        layer.forward(x),
        [[row @ w + b for w, b in zip(weight.value.T, bias.value, strict=True)] for row in x],
        rtol=1e-12,
        atol=1e-12,
    )
    assert error_of_dx(layer, x, rng) <= 1e-7
    assert error_of(weight, layer, x, rng) <= 1e-7
    assert error_of(bias, layer, x, rng) <= 1e-7


def test_no_memory_for_a_gradient_that_nobody_asks_for() -> None:
    """Memory that was never written holds what others left there: of the test part, perhaps."""
    rng = np.random.default_rng(0)
    layer = net.Affine(parameter(rng.normal(size=(5, 2))), parameter(np.zeros(2)), 3)
    x = rng.normal(size=(3, 5))
    layer.forward(x)
    layer.differentiate(rng.normal(size=(3, 2)))
    own = [a for a in vars(layer).values() if isinstance(a, np.ndarray) and a is not x]
    assert sorted(a.shape for a in own) == [(3,), (3, 2)]


@settings(max_examples=30, deadline=None)
@given(seed=seeds, n=sizes, units=sizes)
@pytest.mark.parametrize(
    ("kind", "f"),
    [
        (net.ReLU, lambda x: x if x > 0 else 0.0),
        (net.Sigmoid, lambda x: 1 / (1 + np.exp(-x))),
        (net.Tanh, lambda x: (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1)),
    ],
)
def test_activations(
    kind: type[net.ReLU], f: Callable[[float], float], seed: int, n: int, units: int
) -> None:
    """An activation is its function of each number, and has its derivative."""
    rng = np.random.default_rng(seed)
    layer, x = kind(n, units, FLOAT64), away_from_zero(rng, n, units)
    expected = [[f(value) for value in row] for row in x]
    np.testing.assert_allclose(layer.forward(x.copy()), expected, rtol=1e-12)
    assert error_of_dx(layer, x, rng) <= 1e-7


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [net.ReLU, net.Sigmoid, net.Tanh])
def test_activations_at_extreme_inputs(kind: type[net.ReLU], dtype: type[np.float32]) -> None:
    """At ±1e4 and at 0, activations and their gradients are finite, without a warning."""
    layer = kind(1, 4, np.dtype(dtype))
    y = layer.forward(np.array([[-1e4, 0.0, -0.0, 1e4]], dtype)).copy()
    dx = layer.backward(np.ones((1, 4), dtype))
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()
    assert y[0, 0] <= y[0, 1] == y[0, 2] < y[0, 3]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relu_passes_what_it_let_through(dtype: type[np.float32]) -> None:
    """Every gradient goes back where x is above 0, however little, and none where it is not."""
    least = np.finfo(dtype).smallest_subnormal
    layer = net.ReLU(2, 3, np.dtype(dtype))
    for sign in (1, -1):  # a layer is used again and again
        x = np.array([[-1, -0.0, 0.0], [least, np.inf, 2]], dtype) * dtype(sign)
        dy = np.array([[np.nan, np.inf, 0.3], [0.3, -np.inf, -0.3]], dtype)
        expected = np.where(x > 0, dy, 0)
        layer.forward(x)
        np.testing.assert_array_equal(layer.backward(dy), expected)


def test_constants_are_shared_while_they_are_used() -> None:
    """Layers of a shape have the same read-only array, which goes with the last of them."""
    one = constant(1, (3, 4), FLOAT64)
    assert one is constant(1, (3, 4), FLOAT64)
    assert one is not constant(0, (3, 4), FLOAT64)
    assert one.tolist() == np.ones((3, 4)).tolist()
    assert not one.flags.writeable
    gone = weakref.ref(one)
    del one
    assert gone() is None


@settings(max_examples=30, deadline=None)
@given(seed=seeds, n=st.integers(4, 8), units=sizes)
def test_batch_norm_gradients(seed: int, n: int, units: int) -> None:
    """The gradients of batch normalization are right, its statistics' dependence on x included.

    It takes the mean and the direction of x out of dy. Of three examples one direction is left, in
    which dy may be next to nothing, and then the error of the numerical gradient is not.
    """
    rng = np.random.default_rng(seed)
    spread = np.linspace(-2, 2, n)[:, None] + rng.uniform(-0.2, 0.2, (n, units))
    x = 5 + rng.permuted(spread, axis=0)
    gamma, beta = parameter(rng.normal(size=units)), parameter(rng.normal(size=units))
    layer = net.BatchNorm(gamma, beta, np.zeros(units), np.ones(units), n, training=True)
    assert error_of_dx(layer, x, rng) <= 1e-6
    assert error_of(gamma, layer, x, rng) <= 1e-7
    assert error_of(beta, layer, x, rng) <= 1e-7


def test_batch_norm_normalizes() -> None:
    """In training each unit of a batch gets mean β and standard deviation γ."""
    rng = np.random.default_rng(0)
    gamma, beta = parameter(np.array([1.0, 3.0])), parameter(np.array([0.0, -2.0]))
    layer = net.BatchNorm(gamma, beta, np.zeros(2), np.ones(2), 50, training=True)
    y = layer.forward(rng.normal(7, 4, (50, 2)))
    np.testing.assert_allclose(y.mean(axis=0), beta.value, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=0), gamma.value, rtol=1e-5)


def test_batch_norm_refuses_to_train_on_one_example() -> None:
    """One example is its own mean: β would come out whatever went in, and nothing be learned."""
    gamma, beta = parameter(np.ones(3)), parameter(np.array([1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match="at least 2 examples"):
        net.BatchNorm(gamma, beta, np.zeros(3), np.ones(3), 1, training=True)
    layer = net.BatchNorm(gamma, beta, np.zeros(3), np.ones(3), 1, training=False)
    np.testing.assert_allclose(layer.forward(np.ones((1, 3))), [[2, 3, 4]], rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batch_norm_sees_small_differences(dtype: type[np.float32]) -> None:
    """The book's ε = 1e-6 leaves inputs of a deviation of 0.01 at 0.995 of a whole one."""
    p = Parameter(np.ones(1, dtype), np.zeros(1, dtype))
    zero = Parameter(np.zeros(1, dtype), np.zeros(1, dtype))
    mean, var = np.zeros(1, dtype), np.ones(1, dtype)
    layer = net.BatchNorm(p, zero, mean, var, 2, training=True)
    y = layer.forward(np.array([[0.01], [-0.01]], dtype))
    assert y.ravel() == pytest.approx([1.01**-0.5, -(1.01**-0.5)], rel=1e-5)


def test_running_statistics_converge_to_the_datas() -> None:
    """Even from batches of 4 the running statistics tend to the data's mean 3 and variance 4."""
    rng = np.random.default_rng(0)
    mean, var = np.zeros(200), np.ones(200)
    one, zero = parameter(np.ones(200)), parameter(np.zeros(200))
    layer = net.BatchNorm(one, zero, mean, var, 4, training=True)
    for _ in range(200):
        layer.forward(rng.normal(3, 2, (4, 200)))
    assert mean.mean() == pytest.approx(3, abs=0.1)
    assert var.mean() == pytest.approx(4, rel=0.05)


def test_batch_norm_in_evaluation_uses_running_statistics() -> None:
    """In evaluation y is (x - running mean) / sqrt(running variance + ε); both stay as they are."""
    mean, var = np.array([3.0]), np.array([4.0])
    layer = net.BatchNorm(
        parameter(np.ones(1)), parameter(np.zeros(1)), mean, var, 2, training=False
    )
    np.testing.assert_allclose(layer.forward(np.array([[5.0], [1.0]])), [[1], [-1]], rtol=1e-5)
    assert (mean.item(), var.item()) == (3, 4)


@pytest.mark.parametrize("ratio", [0.1, 0.2, 0.5, 0.9])
def test_dropout_keeps_the_expected_activation(ratio: float) -> None:
    """Over many masks each unit's mean is that of evaluation, and a share of `ratio` is dropped."""
    rng = np.random.default_rng(0)
    layer = net.Dropout(ratio, 100, 300, FLOAT64, rng)
    x = rng.uniform(1, 2, (100, 300))
    outputs = np.array([layer.forward(x).copy() for _ in range(100)])
    assert layer.keep == pytest.approx(1 - ratio, abs=2**-17)
    share = (outputs == 0).mean()
    assert share == pytest.approx(ratio, abs=5 * np.sqrt(ratio * (1 - ratio) / outputs.size))
    deviations = np.abs(outputs.mean(axis=0) / x - 1)
    assert deviations.max() < 6 * np.sqrt(ratio / (1 - ratio) / 100)
    np.testing.assert_allclose(outputs[outputs > 0], (x / layer.keep + 0 * outputs)[outputs > 0])


@pytest.mark.parametrize("ratio", [0.1, 0.2, 0.5, 0.9])
def test_the_books_dropout_is_the_same_mask_without_a_scale(ratio: float) -> None:
    """A unit stays as it is or is 0, in training, and in evaluation is times 1 - ratio (6.4.3)."""
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 2, (10, 30))
    one, other = (
        net.Dropout(ratio, 10, 30, FLOAT64, np.random.default_rng(1), inverted=inverted)
        for inverted in (True, False)
    )
    y = other.forward(x).copy()
    np.testing.assert_array_equal(y, np.where(one.forward(x) > 0, x, 0))
    assert 0 < (y == 0).mean() < 1
    np.testing.assert_array_equal(other.backward(np.ones_like(x)), (y > 0) * 1.0)
    evaluated = net.Damping(ratio, 10, 30, FLOAT64)
    np.testing.assert_allclose(evaluated.forward(x), x * (1 - ratio), rtol=1e-4)
    assert error_of_dx(evaluated, x, rng) <= 1e-7
    assert evaluated.keep == other.keep


def test_dropout_gradient_follows_the_mask() -> None:
    """The gradient passes where the unit stayed, scaled as the unit was."""
    layer = net.Dropout(0.5, 20, 30, FLOAT64, np.random.default_rng(0))
    y = layer.forward(np.ones((20, 30))).copy()
    np.testing.assert_array_equal(layer.backward(np.ones((20, 30))), y)


def test_dropout_masks_have_no_pattern() -> None:
    """Units of one mask, and masks one after the other, are dropped independently of each other."""
    layer = net.Dropout(0.5, 200, 200, FLOAT64, np.random.default_rng(0))
    first, second = (layer.forward(np.ones((200, 200))).copy() / 2 - 0.5 for _ in range(2))
    for other in (
        second,
        np.roll(first, 1, axis=1),
        np.roll(first, 4, axis=1),
        np.roll(first, 1, 0),
    ):
        assert abs((first * other).mean() / 0.25) < 5 / 200


def test_a_mask_is_read_off_one_stream_of_bits() -> None:
    """A unit stays where its 16 bits are below 65536 times `keep`, in masks of any size; so no
    result changes with how many bits are drawn at a time."""
    rng, plain = np.random.default_rng(0), np.random.default_rng(0)
    layer = net.Dropout(0.3, 500, 100, FLOAT64, rng)
    assert layer.keep == round(0.7 * 65536) / 65536
    for _ in range(2):
        kept = plain.bit_generator.random_raw(12_500).view(np.uint16) < layer.keep * 65536
        masked = layer.forward(np.ones((500, 100)))
        np.testing.assert_array_equal(masked > 0, kept.reshape(500, 100))


@pytest.mark.parametrize("inverted", [True, False])
def test_dropout_near_one_keeps_something(inverted: bool) -> None:
    """One unit of 65,536 at least, so that what is kept is not divided by nothing."""
    layer = net.Dropout(1 - 1e-9, 1, 1, FLOAT64, np.random.default_rng(0), inverted=inverted)
    assert layer.keep == 1 / 65536
    assert np.isfinite(layer.forward(np.ones((1, 1)))).all()
    assert net.Dropout(0.0, 1, 1, FLOAT64, np.random.default_rng(0)).keep == 1.0


@pytest.mark.parametrize("ratio", [-0.1, 1.0, float("nan")])
def test_dropout_refuses_a_ratio(ratio: float) -> None:
    """A ratio outside [0, 1) is an error that names it."""
    with pytest.raises(ValueError, match=str(ratio)):
        net.Dropout(ratio, 1, 1, FLOAT64, np.random.default_rng(0))
    with pytest.raises(ValueError, match=str(ratio)):
        net.Damping(ratio, 1, 1, FLOAT64)


def test_dropout_refuses_words_of_32_bits() -> None:
    """A generator of half the bits would drop nothing of every second pair, and is refused."""
    with pytest.raises(ValueError, match="64 bits"):
        net.Dropout(0.5, 1, 1, FLOAT64, np.random.Generator(np.random.MT19937(0)))
