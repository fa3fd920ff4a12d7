"""Training: the numbers against an independent reference, and what `fit` promises."""

import dataclasses
import tracemalloc
import warnings
from collections.abc import Generator
from itertools import islice
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

import net
from net import training
from net.arrays import Array

FEATURES, CLASSES = 6, 3


def data(n: int, seed: int = 0) -> tuple[Array, Any]:
    """Three noisy clusters."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, n)
    centres = np.random.default_rng(99).normal(size=(CLASSES, FEATURES))
    return centres[labels] + rng.normal(size=(n, FEATURES)), labels


def make_network(**changes: Any) -> net.Network:
    """A small network, the same each time."""
    arguments: dict[str, Any] = {"activation": "relu", "rng": np.random.default_rng(0)}
    return net.Network(FEATURES, [16, 8], CLASSES, **(arguments | changes))


def train(
    network: net.Network, optimizer: net.Optimizer | None = None, **changes: Any
) -> Generator[net.Epoch, None, None]:
    """A training whose arguments are the same but for the changes."""
    arguments: dict[str, Any] = {
        "epochs": 4,
        "batch_size": 16,
        "shuffle_rng": np.random.default_rng(1),
        "dropout_rng": np.random.default_rng(2),
    }
    parts = changes.pop("parts", (data(50), data(30, 1)))
    optimizer = optimizer or net.make_optimizer("sgd", lr=0.1)
    return net.fit(network, optimizer, *parts, **(arguments | changes))


class Reference:
    """The book's network, written plainly: lists of arrays, a new one for each result."""

    def __init__(self, network: net.Network) -> None:
        layers = range(3)
        self.weights = [network.state[f"layers.{i}.weight"].copy() for i in layers]
        self.biases = [network.state[f"layers.{i}.bias"].copy() for i in layers]

    def forward(self, x: Array) -> list[Array]:
        """The input, the hidden activations, and the probabilities."""
        outputs = [x]
        for w, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            z = outputs[-1] @ w + b
            outputs.append(np.where(z > 0, z, 0))
        logits = outputs[-1] @ self.weights[-1] + self.biases[-1]
        e = np.exp(logits)
        return [*outputs, e / e.sum(axis=1, keepdims=True)]

    def loss(self, x: Array, labels: Any) -> float:
        """Mean cross-entropy."""
        p = self.forward(x)[-1]
        return float(np.mean([-np.log(row[t]) for row, t in zip(p, labels, strict=True)]))

    def accuracy(self, x: Array, labels: Any) -> float:
        """The part that is right."""
        return float(np.mean(self.forward(x)[-1].argmax(axis=1) == labels))

    def step(self, x: Array, labels: Any, lr: float, weight_decay: float) -> None:
        """One step of SGD on the loss with its L2 penalty."""
        outputs = self.forward(x)
        delta = (outputs[-1] - np.eye(CLASSES)[labels]) / len(x)
        for i in reversed(range(3)):
            dw, db = outputs[i].T @ delta, delta.sum(axis=0)
            delta = (delta @ self.weights[i].T) * (outputs[i] > 0)
            self.weights[i] = self.weights[i] - lr * (dw + weight_decay * self.weights[i])
            self.biases[i] = self.biases[i] - lr * db


