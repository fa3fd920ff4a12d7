"""How well do outputs answer the examples that they are of?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import net

_LEAST = 1e-300
"""A probability whose logarithm is finite."""


def score(outputs: NDArray[Any], targets: NDArray[Any], metric: str) -> float:
    """One number of a part.

    Args:
        outputs: (n, classes), probabilities; or (n, 1), numbers.
        targets: (n,), the classes or numbers that are right.
        metric: ``loss``, ``accuracy`` and ``f1`` of classes, or ``loss`` and ``r2`` of numbers.
    """
    if metric == "loss":
        return float(losses(outputs, targets).mean())
    if metric == "r2":
        loss, mean_loss = score(outputs, targets, "loss"), targets.var() / 2
        return float(1 - loss / mean_loss if mean_loss else float(loss == 0))
    predicted, labels = outputs.argmax(axis=1), targets.astype(np.intp)
    if metric == "f1":
        return net.macro_f1(net.class_counts(predicted, labels, outputs.shape[1]))
    return float((predicted == labels).mean())


def losses(outputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.float64]:
    """The loss of each example, (n,): cross-entropy, or half of the squared error."""
    outputs = outputs.astype(np.float64)
    if outputs.shape[1] == 1:
        return np.asarray((targets - outputs[:, 0]) ** 2 / 2, np.float64)
    right = outputs[np.arange(len(targets)), targets.astype(np.intp)]
    return np.asarray(-np.log(np.maximum(right, _LEAST)), np.float64)
