"""What training makes small: the losses (4.2, 5.6.3) and the penalty on large weights (6.4.2).

As the layers do, a loss allocates what it needs when it is made, for batches of one size.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from net.arrays import Array, Float, Labels, blocks


class Loss(Protocol):
    """What a network asks of its loss."""

    def predictions(self, outputs: Array, /) -> Array:
        """What the outputs mean, (n, outputs): the activation of the last layer (3.5)."""

    def forward(self, outputs: Array, targets: Any, /) -> None:
        """Take in a batch, for `value` and `backward`."""

    def value(self) -> float:
        """The mean loss of the batch."""

    def backward(self) -> Array:
        """dL/d outputs, (n, outputs); once for each `forward`."""


class SoftmaxCrossEntropy:
    """Softmax and cross-entropy in one: -log p_t, averaged over the batch (5.6.3).

    exp and its sums are taken on classes × examples, the transpose of the logits: NumPy then goes
    over long rows of examples, not over many short rows of classes, which is several times faster.
    """

    def __init__(self, size: int, classes: int, dtype: Float) -> None:
        self._exp = np.empty((classes, size), dtype)
        self._largest = np.empty(size, dtype)
        self._sum = np.empty(size, dtype)
        self._ones = np.ones(classes, dtype)
        self._picked = np.empty(size, dtype)
        self._scratch = np.empty(size, dtype)
        self._rows = np.arange(0, size * classes, classes, dtype=np.intp)
        self._target = np.empty(size, np.intp)
        self._dx = np.empty((size, classes), dtype)
        self._share = dtype.type(1 / max(size, 1))

    def predictions(self, logits: Array) -> Array:
        """The probability of each class, (n, classes): softmax, exp(x_k) / sum_j exp(x_j)."""
        self._exponentials(logits)
        np.divide(self._exp, self._sum, out=self._exp)
        return self._exp.T

    def forward(self, logits: Array, labels: Labels) -> None:
        """Take in a batch, for `value` and `backward`.

        Args:
            logits: (n, classes), to stay as they are until `value` has been asked for.
            labels: (n,), integers from 0 to classes - 1, which is not checked.
        """
        self._logits = logits
        self._exponentials(logits)
        np.add(self._rows, labels, out=self._target)  # the place of x_t in all the logits

    def value(self) -> float:
        """The mean over the batch of log(sum_j exp(x_j)) - x_t.

        In this form, unlike in log(p_t), a p_t too small for its type is no infinity.
        """
        self._logits.reshape(-1).take(self._target, out=self._picked, mode="clip")
        np.subtract(self._picked, self._largest, out=self._picked)
        np.log(self._sum, out=self._scratch)
        np.subtract(self._scratch, self._picked, out=self._scratch)
        return float(np.add.reduce(self._scratch)) / self._scratch.size

    def backward(self) -> Array:
        """dL/dx = (p - one-hot(t)) / n, (n, classes); once for each `forward`."""
        np.multiply(self._sum, self._sum.size, out=self._scratch)
        np.divide(self._exp, self._scratch, out=self._exp)
        self._dx[...] = self._exp.T
        np.subtract.at(self._dx.reshape(-1), self._target, self._share)
        return self._dx

    def _exponentials(self, logits: Array) -> None:
        """exp(x), and its sum over the classes.

        The largest x is taken off first: softmax is the same, and exp cannot overflow (3.5.2).
        """
        self._exp[...] = logits.T
        np.maximum.reduce(self._exp, axis=0, out=self._largest)
        np.subtract(self._exp, self._largest, out=self._exp)
        np.exp(self._exp, out=self._exp)
        self._ones.dot(self._exp, out=self._sum)


class MeanSquaredError:
    """Half the sum of squared differences over the outputs (4.2.1), averaged over the batch.

    The half is the book's: with one output, the loss is half of what is commonly called the mean
    squared error, and its gradient is the plain difference.
    """

    def __init__(self, size: int, outputs: int, dtype: Float) -> None:
        self._difference = np.empty((size, outputs), dtype)
        self._dx = np.empty((size, outputs), dtype)

    def predictions(self, y: Array) -> Array:
        """The outputs as they are."""
        return y

    def forward(self, y: Array, target: Array) -> None:
        """Take in a batch, for `value` and `backward`: outputs and targets, (n, outputs) each."""
        np.subtract(y, target, out=self._difference)

    def value(self) -> float:
        """L = sum (y - t)² / 2n."""
        flat = self._difference.reshape(-1)
        return float(np.dot(flat, flat)) / (2 * len(self._difference))

    def backward(self) -> Array:
        """dL/dy = (y - t) / n."""
        return np.divide(self._difference, len(self._difference), out=self._dx)


LOSSES: dict[str, Callable[[int, int, Float], Loss]] = {
    "cross-entropy": SoftmaxCrossEntropy,
    "squared-error": MeanSquaredError,
}
"""What a network may make small: of classes, or of numbers."""


class L2Penalty:
    """rate / 2 * sum W²: the book's weight decay (6.4.2), a part of the loss.

    With plain SGD it shrinks each weight by lr * rate of itself in a step; with an optimizer that
    rescales gradients it does not, which is why AdamW has a decay of its own, decoupled from the
    loss.

    Args:
        decayed: the weights and, in the second row, the gradients of the loss by them: (2, n).
        rate: λ.

    Attributes:
        size: n.
    """

    def __init__(self, decayed: Array, rate: float) -> None:
        self.size = decayed.shape[1]
        self._rate = rate
        self._blocks = [block for (block,) in blocks(decayed)]
        self._scratch = np.empty_like(self._blocks[0][0])

    def add_gradient(self) -> None:
        """gradient += rate * W."""
        for weights, gradients in self._blocks:
            scratch = self._scratch[: weights.size]
            np.multiply(weights, self._rate, out=scratch)
            np.add(gradients, scratch, out=gradients)

    def descend(self, lr: float) -> None:
        """W ← W - lr (gradient + rate * W): `add_gradient`, and then a step of plain SGD.

        lr (gradient + rate * W) is the product of (lr * rate, lr) with both rows. BLAS reads them
        once for it, where two multiplications and an addition go over them three times.
        """
        factors = np.array([lr * self._rate, lr], self._scratch.dtype)
        for block in self._blocks:
            weights = block[0]
            step = np.matmul(factors, block, out=self._scratch[: weights.size])
            np.subtract(weights, step, out=weights)
