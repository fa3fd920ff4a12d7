"""What training makes small: the losses (4.2, 5.6.3) and the penalty on large weights (6.4.2).

As the layers do, a loss allocates what it needs when it is made, for batches of one size.
"""

import numpy as np

from net.arrays import Array, Float, Labels, blocks


class SoftmaxCrossEntropy:
    """Softmax and cross-entropy in one: -log p_t, averaged over the batch (5.6.3).

    It works on classes × examples, the transpose of the logits: NumPy then goes over long rows of
    examples, not over many short rows of classes, which is several times faster.
    """

    def __init__(self, size: int, classes: int, dtype: Float) -> None:
        self._p = np.empty((classes, size), dtype)
        self._flat = self._p.reshape(-1)
        self._row = np.empty(size, dtype)
        self._picked = np.empty(size, dtype)
        self._examples = np.arange(size, dtype=np.intp)
        self._index = np.empty(size, np.intp)
        self._dx = np.empty((size, classes), dtype)

    def probabilities(self, logits: Array) -> Array:
        """softmax(logits), (n, classes): exp(x_k) / sum_j exp(x_j).

        The largest x is taken off first: the quotient is the same, and exp cannot overflow (3.5.2).
        """
        self._shift(logits)
        self._normalize()
        return self._p.T

    def forward(self, logits: Array, labels: Labels) -> float:
        """The mean over the batch of log(sum_j exp(x_j)) - x_t.

        In this form, unlike in log(p_t), a p_t too small for its type is no infinity.
        """
        self._shift(logits)
        np.multiply(labels, labels.size, out=self._index)
        np.add(self._index, self._examples, out=self._index)
        self._flat.take(self._index, out=self._picked, mode="clip")
        self._normalize()
        np.log(self._row, out=self._row)
        np.subtract(self._row, self._picked, out=self._row)
        return float(np.add.reduce(self._row)) / labels.size

    def backward(self) -> Array:
        """dL/dx = (p - one-hot(t)) / n, (n, classes)."""
        self._flat.take(self._index, out=self._picked, mode="clip")
        np.subtract(self._picked, 1, out=self._picked)
        self._flat.put(self._index, self._picked, mode="clip")
        return np.divide(self._p.T, self._row.size, out=self._dx)

    def _shift(self, logits: Array) -> None:
        np.copyto(self._p, logits.T)
        np.maximum.reduce(self._p, axis=0, out=self._row)
        np.subtract(self._p, self._row, out=self._p)

    def _normalize(self) -> None:
        np.exp(self._p, out=self._p)
        np.add.reduce(self._p, axis=0, out=self._row)
        np.divide(self._p, self._row, out=self._p)


class MeanSquaredError:
    """Half the sum of squared differences (4.2.1), averaged over the batch."""

    def __init__(self, size: int, outputs: int, dtype: Float) -> None:
        self._difference = np.empty((size, outputs), dtype)
        self._dx = np.empty((size, outputs), dtype)

    def forward(self, y: Array, target: Array) -> float:
        """L = sum (y - t)² / 2n."""
        np.subtract(y, target, out=self._difference)
        flat = self._difference.reshape(-1)
        return float(np.dot(flat, flat)) / (2 * len(y))

    def backward(self) -> Array:
        """dL/dy = (y - t) / n."""
        return np.divide(self._difference, len(self._difference), out=self._dx)


class L2Penalty:
    """rate / 2 * sum W²: the book's weight decay (6.4.2), a part of the loss.

    Its arguments are flat: the weights and their gradients. With plain SGD it shrinks each weight
    by lr * rate of itself in a step; with an optimizer that rescales gradients it does not, which
    is why AdamW has a decay of its own, decoupled from the loss.
    """

    def __init__(self, weights: Array, gradients: Array, rate: float) -> None:
        self.rate = rate
        self._blocks = list(blocks(weights, gradients))
        self._scratch = np.empty_like(self._blocks[0][0])

    def add_gradient(self) -> None:
        """gradient += rate * W."""
        for weights, gradients in self._blocks:
            scratch = self._scratch[: weights.size]
            np.multiply(weights, self.rate, out=scratch)
            np.add(gradients, scratch, out=gradients)