def test_agrees_with_an_independent_reference() -> None:
    """In float64 each of 52 steps agrees to 1e-10, the smaller last ones of an epoch included."""
    network = make_network(dtype=np.float64)
    reference = Reference(network)
    (x, t), (x_val, t_val) = parts = data(50), data(30, 1)
    epochs = train(network, epochs=13, weight_decay=0.05, record_steps=True, parts=parts)
    rng = np.random.default_rng(1)
    for epoch in epochs:
        order = rng.permutation(50)
        losses = []
        for rows in (order[:16], order[16:32], order[32:48], order[48:]):
            losses.append(reference.loss(x[rows], t[rows]))
            reference.step(x[rows], t[rows], lr=0.1, weight_decay=0.05)
        assert epoch.step_losses == pytest.approx(losses, rel=0, abs=1e-10)
        assert epoch.train_loss == pytest.approx(reference.loss(x, t), rel=0, abs=1e-10)
        assert epoch.val_loss == pytest.approx(reference.loss(x_val, t_val), rel=0, abs=1e-10)
        assert epoch.train_score == pytest.approx(reference.accuracy(x, t))
        assert epoch.val_score == pytest.approx(reference.accuracy(x_val, t_val))
        for i in range(3):
            np.testing.assert_allclose(
                network.state[f"layers.{i}.weight"], reference.weights[i], rtol=0, atol=1e-10
            )
            np.testing.assert_allclose(
                network.state[f"layers.{i}.bias"], reference.biases[i], rtol=0, atol=1e-10
            )
    assert epoch.epoch == 13


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("optimizer", net.OPTIMIZERS)
def test_every_optimizer_learns_with_every_layer(
    optimizer: str, activation: str, batch_norm: bool
) -> None:
    """The loss falls well below that of guessing, whatever is combined."""
    network = make_network(activation=activation, batch_norm=batch_norm, dropout=0.1)
    lr = {"sgd": 0.3, "momentum": 0.05, "nesterov": 0.05}.get(optimizer, 0.02)
    *_, last = train(network, net.make_optimizer(optimizer, lr=lr), epochs=30)
    assert last.train_loss < 0.75 * np.log(CLASSES)


@pytest.mark.parametrize(
    ("examples", "batch_size", "batches"),
    [
        (51, 10, [10, 10, 10, 10, 11]),
        (52, 10, [10] * 5 + [2]),
        (3, 2, [3]),
        (1, 2, None),
        (2, 1, None),
    ],
)
def test_batch_norm_gets_no_batch_of_one(
    examples: int, batch_size: int, batches: list[int] | None
) -> None:
    """An example that would be left over alone is trained on with the batch before it."""
    parts = data(examples), data(5)
    network, optimizer = make_network(batch_norm=True), Recorder(lr=0.1)
    if batches is None:
        with pytest.raises(ValueError, match="at least 2 examples"):
            train(network, optimizer, batch_size=batch_size, parts=parts)
        return
    rng = np.random.default_rng(1)
    (epoch,) = train(
        network, optimizer, epochs=1, batch_size=batch_size, parts=parts, record_steps=True
    )
    other = make_network(batch_norm=True)
    (x, t), order, losses = parts[0], rng.permutation(examples), []
    step = net.SGD(lr=0.1)
    for rows in np.split(order, np.cumsum(batches)[:-1]):
        chain = other.chain(len(rows), dropout_rng=np.random.default_rng(0))
        chain.differentiate(other.as_inputs(x[rows]), t[rows])
        losses.append(chain.loss.value())
        step.step(other.parameters, other.gradients)
    assert epoch.step_losses == tuple(losses)
    assert len(optimizer.scales) == len(batches)
    np.testing.assert_array_equal(network.parameters, other.parameters)


def test_without_batch_norm_one_example_is_a_batch() -> None:
    """Nothing is put together that can be trained on by itself."""
    (epoch,) = train(make_network(), epochs=1, batch_size=7, record_steps=True)
    assert len(epoch.step_losses or ()) == 8  # 7 of 7 and 1 of 1


def test_a_schedule_ends_with_the_last_batch_of_batch_norm() -> None:
    """Its steps are counted as they are trained, with the left over example in the last."""
    optimizer = Recorder(lr=0.1)
    network = make_network(batch_norm=True)
    list(train(network, optimizer, schedule="cosine", epochs=2, batch_size=7))
    assert optimizer.scales == [net.learning_rate_factor("cosine", s, 14) for s in range(14)]


def test_same_arguments_same_bits() -> None:
    """Two trainings of the same seeds are equal bit for bit; other dropout masks change them."""
    runs = []
    for dropout_seed in (2, 2, 3):
        network = make_network(dropout=0.3, batch_norm=True)
        rng = np.random.default_rng(dropout_seed)
        epochs = list(train(network, dropout_rng=rng, record_steps=True))
        runs.append((epochs, {name: a.tobytes() for name, a in network.state.items()}))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
