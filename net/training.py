"""Training: mini-batches, epochs, and what is known after each (4.5, 6.4, 6.5)."""

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from net.arrays import Array, Labels, Take
from net.losses import L2Penalty
from net.network import Network
from net.optimizers import Optimizer
from net.schedules import SCHEDULES, learning_rate_factor
from net.scores import class_counts, macro_f1
from net.shifts import Shifts

Examples = tuple[npt.ArrayLike, npt.ArrayLike]
Targets = Labels | Array
"""Classes (n,), or numbers (n, outputs)."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What is known after an epoch, measured in evaluation mode over the whole of each part.

    Attributes:
        epoch: its number, from 1.
        train_loss, val_loss: the network's mean loss, without the penalty on weights.
        train_score, val_score: the part of the examples classified rightly, in [0, 1]; or, of a
            network that learns numbers, R² = 1 - Σ(y - t)² / Σ(t - mean t)², at most 1. Where all
            targets of the part are the same, R² is 1 if all outputs are right, or else 0.
        measured: whether the training part was measured; where not, its numbers are NaN.
        train_f1, val_f1: macro F1 (see `net.macro_f1`), or None if not asked for.
        step_losses: the loss of each mini-batch as it was trained on, or None if not asked for.
        best: the epoch whose weights the network has if the training ends here: this one, or with
            early stopping the one of least validation loss so far (0: the first weights).
        last: whether the training does end here: after its epochs, or as `patience` is used up.
    """

    epoch: int
    train_loss: float
    train_score: float
    val_loss: float
    val_score: float
    train_f1: float | None
    val_f1: float | None
    step_losses: tuple[float, ...] | None
    best: int
    last: bool
    measured: bool = True


@dataclass(slots=True)
class Progress:
    """How far a training has come, beside the state of its network, optimizer and generators.

    A training that is given the state of another one between two epochs, all of it, goes on to the
    very bits that the other one comes to.

    Attributes:
        epoch: the epochs that are over.
        best: the epoch of least validation loss so far, where `patience` asks for it (0: none
            yet); elsewhere the last one.
        least: that loss.
        kept: the network's state after that epoch; None without `patience`.
    """

    epoch: int = 0
    best: int = 0
    least: float = math.inf
    kept: Mapping[str, Array] | None = None


def fit(
    network: Network,
    optimizer: Optimizer,
    train: Examples,
    validation: Examples,
    *,
    epochs: int,
    batch_size: int,
    shuffle_rng: np.random.Generator,
    dropout_rng: np.random.Generator,
    weight_decay: float = 0.0,
    schedule: str = "constant",
    warmup: int = 0,
    clip_norm: float | None = None,
    patience: int | None = None,
    shifts: Shifts | None = None,
    record_steps: bool = False,
    measure: int = 1,
    f1: bool = False,
    progress: Progress | None = None,
) -> Generator[Epoch, None, None]:
    """Train a network, and yield an `Epoch` after each.

    Nothing happens before the first epoch is asked for, and closing the generator ends the
    training. It reads no clock and no random state but the generators': the same arguments
    give the same bits (with one BLAS thread). A training that diverges goes on and yields its
    infinite or NaN losses, without warnings: what to do then is the caller's to say.

        >>> for epoch in fit(network, make_optimizer("sgd", lr=0.01), train, validation, epochs=50,
        ...                  batch_size=100, shuffle_rng=rng, dropout_rng=rng):
        ...     print(epoch.epoch, epoch.val_score)

    Args:
        network: is changed in place, and may be read between epochs.
        optimizer: a new one.
        train, validation: (x, targets): x (n, inputs), targets (n,) integers from 0, or numbers
            (n, outputs). They are converted once, to contiguous arrays of the network's dtype.
        epochs: how often each training example is seen.
        batch_size: examples of a mini-batch. Each epoch shuffles all examples and cuts them; where
            they do not divide, the last mini-batch is a smaller one, and is used. Batch
            normalization needs two examples at least: a last one alone joins the batch before it.
        shuffle_rng: draws the order of the examples: an epoch's is its `permutation(n)`.
        dropout_rng: draws the masks of dropout.
        weight_decay: λ of the book's L2 penalty λ/2 ΣW² (6.4.2), a part of the loss that is made
            small, though not of the losses that are reported. AdamW has its own, decoupled one.
        schedule: "constant", "step" or "cosine" (see `net.schedules`), by mini-batch.
        warmup: epochs in which the learning rate first climbs to the full one.
        clip_norm: the longest gradient (L2 norm over all parameters, penalty included) that is not
            shortened to this length.
        patience: stop early when the validation loss was not below its least for this many epochs
            in a row, and put back the weights of that least, then and after the last epoch. A
            generator that is closed leaves the weights as they are.
        shifts: moves the images that are trained on; measured is without.
        record_steps: keep each mini-batch's loss.
        measure: measure the training part after each so many epochs, and after the last; 0: only
            after the last. That changes nothing else. The validation part is always measured.
        f1: measure macro F1 as well, of a network that classifies.
        progress: where the training begins, and what is kept up to date with each epoch. By
            default it begins with the first.

    Raises:
        ValueError: at once, if an argument is out of range or shapes do not fit.
    """
    if min(epochs, warmup, measure) < 0 or batch_size < 1:
        raise ValueError("epochs, warmup and measure must be at least 0, and batch_size at least 1")
    if not (math.isfinite(weight_decay) and weight_decay >= 0):
        raise ValueError(f"weight_decay is {weight_decay}: it must be a finite number, not below 0")
    if clip_norm is not None and not clip_norm > 0:
        raise ValueError(f"clip_norm is {clip_norm}: it must be above 0")
    if patience is not None and patience < 1:
        raise ValueError(f"patience is {patience}: it must be at least 1")
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule is {schedule!r}: it must be one of {', '.join(SCHEDULES)}")
    if f1 and network.loss == "squared-error":
        raise ValueError("f1 is of classes: a network that learns numbers has none")
    x, targets = _as_examples(network, train)
    if network.batch_norm and min(batch_size, len(x)) < 2:
        raise ValueError("batch normalization needs batches of at least 2 examples")
    sizes = _batch_sizes(len(x), batch_size, join_last_one=network.batch_norm)
    steps = len(sizes)
    progress = Progress() if progress is None else progress
    trainer = _Trainer(
        network,
        optimizer,
        x,
        targets,
        sizes=sizes,
        shuffle_rng=shuffle_rng,
        dropout_rng=dropout_rng,
        penalty=L2Penalty(network.decayed, weight_decay) if weight_decay else None,
        factor=partial(learning_rate_factor, schedule, steps=steps * epochs, warmup=steps * warmup),
        clip_norm=clip_norm,
        shifts=shifts,
        record_steps=record_steps,
    )
    validated = _as_examples(network, validation)
    parts = _Part(network, x, targets, f1=f1), _Part(network, *validated, f1=f1)
    return _epochs(network, trainer, parts, epochs, patience, measure, progress)


