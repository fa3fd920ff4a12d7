"""How wide the first weights scatter: normal numbers of a standard deviation (6.2)."""

import math

import numpy as np

from net.arrays import Array


def standard_deviation(init: str | float, fan_in: int) -> float:
    """The standard deviation of the weights of a layer with `fan_in` inputs.

    - "xavier": sqrt(1 / fan_in), which keeps the variance of the activations through Sigmoid and
      tanh layers (6.2.2; the book's form, without the fan out of Glorot and Bengio, 2010);
    - "he": sqrt(2 / fan_in), which keeps it through ReLU layers, where half of them are 0 (6.2.3);
    - a number: that number.

    Raises:
        ValueError: an unknown name, or a number that is negative or not finite.
    """
    if init == "he":
        return math.sqrt(2.0 / fan_in)
    if init == "xavier":
        return math.sqrt(1.0 / fan_in)
    if isinstance(init, str):
        raise ValueError(f"init is {init!r}: it must be 'he', 'xavier' or a standard deviation")
    if not (math.isfinite(init) and init >= 0):
        raise ValueError(f"init is {init}: a standard deviation is a finite number, not below 0")
    return float(init)


def initialize(weight: Array, init: str | float, rng: np.random.Generator) -> None:
    """Fill a weight of shape (inputs, outputs) with normal numbers.

    They are drawn in float64 and rounded, so that a float32 and a float64 network of the same seed
    start from the same weights.
    """
    weight[...] = rng.normal(0.0, standard_deviation(init, weight.shape[0]), weight.shape)
