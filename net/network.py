"""A fully connected network: its parameters, and the chain of layers that a batch goes through."""

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from net.arrays import Array, Float, Labels, Parameter
from net.initializers import initialize
from net.layers import ACTIVATIONS, Affine, BatchNorm, Damping, Dropout, Layer
from net.losses import LOSSES, Loss

CHUNK = 512  # examples that go through the network at once outside of training
DROPOUT_FORMS = ("inverted", "book")


class Network:
    """inputs → hidden → … → outputs; a hidden layer is Affine[, BatchNorm], activation[, Dropout].

    The last layer is Affine. Its loss is softmax with cross-entropy, which learns classes, or half
    the mean squared error (4.2.1) of its outputs as they are, which learns numbers (3.5).

        >>> network = Network(784, [100, 100], 10, rng=np.random.default_rng(0))
        >>> network.state["layers.0.weight"].shape
        (784, 100)

    Args:
        inputs: features of an example.
        hidden: units of each hidden layer, from the first to the last; none is a linear classifier.
        outputs: classes, or numbers an example has.
        activation: "relu", "sigmoid" or "tanh".
        init: "he", "xavier" or a standard deviation (see `net.initializers`). Biases start at 0.
        dropout: the ratio of hidden units switched off in training, in [0, 1).
        dropout_form: "inverted", or "book" for the form of 6.4.3 (see `net.layers.Dropout`).
        batch_norm: normalize the input of each activation.
        loss: "cross-entropy" or "squared-error" (see `net.losses`).
        dtype: np.float32 or np.float64, of everything that is computed.
        rng: draws the first weights.

    Attributes:
        parameters: all parameters in one flat array; those in `state` are views of it.
        gradients: the gradients, in the same order.
        decayed: the parameters that weight decay is for, neither biases nor γ and β, and in the
            second row their gradients: (2, n), a view.
        named_parameters: name → views of a parameter's values and of its gradient.
        state: name → array, the whole of what is learned: "layers.0.weight" (inputs, outputs),
            "layers.0.bias", …, and with batch normalization "norms.0.gamma", "norms.0.beta",
            "norms.0.running_mean", "norms.0.running_var". Training changes these arrays in place.

    Raises:
        ValueError: an argument that is out of range or unknown.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        outputs: int,
        *,
        activation: str = "relu",
        init: str | float = "he",
        dropout: float = 0.0,
        dropout_form: str = "inverted",
        batch_norm: bool = False,
        loss: str = "cross-entropy",
        dtype: type[np.float32] | type[np.float64] = np.float32,
        rng: np.random.Generator,
    ) -> None:
        self.widths = (inputs, *hidden, outputs)
        self.dtype: Float = np.dtype(dtype)
        self.activation = activation
        self.dropout = dropout
        self.dropout_form = dropout_form
        self.batch_norm = batch_norm
        self.loss = loss
        if min(self.widths) < 1:
            raise ValueError(f"layers are {self.widths}: each needs at least one unit")
        if dtype not in (np.float32, np.float64):
            raise ValueError(f"dtype is {dtype}: it must be np.float32 or np.float64")
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"activation is {activation!r}: it must be in {', '.join(ACTIVATIONS)}"
            )
        if loss not in LOSSES:
            raise ValueError(f"loss is {loss!r}: it must be in {', '.join(LOSSES)}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout is {dropout}: it must be at least 0 and below 1")
        if dropout_form not in DROPOUT_FORMS:
            raise ValueError(
                f"dropout_form is {dropout_form!r}: it must be in {', '.join(DROPOUT_FORMS)}"
            )

        pairs = list(zip(self.widths, self.widths[1:], strict=False))
        weights = {f"layers.{i}.weight": pair for i, pair in enumerate(pairs)}
        others = {f"layers.{i}.bias": (outputs,) for i, (_, outputs) in enumerate(pairs)}
        statistics: dict[str, Array] = {}
        if batch_norm:
            for i, units in enumerate(hidden):
                others |= {f"norms.{i}.gamma": (units,), f"norms.{i}.beta": (units,)}
                statistics[f"norms.{i}.running_mean"] = np.zeros(units, self.dtype)
                statistics[f"norms.{i}.running_var"] = np.ones(units, self.dtype)

        # The weights come first, so that weight decay, which is theirs alone, meets flat rows.
        shapes = weights | others
        rows = np.zeros((2, sum(map(math.prod, shapes.values()))), self.dtype)
        self.parameters, self.gradients = rows
        self.decayed: Array = rows[:, : sum(map(math.prod, weights.values()))]
        values = _named_views(self.parameters, shapes)
        gradients = _named_views(self.gradients, shapes)
        self.named_parameters = {name: Parameter(values[name], gradients[name]) for name in shapes}
        self.state: Mapping[str, Array] = MappingProxyType(values | statistics)

        for name in weights:
            initialize(values[name], init, rng)
        for i in range(len(hidden) if batch_norm else 0):
            values[f"norms.{i}.gamma"].fill(1)

    def load_state(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Copy arrays, such as another network's `state`, into this network's own.

        Raises:
            ValueError: a name is missing or unknown, or a shape differs; nothing is copied then.
        """
        arrays = {name: np.asarray(array) for name, array in state.items()}
        if different := sorted(arrays.keys() ^ self.state.keys()):
            raise ValueError(f"the state has other names than the network: {', '.join(different)}")
        for name, own in self.state.items():
            if arrays[name].shape != own.shape:
                raise ValueError(f"{name} has shape {arrays[name].shape}, not {own.shape}")
        for name, own in self.state.items():
            own[...] = arrays[name]

    def predict(self, x: npt.ArrayLike) -> Labels | Array:
        """The likeliest class of each row of x, (n, inputs) → (n,); or numbers, (n, outputs)."""
        if self.loss == "squared-error":
            return self._predictions(x)
        classes: Labels = np.argmax(self.predict_proba(x), axis=1)
        return classes

    def predict_proba(self, x: npt.ArrayLike) -> Array:
        """The probability of each class, (n, inputs) → (n, outputs).

        Raises:
            ValueError: the network has no classes, or x is not of shape (n, inputs).
        """
        if self.loss == "squared-error":
            raise ValueError("a network of loss squared-error has no classes")
        return self._predictions(x)

    def _predictions(self, x: npt.ArrayLike) -> Array:
        x = self.as_inputs(x)
        predictions = np.empty((len(x), self.widths[-1]), self.dtype)
        for rows, chain in self.chunks(len(x)):
            predictions[rows] = chain.predictions(x[rows])
        return predictions

    def activations(self, x: npt.ArrayLike) -> list[Array]:
        """What comes out of each hidden activation, in evaluation mode: arrays (n, units) (6.2.1).

        The whole of x goes through at once.
        """
        x = self.as_inputs(x)
        outputs = self.chain(len(x)).outputs(x)
        return [y for layer, y in outputs if isinstance(layer, ACTIVATIONS[self.activation])]

    def chain(self, size: int, *, dropout_rng: np.random.Generator | None = None) -> "Chain":
        """The layers, made for batches of `size` examples.

        They are made for training if the generator of dropout's masks is given, and for evaluation
        if it is not.
        """
        first, *others = (
            Affine(
                self.named_parameters[f"layers.{i}.weight"],
                self.named_parameters[f"layers.{i}.bias"],
                size,
            )
            for i in range(len(self.widths) - 1)
        )
        rest: list[Layer] = []
        for i, affine in enumerate(others):
            units = self.widths[i + 1]
            if self.batch_norm:
                rest.append(self._batch_norm(i, size, training=dropout_rng is not None))
            rest.append(ACTIVATIONS[self.activation](size, units, self.dtype))
            if self.dropout:
                rest += self._dropout(size, units, dropout_rng)
            rest.append(affine)
        return Chain(first, rest, LOSSES[self.loss](size, self.widths[-1], self.dtype))

    def chunks(self, n: int) -> Iterator[tuple[slice, "Chain"]]:
        """n examples cut for evaluation: rows, and a chain for that many of them.

        All chunks but the last have `CHUNK` rows: bounded memory, and shapes (hence roundings) that
        depend on n alone.
        """
        for start in range(0, n, CHUNK):
            size = min(CHUNK, n - start)
            if start == 0 or size < CHUNK:
                chain = self.chain(size)
            yield slice(start, start + size), chain

    def _batch_norm(self, i: int, size: int, *, training: bool) -> BatchNorm:
        return BatchNorm(
            self.named_parameters[f"norms.{i}.gamma"],
            self.named_parameters[f"norms.{i}.beta"],
            self.state[f"norms.{i}.running_mean"],
            self.state[f"norms.{i}.running_var"],
            size,
            training=training,
        )

    def _dropout(
        self, size: int, units: int, rng: np.random.Generator | None
    ) -> list[Damping] | list[Dropout]:
        inverted = self.dropout_form == "inverted"
        if rng is None:
            return [] if inverted else [Damping(self.dropout, size, units, self.dtype)]
        return [Dropout(self.dropout, size, units, self.dtype, rng, inverted=inverted)]

    def as_targets(self, targets: npt.ArrayLike, n: int) -> Labels | Array:
        """What n examples should give: contiguous integers (n,), or numbers (n, outputs).

        Raises:
            ValueError: they are not n integers from 0 to outputs - 1; or not (n, outputs) finite
                numbers, where (n,) will do for one output.
        """
        if self.loss == "squared-error":
            numbers = np.ascontiguousarray(targets, self.dtype)
            shape = (n, self.widths[-1])
            if numbers.shape == (n,) and shape[1] == 1:
                numbers = numbers.reshape(shape)
            if numbers.shape != shape or not np.isfinite(numbers).all():
                raise ValueError(f"targets must be finite numbers of shape {shape}")
            return numbers
        array = np.asarray(targets)
        if array.shape != (n,) or not np.issubdtype(array.dtype, np.integer):
            raise ValueError(f"labels must be {n} integers, one for each row of x")
        classes = self.widths[-1]
        if n and (array.min() < 0 or array.max() >= classes):
            raise ValueError(
                f"labels go from {array.min()} to {array.max()}, not 0 to {classes - 1}"
            )
        return np.ascontiguousarray(array, np.intp)

    def as_inputs(self, x: npt.ArrayLike) -> Array:
        """x as a contiguous array of the network's dtype (itself, if it is one).

        Raises:
            ValueError: x is not of shape (n, inputs).
        """
        array = np.ascontiguousarray(x, self.dtype)
        if array.ndim != 2 or array.shape[1] != self.widths[0]:
            raise ValueError(f"x has shape {array.shape}: it must be (n, {self.widths[0]})")
        return array


