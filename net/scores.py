"""Scores of a classification that are not its loss: by class, and then their mean."""

import numpy as np
import numpy.typing as npt

from net.arrays import Labels


def class_counts(predicted: Labels, labels: Labels, classes: int) -> npt.NDArray[np.int64]:
    """Of each class, how many examples are rightly it, said to be it, and labelled it.

    Args:
        predicted, labels: (n,), classes from 0 below `classes`.

    Returns:
        (3, classes). Counts of several parts of the examples add up to those of all.
    """
    told = (predicted[predicted == labels], predicted, labels)
    return np.stack([np.bincount(of, minlength=classes) for of in told]).astype(np.int64)


def macro_f1(counts: npt.NDArray[np.int64]) -> float:
    """The mean over the classes of F1, the harmonic mean of a class's precision and recall.

    F1 of a class is 2 right / (said + labelled) (van Rijsbergen, "Information Retrieval", 2nd ed.,
    1979, chapter 7: 1 - E with both weighed alike). A class that no example is or was said to be
    does not count; one that is never right has 0.

    Args:
        counts: (3, classes), of `class_counts`, of one example at least.

    Returns:
        In [0, 1].
    """
    right, said, labelled = counts
    there = said + labelled > 0
    return float((2 * right[there] / (said + labelled)[there]).mean())