def test_recording_steps_changes_no_bit(activation: str) -> None:
    """The losses of mini-batches are looked at, and nothing else."""
    runs = []
    for record_steps in (False, True):
        network = make_network(activation=activation, dropout=0.3, batch_norm=True)
        epochs = train(network, weight_decay=1e-3, record_steps=record_steps)
        losses = [dataclasses.replace(epoch, step_losses=None) for epoch in epochs]
        runs.append((losses, {name: a.tobytes() for name, a in network.state.items()}))
    assert runs[0] == runs[1]


def test_global_random_state_is_neither_read_nor_changed() -> None:
    """NumPy's global generator is as before, and its seed makes no difference."""
    results = []
    for seed in (0, 1):
        np.random.seed(seed)  # the global state is what is tested
        before = np.random.get_state(legacy=False)["state"]["key"].tolist()
        results.append(list(train(make_network(dropout=0.3))))
        assert np.random.get_state(legacy=False)["state"]["key"].tolist() == before
    assert results[0] == results[1]


def test_inputs_of_any_kind() -> None:
    """Bytes, float64 and non-contiguous rows train to the bits that contiguous float32 does."""
    x = np.random.default_rng(1).integers(0, 4, (50, FEATURES)).astype(np.uint8)
    t = np.random.default_rng(2).integers(0, CLASSES, 50)

    def run(x: Any, t: Any) -> list[net.Epoch]:
        return list(train(make_network(), parts=((x, t), (x, t))))

    expected = run(x.astype(np.float32), t)
    wide = np.repeat(x, 2, axis=1)[:, ::2]
    for variant in (x, x.astype(np.float64), np.asfortranarray(x), wide):
        assert run(variant, t.astype(np.uint8)) == expected


