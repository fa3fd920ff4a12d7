"""What the modules of this package say about arrays: their types, and how long ones are walked."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.intp]
Float = np.dtype[np.floating[Any]]


class Parameter(NamedTuple):
    """A learned array and the gradient of the loss with respect to it, of the same shape."""

    value: Array
    gradient: Array


def blocks(*arrays: Array, length: int = 65536) -> Iterator[tuple[Array, ...]]:
    """Views of flat arrays of one size, cut in the same places.

    An update reads and writes its arrays several times, one NumPy call after the other. Over blocks
    that fit the core's own cache (three of float32: 768 KiB) only the first of these passes waits
    for memory.
    """
    for start in range(0, arrays[0].size, length):
        yield tuple(array[start : start + length] for array in arrays)