def _epochs(
    network: Network,
    trainer: "_Trainer",
    parts: tuple["_Part", "_Part"],
    epochs: int,
    patience: int | None,
    measure: int,
    progress: Progress,
) -> Generator[Epoch, None, None]:
    train, validation = parts
    trainer.step = progress.epoch * len(trainer.batches)
    if patience is not None and progress.kept is None:
        progress.kept = _copy(network.state)
    for number in range(progress.epoch + 1, epochs + 1):
        # A diverging training overflows on its way to infinity and NaN, which its losses tell.
        with np.errstate(all="ignore"):
            losses = trainer.epoch()
            val_loss, val_score, val_f1 = validation.measure()
        progress.epoch = number
        if patience is None:
            progress.best = number
        elif val_loss < progress.least:
            progress.best, progress.least = number, val_loss
            progress.kept = _copy(network.state)
        best = progress.best
        last = number == epochs or (patience is not None and number - best >= patience)
        measured = last or (measure > 0 and number % measure == 0)
        with np.errstate(all="ignore"):
            train_loss, train_score, train_f1 = train.measure() if measured else train.nothing()
        yield Epoch(
            epoch=number,
            train_loss=train_loss,
            train_score=train_score,
            val_loss=val_loss,
            val_score=val_score,
            train_f1=train_f1,
            val_f1=val_f1,
            step_losses=tuple(losses) if trainer.record_steps else None,
            best=best,
            last=last,
            measured=measured,
        )
        if last:
            break
    if progress.kept is not None:
        network.load_state(progress.kept)


