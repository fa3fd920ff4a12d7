"""What do a book trial's passes over arrays take that are no matrix products?

    python -m benchmarks.passes

Each is what `net` does for a trial of the book (`benchmarks.network`): 50 epochs of 4 steps of 100
examples, measured on 400 + 100 after each. They run one after another on arrays that stay in the
core's cache, without the Python between them: a training can take no less beside its products, as
long as it does what it does by NumPy. Milliseconds of CPU time, medians of seven.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from statistics import median

os.environ.update(OPENBLAS_NUM_THREADS="1")

import numpy as np

from net.layers import Dropout, ReLU
from net.losses import L2Penalty, SoftmaxCrossEntropy

EPOCHS, STEPS, BATCH, HIDDEN = 50, 4, 100, 6
TYPE = np.dtype(np.float32)


def milliseconds(work: Callable[[], object], times: int) -> float:
    """CPU time of so many times."""
    taken = []
    for _ in range(7):
        start = time.process_time()
        for _ in range(times):
            work()
        taken.append(1e3 * (time.process_time() - start))
    return median(taken)


def forward(size: int) -> Callable[[], None]:
    """The biases and ReLUs of a batch."""
    rng = np.random.default_rng(0)
    bias, last = rng.random(100, TYPE), rng.random(10, TYPE)
    hidden = [rng.random((size, 100), TYPE) for _ in range(HIDDEN)]
    relus, logits = [ReLU(size, 100, TYPE) for _ in hidden], np.empty((size, 10), TYPE)

    def work() -> None:
        for y, relu in zip(hidden, relus, strict=True):
            np.add(y, bias, out=y)
            relu.forward(y)
        np.add(logits, last, out=logits)

    return work


def backward() -> Callable[[], None]:
    """The slopes of the ReLUs of a batch, and the gradients of the biases."""
    rng = np.random.default_rng(0)
    relus, dy = [ReLU(BATCH, 100, TYPE) for _ in range(HIDDEN)], rng.random((BATCH, 100), TYPE)
    ones, gradient = np.ones(BATCH, TYPE), np.empty(100, TYPE)
    for relu in relus:
        relu.forward(rng.random((BATCH, 100), TYPE))

    def work() -> None:
        for relu in relus:
            relu.backward(dy)
            ones.dot(dy, out=gradient)

    return work


def dropout() -> Callable[[], None]:
    """The masks of a batch, drawn and multiplied by, and the gradients through them."""
    rng = np.random.default_rng(0)
    layers = [Dropout(0.25, BATCH, 100, TYPE, rng) for _ in range(HIDDEN)]
    x = rng.random((BATCH, 100), TYPE)

    def work() -> None:
        for layer in layers:
            layer.forward(x)
            layer.backward(x)

    return work


def loss(size: int, *, measured: bool) -> Callable[[], None]:
    """Softmax and its gradient; or the loss and who was right."""
    rng = np.random.default_rng(0)
    logits, labels = rng.random((size, 10), TYPE), rng.integers(0, 10, size)
    of = SoftmaxCrossEntropy(size, 10, TYPE)

    def work() -> None:
        of.forward(logits, labels)
        if measured:
            of.value()
            np.count_nonzero(np.argmax(logits, axis=1) == labels)
        else:
            of.backward()

    return work


def main() -> None:
    """Measure each, and print what they take together."""
    rng = np.random.default_rng(0)
    x, batch = rng.random((400, 784), TYPE), np.empty((BATCH, 784), TYPE)
    order = rng.permutation(400)
    weights = 784 * 100 + (HIDDEN - 1) * 100 * 100 + 100 * 10
    penalty = L2Penalty(rng.random((2, weights), TYPE), 1e-6)
    steps = EPOCHS * STEPS
    rows = {
        "a batch is gathered": milliseconds(
            lambda: x.take(order[:BATCH], axis=0, out=batch, mode="clip"), steps
        ),
        "bias and ReLU, forward": milliseconds(forward(BATCH), steps),
        "softmax and its gradient": milliseconds(loss(BATCH, measured=False), steps),
        "ReLU and bias, backward": milliseconds(backward(), steps),
        "weight decay and step": milliseconds(lambda: penalty.descend(1e-3), steps),
        "evaluation: bias and ReLU": sum(milliseconds(forward(n), EPOCHS) for n in (400, 100)),
        "evaluation: loss, accuracy": sum(
            milliseconds(loss(n, measured=True), EPOCHS) for n in (400, 100)
        ),
    }
    rows["together"] = sum(rows.values())
    rows["dropout"] = milliseconds(dropout(), steps)
    rows["together, with dropout"] = rows["together"] + rows["dropout"]
    for name, taken in rows.items():
        print(f"{name:<28}{taken:6.1f}")


if __name__ == "__main__":
    main()
