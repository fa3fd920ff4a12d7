"""The layers: a batch goes forward through them, the loss's gradient back (5.4 to 5.6, 6.3, 6.4).

A layer is made for batches of one size, and allocates once what it needs. What it returns is its
own memory, written anew by its next call. An elementwise layer works in the memory it is handed,
which nobody reads again: an Affine layer remembers its input, never its output. An activation goes
back in the memory of its own output, too, which only the layer after it has read.

Shapes: x is (n, inputs), y is (n, outputs), and dx, dy, the gradients of the loss L, are like them.
"""

from abc import ABC, abstractmethod

import numpy as np

from net.arrays import Array, Float, Parameter, constant


class Layer(ABC):
    """A function of a batch, and its derivative."""

    @abstractmethod
    def forward(self, x: Array) -> Array:
        """y = f(x)."""

    @abstractmethod
    def backward(self, dy: Array) -> Array:
        """dL/dx from dL/dy, at the x of the last `forward`; once, as it uses up dy and y."""


class Affine(Layer):
    """y = x W + b (5.6.2), with W (inputs, outputs) and b (outputs,)."""

    def __init__(self, weight: Parameter, bias: Parameter, size: int) -> None:
        outputs = weight.value.shape[1]
        dtype = weight.value.dtype
        self.weight, self.bias = weight, bias
        self._y = np.empty((size, outputs), dtype)
        self._dx: Array | None = None  # the first layer and evaluation need none
        self._ones = np.ones(size, dtype)

    def forward(self, x: Array) -> Array:
        """y = x W + b."""
        self._x = x
        np.matmul(x, self.weight.value, out=self._y)
        return np.add(self._y, self.bias.value, out=self._y)

    def differentiate(self, dy: Array) -> None:
        """The gradients of the parameters alone, written in their place.

        y_ij = sum_k x_ik W_kj + b_j, therefore

            dL/dW = xᵀ dy        dL/db = sum_i dy_i

        The sum over the batch is a product with ones, which BLAS does faster than a reduction.
        """
        np.matmul(self._x.T, dy, out=self.weight.gradient)
        self._ones.dot(dy, out=self.bias.gradient)

    def backward(self, dy: Array) -> Array:
        """dL/dx = dy Wᵀ, and the gradients of the parameters as in `differentiate`."""
        self.differentiate(dy)
        if self._dx is None:
            self._dx = np.empty(self._x.shape, self._x.dtype)
        return np.matmul(dy, self.weight.value.T, out=self._dx)


class ReLU(Layer):
    """y = max(x, 0) (5.5.1)."""

    def __init__(self, size: int, units: int, dtype: Float) -> None:
        # Whole arrays of constants, since `maximum` of an array and a number is four times slower.
        self._zeros: Array = constant(0, (size, units), dtype)
        self._integer = np.dtype(f"i{dtype.itemsize}")
        self._ones = constant(1, (size, units), self._integer)

    def forward(self, x: Array) -> Array:
        """y = max(x, 0)."""
        self._y = x
        return np.maximum(x, self._zeros, out=x)

    def backward(self, dy: Array) -> Array:
        """dL/dx = dy where y > 0, else 0.

        The bits of a y above 0, read as an integer, are 1 or more; those of 0 are 0. The lesser of
        them and 1 is therefore the slope, and times it the bits of dy stay or are cleared: two
        passes over integers, where y > 0 would have to be converted from bools, which takes longer.
        (Where y is NaN, dx is any number, and so may be the gradients of the layers before. The
        loss is NaN then, and so are the gradients of the last layer.)
        """
        y, dx = self._y.view(self._integer), dy.view(self._integer)
        np.minimum(y, self._ones, out=y)
        np.multiply(dx, y, out=dx)
        return dy