def test_epochs_are_frozen_records_of_plain_floats() -> None:
    """An epoch cannot be changed, and holds Python's numbers, which any writer understands."""
    (epoch,) = train(make_network(), epochs=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        epoch.val_loss = 0.0  # type: ignore[misc]
    values = (epoch.train_loss, epoch.train_score, epoch.val_loss, epoch.val_score)
    assert {type(value) for value in values} == {float}
    assert (epoch.epoch, epoch.best, epoch.step_losses) == (1, 1, None)


def test_metrics_are_those_of_evaluation_mode() -> None:
    """An epoch's numbers are what `predict_proba` says after it, without dropout and penalty."""
    network = make_network(dropout=0.5, batch_norm=True)
    x, t = data(1100)
    *_, last = train(network, weight_decay=0.1, parts=((x, t), data(30)))
    p = network.predict_proba(x)
    assert last.train_score == np.mean(p.argmax(axis=1) == t)
    assert last.train_loss == pytest.approx(-np.log(p[np.arange(1100), t]).mean(), rel=1e-5)


@pytest.mark.parametrize("n", [30, 1100])  # of which the second is measured in several parts
def test_f1_is_measured_where_it_is_asked_for(n: int) -> None:
    """It is scikit-learn's over all predictions after the epoch, and otherwise nothing."""
    network, parts = make_network(), (data(n), data(n + 7, 1))
    *_, last = train(network, parts=parts, f1=True)
    for (x, t), found in zip(parts, (last.train_f1, last.val_f1), strict=True):
        predicted = network.predict_proba(x).argmax(axis=1)
        assert found == pytest.approx(f1_score(t, predicted, average="macro"))
    assert {(e.train_f1, e.val_f1) for e in train(make_network())} == {(None, None)}


def test_closing_the_generator_stops_training() -> None:
    """Nothing is trained before the first epoch is asked for, nor after the generator is closed."""
    network = make_network()
    first = network.parameters.copy()
    epochs = train(network)
    np.testing.assert_array_equal(network.parameters, first)
    next(epochs)
    after = network.parameters.copy()
    assert (after != first).any()
    epochs.close()
    assert list(epochs) == []
    np.testing.assert_array_equal(network.parameters, after)


def test_no_epochs() -> None:
    """A training of no epochs yields none and changes nothing."""
    network = make_network()
    first = network.parameters.copy()
    assert list(train(network, epochs=0, patience=1)) == []
    np.testing.assert_array_equal(network.parameters, first)


def test_early_stopping_puts_the_best_weights_back() -> None:
    """It stops `patience` epochs after the least validation loss, and has that epoch's weights."""
    network = make_network(batch_norm=True)
    x, _ = data(30, 1)
    parts = data(50), (x, np.random.default_rng(0).integers(0, CLASSES, 30))
    states, epochs = {}, []
    for epoch in train(network, epochs=100, patience=3, parts=parts):
        states[epoch.epoch] = {name: a.tobytes() for name, a in network.state.items()}
        epochs.append(epoch)
    best = min(epochs, key=lambda epoch: epoch.val_loss).epoch
    assert epochs[-1].best == best
    assert len(epochs) == best + 3 < 100
    assert [False] * (best + 2) + [True] == [epoch.last for epoch in epochs]
    assert {name: a.tobytes() for name, a in network.state.items()} == states[best]


def test_patience_that_is_not_used_up() -> None:
    """When the epochs end first, the best weights are put back as well."""
    network = make_network()
    parts = data(50), (data(30, 1)[0], np.random.default_rng(0).integers(0, CLASSES, 30))
    *before, last = train(network, epochs=30, patience=100, parts=parts)
    assert last.best < last.epoch == 30
    assert last.last
    assert not any(epoch.last for epoch in before)
    p = network.predict_proba(parts[1][0])
    loss = -np.log(p[np.arange(30), parts[1][1]]).mean()
    assert loss < last.val_loss


def test_divergence_comes_out_in_the_losses() -> None:
    """A training that diverges yields losses that are not finite, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        *_, last = train(make_network(), net.make_optimizer("sgd", lr=1e30))
    assert not np.isfinite(last.train_loss)


def test_warnings_are_the_callers_between_epochs() -> None:
    """The silence holds within an epoch, not where the caller handles it."""
    before = np.geterr()
    for _ in train(make_network()):
        assert np.geterr() == before


class Recorder(net.SGD):
    """SGD that notes what it was given."""

    def __init__(self, lr: float) -> None:
        super().__init__(lr=lr)
        self.scales: list[float] = []
        self.norms: list[float] = []

    def step(
        self,
        parameters: Array,
        gradients: Array,
        scale: float = 1.0,
        penalty: net.L2Penalty | None = None,
    ) -> None:
        """Note, then step."""
        if penalty:
            penalty.add_gradient()
        self.scales.append(scale)
        self.norms.append(float(np.linalg.norm(gradients)))
        super().step(parameters, gradients, scale)


def test_schedule_goes_by_mini_batch_and_warmup_by_epoch() -> None:
    """Of 4 epochs of 4 steps one warms up; the rest follows the schedule step by step."""
    optimizer = Recorder(lr=0.1)
    list(train(make_network(), optimizer, schedule="cosine", warmup=1))
    expected = [net.learning_rate_factor("cosine", step, 16, warmup=4) for step in range(16)]
    assert optimizer.scales == expected


def test_long_gradients_are_clipped_and_short_ones_left() -> None:
    """A gradient, penalty included, is shortened to the norm asked for, and never lengthened."""
    plain, clipped = Recorder(lr=1e-6), Recorder(lr=1e-6)
    list(train(make_network(), plain, weight_decay=0.1))
    limit = float(np.median(plain.norms))
    list(train(make_network(), clipped, weight_decay=0.1, clip_norm=limit))
    assert clipped.norms == pytest.approx(np.minimum(plain.norms, limit), rel=1e-4)


@pytest.mark.parametrize("norm", [1e-35, 1e-22, 1.0, 1e22])
@pytest.mark.parametrize(
    ("dtype", "length"),
    [
        (np.float32, 1e-33),
        (np.float32, 1e-19),
        (np.float32, 1e-3),
        (np.float32, 1e18),
        (np.float32, 1e38),
        (np.float64, 1e-300),
        (np.float64, 1e-160),
        (np.float64, 1e160),
        (np.float64, 1e300),
        (np.float64, 1.7e308),
    ],
)
def test_a_gradient_of_any_length_is_clipped(dtype: type, length: float, norm: float) -> None:
    """Its squares overflow or vanish, its length does not, nor do its elements when shortened."""
    unit = np.array([0.5, -0.5, 0.1, 0.7])  # of length 1
    gradients = (unit * length).astype(dtype)
    with np.errstate(all="ignore"):
        training.clip(gradients, norm)
    expected = unit * min(length, norm)
    np.testing.assert_allclose(gradients, expected.astype(dtype), rtol=1e-5)


@pytest.mark.parametrize("odd", [0.0, np.nan, np.inf])
def test_a_gradient_without_a_length_stays_as_it_is(odd: float) -> None:
    """One of zeros has nothing to shorten; one that is not finite has diverged."""
    gradients = np.array([0.0, odd])
    with np.errstate(all="ignore"):
        training.clip(gradients, 1.0)
    np.testing.assert_array_equal(gradients, [0.0, odd])


@pytest.mark.parametrize("changes", [{}, {"batch_norm": True}, {"dropout": 0.2}])
@pytest.mark.parametrize(("kind", "clip_norm"), [(net.Adam, 1.0), (net.SGD, None)])
def test_a_step_allocates_no_batch(
    kind: type[net.Optimizer], clip_norm: float | None, changes: dict[str, Any]
) -> None:
    """From the second step on a step allocates less than one number for each of its examples.

    (What it does allocate is of fixed size: NumPy's buffers for 8,192 converted elements, and
    dropout's random words for a piece of a mask, 32 KiB each.)
    """

    class Watch(kind):  # type: ignore[valid-type, misc]
        """One that notes the most memory in use between its steps, beyond that after a step."""

        def step(self, *arguments: Any) -> None:
            """Step, then note."""
            super().step(*arguments)
            now, peak = tracemalloc.get_traced_memory()
            if self.steps > 1:
                peaks.append(peak - in_use[-1])
            in_use.append(now)
            tracemalloc.reset_peak()

    in_use: list[int] = []
    peaks: list[int] = []
    batch = 20_000
    network = net.Network(FEATURES, [50, 50], CLASSES, rng=np.random.default_rng(0), **changes)
    epochs = train(
        network,
        Watch(lr=1e-3),
        parts=(data(3 * batch), data(30)),
        batch_size=batch,
        weight_decay=1e-4,
        clip_norm=clip_norm,
    )
    tracemalloc.start()
    next(epochs)
    tracemalloc.stop()
    assert len(peaks) == 2
    assert max(peaks) < batch * network.parameters.itemsize


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": -1}, "epochs"),
        ({"warmup": -1}, "warmup"),
        ({"batch_size": 0}, "batch_size"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1"),
        ({"weight_decay": float("nan")}, "weight_decay is nan"),
        ({"clip_norm": 0.0}, "clip_norm is 0.0"),
        ({"patience": 0}, "patience is 0"),
        ({"schedule": "linear"}, "constant, step, cosine"),
        ({"parts": (data(0), data(5))}, "no examples"),
        ({"parts": (data(5), data(0))}, "no examples"),
        ({"parts": ((data(5)[0], data(6)[1]), data(5))}, "5 integers"),
        ({"parts": ((data(5)[0], data(5)[1] * 1.0), data(5))}, "5 integers"),
        ({"parts": ((data(5)[0], data(5)[1] + 3), data(5))}, "not 0 to 2"),
        ({"parts": ((data(5)[0], data(5)[1] - 3), data(5))}, "not 0 to 2"),
        ({"parts": ((data(5)[0][:, 1:], data(5)[1]), data(5))}, r"\(5, 5\)"),
    ],
)
def test_bad_arguments(changes: dict[str, Any], message: str) -> None:
    """A bad argument is an error at the call, before any epoch is asked for."""
    with pytest.raises(ValueError, match=message):
        train(make_network(), **changes)


def test_epochs_come_one_at_a_time() -> None:
    """Between two epochs the state is that after the first of them."""
    network, short = make_network(), make_network()
    list(islice(train(network), 2))
    list(train(short, epochs=2))
    np.testing.assert_array_equal(network.parameters, short.parameters)


# What is remembered from one epoch to the next, in all its kinds: each of these must be resumed.
PAUSED: dict[str, dict[str, Any]] = {
    **{name: {"optimizer": name} for name in net.OPTIMIZERS},
    "batch norm": {"batch_norm": True},
    "dropout": {"dropout": 0.3},
    "the book's dropout": {"dropout": 0.3, "dropout_form": "book"},
    "float64": {"dtype": np.float64, "optimizer": "adam"},
    "shifts": {"most": 1},
    "cosine": {"schedule": "cosine", "warmup": 2},
    "steps": {"schedule": "step", "record_steps": True, "clip_norm": 0.5, "weight_decay": 0.01},
    "patience": {"patience": 2, "optimizer": "momentum"},
    "f1": {"f1": True, "measure": 3},
}


class Resumable:
    """A training whose whole state can be read between two epochs, and given to another one."""

    def __init__(self, changes: dict[str, Any]) -> None:
        options = dict(changes)
        kinds = ("batch_norm", "dropout", "dropout_form", "dtype")
        self.network = make_network(**{key: options.pop(key) for key in kinds if key in options})
        self.optimizer = net.make_optimizer(options.pop("optimizer", "sgd"), lr=0.3)
        self.generators = [np.random.default_rng(seed) for seed in (1, 2, 3)]
        self.progress = net.Progress()
        shuffle, dropout, shift = self.generators
        most = options.pop("most", 0)
        self.epochs = train(
            self.network,
            self.optimizer,
            epochs=6,
            shuffle_rng=shuffle,
            dropout_rng=dropout,
            shifts=net.Shifts((2, 3), most, shift) if most else None,
            progress=self.progress,
            **options,
        )

    def resume(self, other: "Resumable") -> None:
        """Take over the state of a training that is between two epochs."""
        self.network.load_state(other.network.state)
        self.optimizer.resume(other.optimizer.steps, other.optimizer.memory)
        for mine, its in zip(self.generators, other.generators, strict=True):
            mine.bit_generator.state = its.bit_generator.state
        for field in dataclasses.fields(net.Progress):
            setattr(self.progress, field.name, getattr(other.progress, field.name))

    def bits(self) -> dict[str, bytes]:
        """What the network has learned."""
        return {name: array.tobytes() for name, array in self.network.state.items()}


@pytest.mark.parametrize("name", PAUSED)
def test_a_training_that_is_resumed_ends_with_the_same_bits(name: str) -> None:
    """After each of its epochs another one goes on from its state, and is no different."""
    whole = Resumable(PAUSED[name])
    epochs = [repr(epoch) for epoch in whole.epochs]
    for done in range(len(epochs)):
        paused, resumed = Resumable(PAUSED[name]), Resumable(PAUSED[name])
        before = [repr(epoch) for epoch in islice(paused.epochs, done)]
        paused.epochs.close()
        resumed.resume(paused)
        assert before + [repr(epoch) for epoch in resumed.epochs] == epochs
        assert resumed.bits() == whole.bits()


def test_an_optimizer_goes_on_only_for_one_of_its_kind() -> None:
    """What it remembers must be of its own kind, and its first step is still to come."""
    optimizer = net.make_optimizer("adam", lr=0.1)
    with pytest.raises(ValueError, match="the memory has 1 arrays: it must have 2"):
        optimizer.resume(1, [np.zeros(3)])
    optimizer.step(np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match="cannot go on for another one"):
        optimizer.resume(1, [np.zeros(3), np.zeros(3)])
