"""Numerical differentiation (4.3, 4.4) and the gradient check (5.7.3)."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import net
from net.gradient import relative_error

seeds = st.integers(0, 2**32 - 1)


def test_derivative_of_the_books_parabola() -> None:
    """0.01 x² + 0.1 x has the slopes 0.2 at 5 and 0.3 at 10 (4.3.2)."""
    slopes = [net.numerical_derivative(lambda x: 0.01 * x**2 + 0.1 * x, x) for x in (5.0, 10.0)]
    assert slopes == pytest.approx([0.2, 0.3])


def test_gradient_of_the_books_bowl() -> None:
    """x0² + x1² has the gradient (6, 8) at (3, 4), and the array is as before (4.4)."""
    x = np.array([3.0, 4.0])
    gradient = net.numerical_gradient(lambda x: float(np.sum(x**2)), x)
    assert gradient == pytest.approx([6, 8])
    assert x.tolist() == [3, 4]


def test_relative_error_by_hand() -> None:
    """A distance in shares of both lengths; of gradients of no length, in shares of 1e-4."""
    a, b = np.array([3.0, 4.0]), np.array([0.0, 4.0])
    assert relative_error(a, b) == pytest.approx(3 / (5 + 4))
    assert relative_error(a, a) == 0
    assert relative_error(a, -a) == pytest.approx(1)
    assert relative_error(np.array([1e-9]), np.array([-1e-9])) == pytest.approx(2e-9 / 1e-4)


@pytest.mark.parametrize("x", [[3.0, 4.0], (3, 4), np.array([3, 4])])
def test_gradient_of_anything_that_is_not_an_array_of_floats(x: object) -> None:
    """A list, a tuple and integers are taken as float64, and stay as they are."""
    before = repr(x)
    gradient = net.numerical_gradient(lambda x: float(np.sum(x**2)), x)
    assert gradient.dtype == np.float64
    assert gradient == pytest.approx([6, 8])
    assert repr(x) == before


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.complex128, np.str_])
def test_gradient_refuses_what_cannot_hold_the_steps(dtype: type) -> None:
    """In float16 x ± h is x again, in float32 three digits are left: both are errors."""
    x = np.array([3, 4]).astype(dtype)
    with pytest.raises(ValueError, match=r"astype\(np.float64\)"):
        net.numerical_gradient(lambda x: 0.0, x)
    assert x.tolist() == np.array([3, 4]).astype(dtype).tolist()


def test_x_is_put_back_when_f_raises() -> None:
    """An error of f's own comes out, and the array is as before."""
    x = np.array([3.0, 4.0])

    def f(x: np.ndarray) -> float:
        if x[1] != 4:
            raise RuntimeError("f's own")
        return 0.0

    with pytest.raises(RuntimeError, match="f's own"):
        net.numerical_gradient(f, x)
    assert x.tolist() == [3, 4]


@pytest.mark.parametrize("x", [1e20, -1e13, float("inf"), float("nan")])
def test_steps_that_are_lost_in_rounding_are_refused(x: float) -> None:
    """Where x + h and x - h are not 2h apart there is no slope between them, not one of 0."""
    with pytest.raises(ValueError, match="larger h"):
        net.numerical_derivative(lambda x: x, x)
    array = np.array([x])
    with pytest.raises(ValueError, match="larger h"):
        net.numerical_gradient(lambda x: float(x[0]), array)
    np.testing.assert_array_equal(array, [x])
    if np.isfinite(x):
        assert net.numerical_derivative(lambda x: x, x, h=abs(x) / 2) == pytest.approx(1)


@pytest.mark.parametrize("h", [0.0, -1e-4, float("nan"), float("inf")])
def test_a_step_is_a_finite_number_above_0(h: float) -> None:
    """Any other h is an error that names it."""
    with pytest.raises(ValueError, match=f"h is {h}"):
        net.numerical_derivative(lambda x: x, 1.0, h=h)


def test_large_numbers_are_divided_by_the_step_that_was_taken() -> None:
    """At 1e10 the steps of 1e-4 round to 2 % of themselves, and the slope is right all the same."""
    assert net.numerical_derivative(lambda x: 3 * x, 1e10 + 0.5) == pytest.approx(3, rel=0.01)


