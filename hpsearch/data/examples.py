"""What do the examples in a person's files hold that a network is to say something of?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hpsearch.data import npz
from hpsearch.data.columns import cells
from hpsearch.data.files import Array, bad
from hpsearch.data.images import picture
from hpsearch.data.preparation import Preparation
from hpsearch.data.tables import rows_of


def read(files: Sequence[Path], known: Preparation) -> tuple[list[str], Array]:
    """Examples as a dataset has them.

    Args:
        files: Pictures; or one CSV file with a table's columns, or one .npz file with an array
            ``x``.
        known: How the examples are prepared, and so what they look like.

    Returns:
        What each example is called, and the examples, (n, columns) or (n, …).

    Raises ``DataError`` for files that hold no such examples.
    """
    kinds = {file.suffix.lower() for file in files}
    if len(files) > 1 and kinds & {".csv", ".npz"}:
        raise bad(files[1], "stands beside a CSV or .npz file", "name one such file, or pictures")
    (first, *_) = files
    shape = known.shape
    if known.columns:
        if kinds != {".csv"}:
            raise bad(first, "is no CSV file", "name a CSV file with the columns of the dataset")
        return _table(first, known)
    if kinds == {".npz"}:
        x = npz.read(first, "x")[0]
        if x.shape[1:] == shape or (x.ndim == 2 and x.shape[1] == int(np.prod(shape))):
            return [str(row) for row in range(len(x))], x
        wanted = f"(n, {', '.join(map(str, shape))})"
        raise bad(first, f"x has shape {x.shape}", f"the network takes {wanted}")
    return [file.name for file in files], np.stack([_picture(file, shape) for file in files])


def _picture(file: Path, shape: tuple[int, ...]) -> Array:
    if len(shape) < 2:
        raise bad(file, "may be a picture", "the network was not trained on pictures")
    array = picture(file)
    if array.ndim == 2 and len(shape) == 3:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.shape != shape:
        sizes = [" × ".join(map(str, size)) for size in (array.shape, shape)]
        raise bad(file, f"is {sizes[0]}", f"the network takes {sizes[1]}")
    return array


def _table(file: Path, known: Preparation) -> tuple[list[str], Array]:
    rows, _ = rows_of(file)
    head = [name.strip() for name in rows[0]]
    if len(rows) < 2:
        raise bad(file, "contains no examples", "add one row per example")
    given = zip(head, zip(*rows[1:], strict=True), strict=True)
    try:
        x = known.encoded({name: cells(texts) for name, texts in given})
    except ValueError as error:
        raise bad(file, str(error), "it needs the columns of the dataset") from None
    return [f"row {row}" for row in range(1, len(rows))], x