class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x)) (5.5.2)."""

    def __init__(self, size: int, units: int, dtype: Float) -> None:
        """It needs no memory of its own."""

    def forward(self, x: Array) -> Array:
        """y = (1 + tanh(x / 2)) / 2, the same function, in a form that cannot overflow."""
        np.multiply(x, 0.5, out=x)
        np.tanh(x, out=x)
        np.multiply(x, 0.5, out=x)
        self._y = np.add(x, 0.5, out=x)
        return self._y

    def backward(self, dy: Array) -> Array:
        """dL/dx = dy y (1 - y)."""
        np.multiply(dy, self._y, out=dy)
        np.subtract(1, self._y, out=self._y)
        return np.multiply(dy, self._y, out=dy)


class Tanh(Layer):
    """y = tanh(x)."""

    def __init__(self, size: int, units: int, dtype: Float) -> None:
        """It needs no memory of its own."""

    def forward(self, x: Array) -> Array:
        """y = tanh(x)."""
        self._y = np.tanh(x, out=x)
        return self._y

    def backward(self, dy: Array) -> Array:
        """dL/dx = dy (1 - y²)."""
        np.multiply(self._y, self._y, out=self._y)
        np.subtract(1, self._y, out=self._y)
        return np.multiply(dy, self._y, out=dy)


class BatchNorm(Layer):
    """Each unit brought to mean 0 and variance 1 over the batch, then to a learned γ and β (6.3).

    In training the mean and variance are the batch's, and `running_mean` and `running_var` follow
    them: running = momentum * running + (1 - momentum) * batch. In evaluation these two are used.
    The batch is divided by its biased variance, as in the book; the running variance follows the
    unbiased one (n - 1 instead of n), so that it tends to the data's. Where inputs scatter little,
    ε decides how much of them is left: it is the book's, 10e-7.

    Raises:
        ValueError: a batch of one in training. It is its own mean: whatever goes in, β comes out.
    """

    momentum = 0.9
    epsilon = 1e-6

    def __init__(
        self,
        gamma: Parameter,
        beta: Parameter,
        running_mean: Array,
        running_var: Array,
        size: int,
        *,
        training: bool,
    ) -> None:
        if training and size < 2:
            raise ValueError("batch normalization needs batches of at least 2 examples")
        units, dtype = gamma.value.size, gamma.value.dtype
        self.gamma, self.beta = gamma, beta
        self.running_mean, self.running_var = running_mean, running_var
        self._training = training
        self._y = np.empty((size, units), dtype)
        self._ones = np.ones(size, dtype)
        self._unbiased = size / max(size - 1, 1)  # in evaluation a batch may be one

    def forward(self, x: Array) -> Array:
        """y = γ x̂ + β with x̂ = (x - μ) / sqrt(σ² + ε)."""
        if self._training:
            mean = self._mean(x)
            np.subtract(x, mean, out=x)
            var = self._mean(np.multiply(x, x, out=self._y))
            self._follow(self.running_mean, mean)
            self._follow(self.running_var, var * self._unbiased)
        else:
            np.subtract(x, self.running_mean, out=x)
            var = self.running_var
        self._deviation: Array = np.sqrt(var + self.epsilon)
        self._normal = np.divide(x, self._deviation, out=x)
        np.multiply(self._normal, self.gamma.value, out=self._y)
        return np.add(self._y, self.beta.value, out=self._y)

    def backward(self, dy: Array) -> Array:
        """The batch's mean and variance depend on x as well, therefore

        dL/dβ = sum_i dy_i      dL/dγ = sum_i dy_i x̂_i
        dL/dx = γ / sqrt(σ² + ε) (dy - mean(dy) - x̂ mean(dy x̂))
        """
        np.matmul(self._ones, dy, out=self.beta.gradient)
        np.multiply(dy, self._normal, out=self._y)
        np.matmul(self._ones, self._y, out=self.gamma.gradient)
        np.multiply(self._normal, self.gamma.gradient / self._ones.size, out=self._y)
        np.subtract(dy, self._y, out=dy)
        np.subtract(dy, self.beta.gradient / self._ones.size, out=dy)
        return np.multiply(dy, self.gamma.value / self._deviation, out=dy)

    def _mean(self, x: Array) -> Array:
        total: Array = np.matmul(self._ones, x)
        return total / self._ones.size

    def _follow(self, running: Array, batch: Array) -> None:
        running *= self.momentum
        running += (1 - self.momentum) * batch


class Dropout(Layer):
    """Units switched off at random in training (6.4.3).

    As "inverted" dropout, y = x / keep for the units that stay, so that the expected activation is
    that of evaluation, which has no such layer. In the book's form they stay as they are, y = x,
    and evaluation has a `Damping` layer. A network in that form learns more slowly, since all that
    a layer passes on is smaller by keep.

    `keep` is 1 - ratio, rounded to a multiple of 1/65536: a unit stays when 16 random bits, read
    as an integer, are below 65536 * keep. That probability is exact, and four units share one word
    of 64 bits, which makes masks several times cheaper than a random float for each unit.

    Args:
        ratio: the ratio of units switched off, in [0, 1).
        size, units, dtype: of the batches.
        rng: draws the masks.
        inverted: which form.

    Raises:
        ValueError: a ratio outside [0, 1), or a generator whose words have 32 bits.
    """

    # Words are drawn for this many units at a time: a draw allocates what it returns, and so it
    # never is more than 32 KiB, whatever the batch.
    _stride = 16384

    def __init__(
        self,
        ratio: float,
        size: int,
        units: int,
        dtype: Float,
        rng: np.random.Generator,
        *,
        inverted: bool = True,
    ) -> None:
        if isinstance(rng.bit_generator, np.random.MT19937):
            raise ValueError("dropout needs random words of 64 bits: take np.random.default_rng")
        limit = _kept_of_65536(ratio)
        self.keep = limit / 65536
        self._last_kept = np.uint16(limit - 1)
        self._random_words = rng.bit_generator.random_raw
        self._scale = dtype.type(1 / self.keep if inverted else 1)
        self._mask = np.empty((size, units), dtype)
        self._y = np.empty((size, units), dtype)
        self._kept = np.empty(size * units, np.bool_)

    def forward(self, x: Array) -> Array:
        """y = x m, where m is 0 with probability 1 - keep, else 1 / keep (in the book's form 1)."""
        for start in range(0, self._kept.size, self._stride):
            kept = self._kept[start : start + self._stride]
            words = self._random_words(-(-kept.size // 4))
            np.less_equal(words.view(np.uint16)[: kept.size], self._last_kept, out=kept)
        np.multiply(self._kept.reshape(x.shape), self._scale, out=self._mask)
        return np.multiply(x, self._mask, out=self._y)

    def backward(self, dy: Array) -> Array:
        """dL/dx = dy m."""
        return np.multiply(dy, self._mask, out=dy)


class Damping(Layer):
    """The book's dropout in evaluation: y = x keep, the expected activation of training (6.4.3)."""

    def __init__(self, ratio: float, size: int, units: int, dtype: Float) -> None:
        self.keep = _kept_of_65536(ratio) / 65536
        self._y = np.empty((size, units), dtype)

    def forward(self, x: Array) -> Array:
        """y = x keep."""
        return np.multiply(x, self.keep, out=self._y)

    def backward(self, dy: Array) -> Array:
        """dL/dx = dy keep."""
        return np.multiply(dy, self.keep, out=dy)


def _kept_of_65536(ratio: float) -> int:
    """How many of 65,536 units stay; one at least."""
    if not 0 <= ratio < 1:
        raise ValueError(f"dropout is {ratio}: it must be at least 0 and below 1")
    return max(round((1 - ratio) * 65536), 1)


ACTIVATIONS: dict[str, type[ReLU] | type[Sigmoid] | type[Tanh]] = {
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
}
