"""Which examples are equal, and which of them are in more than one part?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from hpsearch.data.draws import Rows
from hpsearch.data.files import Array


def groups(x: Array) -> Rows:
    """For each row of x, (n, features), the first row that is equal to it, byte for byte: (n,)."""
    first: dict[bytes, int] = {}
    rows = [
        first.setdefault(hashlib.blake2b(row, digest_size=16).digest(), number)
        for number, row in enumerate(np.ascontiguousarray(x))
    ]
    return np.array(rows, np.intp)


def between(x: Array, train: Rows, validation: Rows, test: Rows) -> dict[str, int]:
    """How many rows of x are in a part, and equal to one of a part before it.

    ``validation`` counts those of the validation part that the training part has, and ``test``
    those of the test part that either has.
    """
    equal = groups(x)
    seen: set[int] = set(equal[train].tolist())
    found = {"validation": _among(equal[validation].tolist(), seen)}
    seen.update(equal[validation].tolist())
    return found | {"test": _among(equal[test].tolist(), seen)}


def _among(numbers: Iterable[int], seen: set[int]) -> int:
    return sum(number in seen for number in numbers)
