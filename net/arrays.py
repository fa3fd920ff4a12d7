"""What the modules of this package share about arrays: types, long ones in blocks, constants."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.intp]
Take = Callable[[Labels, npt.NDArray[Any]], None]
"""Puts some rows, by their numbers, of what it was made from into another array."""
Float = np.dtype[np.floating[Any]]


class Parameter(NamedTuple):
    """A learned array and the gradient of the loss with respect to it, of the same shape."""

    value: Array
    gradient: Array


def blocks(*arrays: Array, length: int = 65536) -> Iterator[tuple[Array, ...]]:
    """Views of arrays with rows of one length, cut in the same places.

    An update reads and writes its arrays several times, one NumPy call after the other. Over blocks
    that fit the core's own cache (three rows of float32: 768 KiB) only the first of these passes
    waits for memory.
    """
    for start in range(0, arrays[0].shape[-1], length):
        yield tuple(array[..., start : start + length] for array in arrays)


def constant(value: float, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """A read-only array with the same number everywhere.

    Layers of the same shape share it as long as one of them is there: one array less for each of
    the others in the core's cache.
    """
    key = value, shape, dtype
    array = _constants.get(key)
    if array is None:
        array = np.full(shape, value, dtype)
        array.flags.writeable = False
        _constants[key] = array
    return array


_constants: WeakValueDictionary[Any, npt.NDArray[Any]] = WeakValueDictionary()