class Chain:
    """Layers and a loss for batches of one size: forward through all of them, and back again."""

    def __init__(self, first: Affine, rest: list[Layer], loss: Loss) -> None:
        self.first, self.rest, self.loss = first, rest, loss

    def outputs(self, x: Array) -> Iterator[tuple[Layer, Array]]:
        """Each layer with what comes out of it."""
        for layer in (self.first, *self.rest):
            x = layer.forward(x)
            yield layer, x

    def forward(self, x: Array) -> Array:
        """What the last layer gives, (n, outputs): of classes the logits."""
        x = self.first.forward(x)
        for layer in self.rest:
            x = layer.forward(x)
        return x

    def predictions(self, x: Array) -> Array:
        """What comes out at the end, (n, outputs): probabilities of classes, or numbers."""
        return self.loss.predictions(self.forward(x))

    def differentiate(self, x: Array, targets: Labels | Array) -> None:
        """The gradients of a batch's mean loss by all parameters, written in their place."""
        self.loss.forward(self.forward(x), targets)
        dy = self.loss.backward()
        for layer in reversed(self.rest):
            dy = layer.backward(dy)
        self.first.differentiate(dy)  # nobody asks for the gradient by x, a large product


def _named_views(flat: Array, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    views, start = {}, 0
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        views[name] = flat[start:stop].reshape(shape)
        start = stop
    return views
