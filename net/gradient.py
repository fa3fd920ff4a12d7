"""Numerical differentiation (4.3, 4.4), and with it a check of backpropagation (5.7.3)."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from net.arrays import Array
from net.network import Chain, Network


def numerical_derivative(f: Callable[[float], float], x: float, *, h: float = 1e-4) -> float:
    """The central difference (f(x + h) - f(x - h)) / 2h, whose error goes with h² (4.3.1).

    Raises:
        ValueError: h is not a finite number above 0, or so small beside x that x + h and x - h
            round to numbers that are not 2h apart.
    """
    if not (math.isfinite(h) and h > 0):
        raise ValueError(f"h is {h}: it must be a finite number above 0")
    near, far = x - h, x + h
    if not abs((far - near) / (2 * h) - 1) < 0.1:
        raise ValueError(f"x is {x}, and x ± {h} is lost in rounding: take a larger h")
    return (f(far) - f(near)) / (far - near)


def numerical_gradient(f: Callable[[Array], float], x: npt.ArrayLike, *, h: float = 1e-4) -> Array:
    """The central difference by each element of x, a float64 array of its shape (4.4).

    `f` is called with x itself, changed in one element, which is put back in any case: it may as
    well look at x through views, as a network looks at its parameters. What is no array of floats
    (a list, integers) is copied to one, and `f` called with the copy.

    Raises:
        ValueError: x is of a type that cannot hold x ± h and the differences of f, such as float32;
            or h is too small, as in `numerical_derivative`.
    """
    array = np.asarray(x)
    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    if array.dtype != np.float64:
        raise ValueError(f"x is {array.dtype}, too coarse for x ± {h}: give x.astype(np.float64)")
    gradient = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        centre = float(array[index])

        def along(value: float, index: tuple[int, ...] = index) -> float:
            array[index] = value
            return f(array)

        try:
            gradient[index] = numerical_derivative(along, centre, h=h)
        finally:
            array[index] = centre
    return gradient


def relative_error(a: Array, b: Array) -> float:
    """||a - b|| / (||a|| + ||b||), where gradients shorter than 1e-4 count as that long.

    Some are nothing but rounding: that of a bias which batch normalization takes off again is 0.
    """
    scale = float(np.linalg.norm(a) + np.linalg.norm(b))
    return float(np.linalg.norm(a - b)) / max(scale, 1e-4)


def gradient_check(
    network: Network,
    x: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    seed: int = 0,
    h: float = 5e-4,
) -> dict[str, float]:
    """The relative error of each parameter's gradient by backpropagation against the numerical one.

    Both go in training mode, with the same dropout masks; afterwards the network's state is as it
    was. The numerical gradient is that of a float64 network with the same parameters. Errors far
    below 1e-7 are to be expected of a float64 network, and below 1e-3 of a float32 one; larger ones
    where the input of a ReLU is about as close to its kink as h.

    Args:
        network: any network.
        x: a batch (n, inputs). labels: (n,) integers, or (n, outputs) numbers where the loss is of
            numbers.
        seed: draws the dropout masks.
        h: how far the parameters are moved. Differences over h and 2h are combined so that their
            errors of the order of h² cancel (Richardson), which leaves room for a larger h and its
            smaller rounding.

    Raises:
        ValueError: x or labels do not fit the network.
    """
    targets = network.as_targets(labels, len(network.as_inputs(x)))
    before = {name: array.copy() for name, array in network.state.items()}
    _chain(network, len(targets), seed).differentiate(network.as_inputs(x), targets)
    network.load_state(before)

    twin = _in_float64(network)
    inputs, targets = twin.as_inputs(x), twin.as_targets(labels, len(targets))

    def loss(_: Array) -> float:
        chain = _chain(twin, len(targets), seed)
        chain.loss.forward(chain.forward(inputs), targets)
        return chain.loss.value()

    errors = {}
    for name, parameter in twin.named_parameters.items():
        near, far = (numerical_gradient(loss, parameter.value, h=step) for step in (h, 2 * h))
        gradient = network.named_parameters[name].gradient
        errors[name] = relative_error(gradient, (4 * near - far) / 3)
    return errors


def _chain(network: Network, size: int, seed: int) -> Chain:
    return network.chain(size, dropout_rng=np.random.default_rng(seed))


def _in_float64(network: Network) -> Network:
    inputs, *hidden, outputs = network.widths
    twin = Network(
        inputs,
        hidden,
        outputs,
        activation=network.activation,
        dropout=network.dropout,
        dropout_form=network.dropout_form,
        batch_norm=network.batch_norm,
        loss=network.loss,
        dtype=np.float64,
        rng=np.random.default_rng(0),
    )
    twin.load_state(network.state)
    return twin