class _Trainer:
    """Mini-batch after mini-batch: gradient, penalty, clipping, step.

    All of them are gathered in the same memory, and those of one size go through the same chain of
    layers.
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer,
        x: Array,
        targets: Targets,
        *,
        sizes: list[int],
        shuffle_rng: np.random.Generator,
        dropout_rng: np.random.Generator,
        penalty: L2Penalty | None,
        factor: Callable[[int], float],
        clip_norm: float | None,
        shifts: Shifts | None,
        record_steps: bool,
    ) -> None:
        self.network, self.optimizer = network, optimizer
        self.examples = len(x)
        self.take_x = _rows_of(x) if shifts is None else shifts.of(x)
        self.take_targets = _rows_of(targets)
        self.shuffle_rng = shuffle_rng
        self.penalty, self.factor, self.clip_norm = penalty, factor, clip_norm
        self.record_steps = record_steps
        self.step = 0
        batch_x, batch_t = np.empty_like(x[: max(sizes)]), np.empty_like(targets[: max(sizes)])
        chains = {size: network.chain(size, dropout_rng=dropout_rng) for size in set(sizes)}
        self.batches = [(chains[size], batch_x[:size], batch_t[:size]) for size in sizes]

    def epoch(self) -> list[float]:
        """Train on each example once; the losses of the mini-batches, if they are recorded."""
        network, losses, start = self.network, [], 0
        order = self.shuffle_rng.permutation(self.examples)
        for chain, x, targets in self.batches:
            rows = order[start : start + len(x)]
            start += len(x)
            self.take_x(rows, x)
            self.take_targets(rows, targets)
            chain.differentiate(x, targets)
            if self.record_steps:
                losses.append(chain.loss.value())
            penalty = self.penalty
            if self.clip_norm is not None:
                if penalty is not None:
                    penalty.add_gradient()
                    penalty = None
                clip(network.gradients, self.clip_norm)
            factor = self.factor(self.step)
            self.optimizer.step(network.parameters, network.gradients, factor, penalty)
            self.step += 1
        return losses


class _Part:
    """A part of the data that is measured again after each epoch."""

    def __init__(self, network: Network, x: Array, targets: Targets, *, f1: bool) -> None:
        self.size = len(x)
        self.classes = network.widths[-1] if f1 else 0
        self.chunks = [
            (chain, x[rows], targets[rows], rows.stop - rows.start)
            for rows, chain in network.chunks(len(x))
        ]
        self.mean_loss: float | None = None  # of outputs that are the targets' mean
        if network.loss == "squared-error":
            self.mean_loss = float(targets.var(axis=0, dtype=np.float64).sum()) / 2

    def measure(self) -> tuple[float, float, float | None]:
        """Mean loss, accuracy or R², and F1 if it is asked for."""
        loss, right = 0.0, 0
        counts = np.zeros((3, self.classes), np.int64)
        for chain, x, targets, size in self.chunks:
            outputs = chain.forward(x)
            chain.loss.forward(outputs, targets)
            loss += chain.loss.value() * size
            if self.mean_loss is None:
                predicted = np.argmax(outputs, axis=1)
                right += int(np.count_nonzero(predicted == targets))
                if self.classes:
                    counts += class_counts(predicted, np.asarray(targets, np.intp), self.classes)
        loss /= self.size
        if self.mean_loss is None:
            return loss, right / self.size, macro_f1(counts) if self.classes else None
        return loss, 1 - loss / self.mean_loss if self.mean_loss else float(loss == 0), None

    def nothing(self) -> tuple[float, float, float | None]:
        """What stands there where it is not measured."""
        return math.nan, math.nan, math.nan if self.classes else None


def clip(gradients: Array, norm: float) -> None:
    """Shorten a gradient in place to a length (L2 norm), if it is longer (Pascanu et al., 2013).

    One that is not finite stays as it is.
    """
    square = float(np.dot(gradients, gradients))
    limits = np.finfo(gradients.dtype)
    sound = limits.tiny / limits.eps < square < math.inf
    ratio = norm / math.sqrt(square) if sound else 0.0
    if ratio >= limits.tiny:
        if ratio < 1:
            np.multiply(gradients, ratio, out=gradients)
        return
    # The squares or the ratio overflow or vanish. Those by the largest element do not.
    largest = float(max(gradients.max(), -gradients.min()))
    if 0 < largest < math.inf:
        length = float(np.linalg.norm(gradients / largest))
        if length * largest > norm:
            np.divide(gradients, largest, out=gradients)
            np.multiply(gradients, norm / length, out=gradients)


def _rows_of(array: npt.NDArray[Any]) -> Take:
    def take(rows: Labels, out: npt.NDArray[Any]) -> None:
        array.take(rows, axis=0, out=out, mode="clip")  # "raise", the default, would buffer

    return take


def _batch_sizes(n: int, batch_size: int, *, join_last_one: bool) -> list[int]:
    """How many examples each mini-batch of an epoch has."""
    sizes = [min(batch_size, n - start) for start in range(0, n, batch_size)]
    if join_last_one and len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [batch_size + 1]
    return sizes


def _as_examples(network: Network, examples: Examples) -> tuple[Array, Targets]:
    x = network.as_inputs(examples[0])
    if len(x) == 0:
        raise ValueError("there are no examples")
    return x, network.as_targets(examples[1], len(x))


def _copy(state: Mapping[str, Array]) -> dict[str, Array]:
    return {name: array.copy() for name, array in state.items()}