def test_gradient_of_a_view() -> None:
    """A transposed view of a larger array is differentiated in place."""
    whole = np.arange(12.0).reshape(3, 4)
    gradient = net.numerical_gradient(lambda x: float(np.sum(x**3)), whole[:, 1:3].T)
    assert gradient == pytest.approx(3 * whole[:, 1:3].T ** 2)


@settings(max_examples=25, deadline=None)
@given(
    seed=seeds,
    n=st.integers(1, 6),
    hidden=st.lists(st.integers(1, 6), max_size=2),
    activation=st.sampled_from(["sigmoid", "tanh"]),
    dropout=st.sampled_from([0.0, 0.4]),
    form=st.sampled_from(["inverted", "book"]),
)
def test_smooth_networks(
    seed: int, n: int, hidden: list[int], activation: str, dropout: float, form: str
) -> None:
    """Backpropagation agrees with numerical gradients to 1e-7, whatever the network's shape."""
    rng = np.random.default_rng(seed)
    network = net.Network(
        3,
        hidden,
        4,
        activation=activation,
        dropout=dropout,
        dropout_form=form,
        dtype=np.float64,
        rng=rng,
    )
    errors = net.gradient_check(network, rng.normal(size=(n, 3)), rng.integers(0, 4, n), seed=seed)
    assert errors.keys() == network.state.keys()
    assert max(errors.values()) <= 1e-7


@settings(max_examples=25, deadline=None)
@given(seed=seeds, n=st.integers(1, 6), units=st.integers(1, 6))
def test_relu_networks_away_from_kinks(seed: int, n: int, units: int) -> None:
    """A network with ReLU agrees as well, if no input of a ReLU lies close to 0."""
    rng = np.random.default_rng(seed)
    network = net.Network(3, [units, units], 4, dtype=np.float64, rng=rng)
    x = rng.normal(size=(n, 3))
    h = x
    for i in range(2):
        z = h @ network.state[f"layers.{i}.weight"] + network.state[f"layers.{i}.bias"]
        assume(np.abs(z).min() > 2e-2)
        h = np.maximum(z, 0)
    errors = net.gradient_check(network, x, rng.integers(0, 4, n))
    assert max(errors.values()) <= 1e-7


def test_batch_norm_network_keeps_its_state() -> None:
    """With batch normalization it agrees too, and the check leaves the network as it found it."""
    rng = np.random.default_rng(0)
    network = net.Network(
        3, [5, 4], 4, activation="tanh", batch_norm=True, dtype=np.float64, rng=rng
    )
    before = {name: array.copy() for name, array in network.state.items()}
    errors = net.gradient_check(network, rng.normal(size=(8, 3)), rng.integers(0, 4, 8))
    assert max(errors.values()) <= 1e-7
    for name, array in network.state.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(("batch_norm", "largest"), [(False, 1e-6), (True, 1e-3)])
def test_a_float32_network_is_checked_as_well(batch_norm: bool, largest: float) -> None:
    """Its gradients are held against numerical ones in float64; its state stays as it is.

    (With batch normalization the gradient of a bias is 0, and backpropagation's is rounding.)
    """
    rng = np.random.default_rng(0)
    network = net.Network(
        3, [5, 4], 4, activation="tanh", dropout=0.2, batch_norm=batch_norm, rng=rng
    )
    before = {name: array.copy() for name, array in network.state.items()}
    errors = net.gradient_check(network, rng.normal(size=(8, 3)), rng.integers(0, 4, 8))
    assert 0 < max(errors.values()) <= largest
    for name, array in network.state.items():
        np.testing.assert_array_equal(array, before[name])


def test_check_finds_a_wrong_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tanh whose derivative is wrong is found out in the layers below it, and in none above."""
    monkeypatch.setattr(net.Tanh, "backward", lambda self, dy: dy)
    rng = np.random.default_rng(0)
    network = net.Network(3, [5], 4, activation="tanh", dtype=np.float64, rng=rng)
    errors = net.gradient_check(network, rng.normal(size=(8, 3)), rng.integers(0, 4, 8))
    assert errors["layers.0.weight"] > 1e-3
    assert errors["layers.1.weight"] <= 1e-7


def test_check_refuses_labels_of_no_class() -> None:
    """Labels that are no class of the network are an error."""
    network = net.Network(3, [5], 2, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="labels go from -1 to 2"):
        net.gradient_check(network, np.ones((2, 3)), [2, -1])
