"""How a gradient becomes a step (6.1), in the order of their complexity.

An optimizer sees parameters and gradients, one flat array each, and perhaps a penalty on the first
of them. Notation: p the parameters, g their gradient, lr the learning rate (with the schedule's
factor already in it).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from net.arrays import Array, blocks
from net.losses import L2Penalty


class Optimizer(ABC):
    """Changes parameters in place, and uses up the gradients as scratch space.

    Its first step ties it to the arrays of that step, since it remembers something about each
    parameter: `slots` arrays, zero at first.

    Args:
        lr: the learning rate, a finite number above 0.

    Raises:
        ValueError: a hyperparameter out of range; a step with other arrays than the first one's.
    """

    slots: ClassVar[int] = 0

    def __init__(self, *, lr: float) -> None:
        _require(math.isfinite(lr) and lr > 0, "lr", lr, "a finite number above 0")
        self.lr = lr
        self.steps = 0
        self._parameters: Array | None = None
        self._gradients: Array | None = None
        self._memory: list[Array] = []

    def step(
        self,
        parameters: Array,
        gradients: Array,
        scale: float = 1.0,
        penalty: L2Penalty | None = None,
    ) -> None:
        """One step down the gradients, with a learning rate of lr * scale.

        Args:
            parameters, gradients: flat, (n,).
            scale: the schedule's factor.
            penalty: one on the first `penalty.size` parameters, whose gradient is not in
                `gradients` yet.

        Raises:
            ValueError: other arrays than the first step's; nothing is changed then.
        """
        if self._parameters is None:
            self._tie(parameters, gradients)
        if parameters is not self._parameters or gradients is not self._gradients:
            raise ValueError("an optimizer serves the arrays of its first step: make a new one")
        self.steps += 1
        self._apply(parameters, gradients, self.lr * scale, penalty)

    @property
    def memory(self) -> Sequence[Array]:
        """What it remembers about each parameter: `slots` arrays (n,), none before its first step.

        With `steps` this is all that tells it from a new one; its steps change the arrays in place.
        """
        return self._memory

    def resume(self, steps: int, memory: Sequence[Array]) -> None:
        """Go on where another one is, which has taken so many steps and has this memory.

        Raises:
            ValueError: it has taken a step itself, or has another number of slots.
        """
        if self._parameters is not None:
            raise ValueError("an optimizer that has taken a step cannot go on for another one")
        if len(memory) != (self.slots if steps else 0):
            raise ValueError(f"the memory has {len(memory)} arrays: it must have {self.slots}")
        self.steps = steps
        self._memory = [array.copy() for array in memory]

    @abstractmethod
    def update(self, p: Array, g: Array, lr: float, *memory: Any) -> None:
        """Change p by g, and what is remembered about these parameters along with it."""

    def _apply(
        self, parameters: Array, gradients: Array, lr: float, penalty: L2Penalty | None
    ) -> None:
        if penalty is not None:
            penalty.add_gradient()
        for p, g, *memory in self._blocks:
            self.update(p, g, lr, *memory)

    def _tie(self, parameters: Array, gradients: Array) -> None:
        self._parameters, self._gradients = parameters, gradients
        if not self._memory:
            self._memory = [np.zeros_like(parameters) for _ in range(self.slots)]
        self._blocks = list(blocks(parameters, gradients, *self._memory))
        self._scratch = np.empty_like(self._blocks[0][0])


class SGD(Optimizer):
    """p ← p - lr g (6.1.2)."""

    def _apply(
        self, parameters: Array, gradients: Array, lr: float, penalty: L2Penalty | None
    ) -> None:
        if penalty is None:
            super()._apply(parameters, gradients, lr, None)
        else:  # weights under a penalty are stepped by `L2Penalty.descend`, in half the time
            penalty.descend(lr)
            self.update(parameters[penalty.size :], gradients[penalty.size :], lr)

    def update(self, p: Array, g: Array, lr: float) -> None:
        """p ← p - lr g."""
        np.multiply(g, lr, out=g)
        np.subtract(p, g, out=p)


class Momentum(Optimizer):
    """v ← μ v - lr g, p ← p + v (6.1.4).

    The learning rate is in the velocity, as in the book: when a schedule changes it, what v holds
    keeps the old one.
    """

    slots = 1

    def __init__(self, *, lr: float, momentum: float = 0.9) -> None:
        super().__init__(lr=lr)
        self.momentum = _fraction("momentum", momentum)

    def update(self, p: Array, g: Array, lr: float, v: Array) -> None:
        """v ← μ v - lr g, p ← p + v."""
        np.multiply(g, lr, out=g)
        np.multiply(v, self.momentum, out=v)
        np.subtract(v, g, out=v)
        np.add(p, v, out=p)


class Nesterov(Momentum):
    """Momentum that looks ahead: v ← μ v - lr g, p ← p + μ v - lr g.

    The form of Bengio et al. (2013), in which the parameters kept are those looked ahead to.
    """

    def update(self, p: Array, g: Array, lr: float, v: Array) -> None:
        """v ← μ v - lr g, p ← p + μ v - lr g."""
        np.multiply(g, lr, out=g)
        np.multiply(v, self.momentum, out=v)
        np.subtract(v, g, out=v)
        np.subtract(p, g, out=p)
        np.multiply(v, self.momentum, out=g)
        np.add(p, g, out=p)


class AdaGrad(Optimizer):
    """h ← h + g², p ← p - lr g / (√h + ε) (6.1.5)."""

    slots = 1

    def __init__(self, *, lr: float, epsilon: float = 1e-7) -> None:
        super().__init__(lr=lr)
        self.epsilon = _positive("epsilon", epsilon)

    def update(self, p: Array, g: Array, lr: float, h: Array) -> None:
        """h ← h + g², p ← p - lr g / (√h + ε)."""
        scratch = self._scratch[: p.size]
        np.multiply(g, g, out=scratch)
        np.add(h, scratch, out=h)
        self._descend(p, g, lr, h, scratch)

    def _descend(self, p: Array, g: Array, lr: float, h: Array, scratch: Array) -> None:
        np.sqrt(h, out=scratch)
        np.add(scratch, self.epsilon, out=scratch)
        np.divide(g, scratch, out=g)
        np.multiply(g, lr, out=g)
        np.subtract(p, g, out=p)


class RMSProp(AdaGrad):
    """AdaGrad that forgets: h ← ρ h + (1 - ρ) g² (6.1.5; Tieleman and Hinton, 2012)."""

    def __init__(self, *, lr: float, decay: float = 0.99, epsilon: float = 1e-7) -> None:
        super().__init__(lr=lr, epsilon=epsilon)
        self.decay = _fraction("decay", decay)

    def update(self, p: Array, g: Array, lr: float, h: Array) -> None:
        """h ← ρ h + (1 - ρ) g², p ← p - lr g / (√h + ε)."""
        scratch = self._scratch[: p.size]
        np.multiply(g, g, out=scratch)
        np.multiply(scratch, 1 - self.decay, out=scratch)
        np.multiply(h, self.decay, out=h)
        np.add(h, scratch, out=h)
        self._descend(p, g, lr, h, scratch)


class Adam(Optimizer):
    """Momentum and RMSProp together, both corrected for their start at zero (6.1.6).

    Kingma and Ba (2015), algorithm 1: m ← β1 m + (1 - β1) g, v ← β2 v + (1 - β2) g²,
    p ← p - lr m̂ / (√v̂ + ε) with m̂ = m / (1 - β1ᵗ) and v̂ = v / (1 - β2ᵗ).
    """

    slots = 2

    def __init__(
        self, *, lr: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
    ) -> None:
        super().__init__(lr=lr)
        self.beta1 = _fraction("beta1", beta1)
        self.beta2 = _fraction("beta2", beta2)
        self.epsilon = _positive("epsilon", epsilon)

    def update(self, p: Array, g: Array, lr: float, m: Array, v: Array) -> None:
        """The corrections are numbers: √v̂ + ε = (√v + ε c) / c with c = √(1 - β2ᵗ), and so on."""
        scratch = self._scratch[: p.size]
        np.multiply(m, self.beta1, out=m)
        np.multiply(g, 1 - self.beta1, out=scratch)
        np.add(m, scratch, out=m)
        np.multiply(v, self.beta2, out=v)
        np.multiply(g, g, out=g)
        np.multiply(g, 1 - self.beta2, out=g)
        np.add(v, g, out=v)
        correction = math.sqrt(1 - self.beta2**self.steps)
        np.sqrt(v, out=scratch)
        np.add(scratch, self.epsilon * correction, out=scratch)
        np.divide(m, scratch, out=scratch)
        np.multiply(scratch, lr * correction / (1 - self.beta1**self.steps), out=scratch)
        np.subtract(p, scratch, out=p)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019, algorithm 2).

    Each parameter also shrinks by lr * weight_decay of itself, outside of the gradient and hence
    not rescaled by it: p ← (1 - lr λ) p before Adam's step. All parameters do, biases too: an
    optimizer cannot tell them apart. For the book's weight decay see `net.losses.L2Penalty`.
    """

    def __init__(
        self,
        *,
        lr: float,
        weight_decay: float = 0.01,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(lr=lr, beta1=beta1, beta2=beta2, epsilon=epsilon)
        sound = math.isfinite(weight_decay) and weight_decay >= 0
        _require(sound, "weight_decay", weight_decay, "a finite number, not below 0")
        self.weight_decay = weight_decay

    def update(self, p: Array, g: Array, lr: float, m: Array, v: Array) -> None:
        """p ← (1 - lr λ) p, then Adam's step."""
        np.multiply(p, 1 - lr * self.weight_decay, out=p)
        super().update(p, g, lr, m, v)


OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")


def part_weight_decay(name: str, weight_decay: float) -> tuple[float, float]:
    """What one λ means with an optimizer: the book's penalty for `fit`, the decoupled decay here.

    AdamW has a decay of its own (Loshchilov and Hutter, 2019); all others take the penalty (6.4.2).
    """
    return (0.0, weight_decay) if name == "adamw" else (weight_decay, 0.0)


def make_optimizer(
    name: str,
    *,
    lr: float,
    momentum: float = 0.9,
    decay: float = 0.99,
    beta1: float = 0.9,
    beta2: float = 0.999,
    weight_decay: float = 0.0,
) -> Optimizer:
    """The optimizer of that name: sgd, momentum, nesterov, adagrad, rmsprop, adam or adamw.

    Each takes the hyperparameters that it has and lets the others be, so that a search can choose
    among optimizers: `momentum` is for momentum and nesterov, `decay` for rmsprop, `beta1` and
    `beta2` for adam and adamw. `weight_decay` is adamw's, the decoupled one, and would be missed in
    any other; the book's, for all of them, is an argument of `fit`.

    Raises:
        ValueError: an unknown name, a hyperparameter out of range, a weight decay without adamw.
    """
    if name != "adamw" and weight_decay:
        raise ValueError(f"{name} has no decoupled weight decay: give it to fit, or take adamw")
    match name:
        case "sgd":
            return SGD(lr=lr)
        case "momentum":
            return Momentum(lr=lr, momentum=momentum)
        case "nesterov":
            return Nesterov(lr=lr, momentum=momentum)
        case "adagrad":
            return AdaGrad(lr=lr)
        case "rmsprop":
            return RMSProp(lr=lr, decay=decay)
        case "adam":
            return Adam(lr=lr, beta1=beta1, beta2=beta2)
        case "adamw":
            return AdamW(lr=lr, beta1=beta1, beta2=beta2, weight_decay=weight_decay)
    raise ValueError(f"optimizer is {name!r}: it must be one of {', '.join(OPTIMIZERS)}")


def _require(sound: bool, name: str, value: float, what: str) -> None:
    if not sound:
        raise ValueError(f"{name} is {value}: it must be {what}")


def _fraction(name: str, value: float) -> float:
    _require(0 <= value < 1, name, value, "at least 0 and below 1")
    return value


def _positive(name: str, value: float) -> float:
    _require(math.isfinite(value) and value > 0, name, value, "a finite number above 0")
    return value
