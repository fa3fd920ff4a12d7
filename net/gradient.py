"""Numerical differentiation (4.3, 4.4), and with it a check of backpropagation (5.7.3)."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from net.arrays import Array
from net.network import Chain, Network


def numerical_derivative(f: Callable[[float], float], x: float, *, h: float = 1e-4) -> float:
    """The central difference (f(x + h) - f(x - h)) / 2h, whose error goes with h² (4.3.1)."""
    return (f(x + h) - f(x - h)) / (2 * h)


def numerical_gradient(f: Callable[[Array], float], x: Array, *, h: float = 1e-4) -> Array:
    """The central difference by each element of x, an array like x (4.4).

    `f` is called with x itself, changed in one element and put back: it may as well look at x
    through views, as a network looks at its parameters.
    """
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        centre = float(x[index])

        def along(value: float, index: tuple[int, ...] = index) -> float:
            x[index] = value
            return f(x)

        gradient[index] = numerical_derivative(along, centre, h=h)
        x[index] = centre
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

    It goes in training mode, with the same dropout masks each time; afterwards the network's state
    is as it was. Errors far below 1e-7 are to be expected of a float64 network (in float32 the
    differences are lost in rounding), and larger ones where the input of a ReLU is about as close
    to its kink as h.

    Args:
        network: any network.
        x: a batch (n, inputs). labels: (n,) integers.
        seed: draws the dropout masks.
        h: how far the parameters are moved. Differences over h and 2h are combined so that their
            errors of the order of h² cancel (Richardson), which leaves room for a larger h and its
            smaller rounding.

    Raises:
        ValueError: x or labels do not fit the network.
    """
    x = network.as_inputs(x)
    t = network.as_labels(labels, len(x))
    before = {name: array.copy() for name, array in network.state.items()}

    def chain() -> Chain:
        return network.chain(len(x), dropout_rng=np.random.default_rng(seed))

    def loss(_: Array) -> float:
        made = chain()
        made.loss.forward(made.forward(x), t)
        return made.loss.value()

    chain().differentiate(x, t)
    backpropagated = {name: p.gradient.copy() for name, p in network.named_parameters.items()}
    errors = {}
    for name, parameter in network.named_parameters.items():
        near, far = (numerical_gradient(loss, parameter.value, h=step) for step in (h, 2 * h))
        errors[name] = relative_error(backpropagated[name], (4 * near - far) / 3)
    network.load_state(before)
    return errors
