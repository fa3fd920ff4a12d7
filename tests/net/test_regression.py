"""A network learns numbers by half their mean squared error, and R² says how well."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import r2_score

import net


def network(outputs: int = 1, hidden: Any = (8,), **options: Any) -> net.Network:
    """A network that learns numbers."""
    options = {"loss": "squared-error", "dtype": np.float64, "activation": "tanh", **options}
    return net.Network(3, hidden, outputs, rng=np.random.default_rng(0), **options)


def fit(made: net.Network, train: Any, validation: Any, **options: Any) -> list[net.Epoch]:
    rng = np.random.default_rng(1)
    options = {"epochs": 3, "batch_size": 7, **options}
    optimizer = net.make_optimizer("sgd", lr=0.1)
    return list(
        net.fit(made, optimizer, train, validation, shuffle_rng=rng, dropout_rng=rng, **options)
    )


def data(n: int = 40, outputs: int = 1) -> tuple[Any, Any]:
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, 3))
    return x, x @ rng.normal(size=(3, outputs)) + 0.1 * rng.normal(size=(n, outputs)) + 2


@settings(max_examples=25)
@given(
    n=st.integers(1, 6),
    outputs=st.integers(1, 3),
    hidden=st.lists(st.integers(1, 6), max_size=2),
    dropout=st.sampled_from([0.0, 0.4]),
)
def test_gradients(n: int, outputs: int, hidden: list[int], dropout: float) -> None:
    """Backpropagation agrees with numerical gradients to 1e-7, whatever the network's shape."""
    made = network(outputs, hidden, dropout=dropout)
    errors = net.gradient_check(made, *data(n, outputs))
    assert max(errors.values()) <= 1e-7


@pytest.mark.parametrize("outputs", [1, 2])
def test_loss_and_score_are_of_the_state(outputs: int) -> None:
    """The loss is half the mean squared error, summed over outputs; the score is R² of all."""
    train, validation = data(1100, outputs), data(30, outputs)
    made = network(outputs)
    last = fit(made, train, validation)[-1]
    for (x, t), loss, score in (
        (train, last.train_loss, last.train_score),
        (validation, last.val_loss, last.val_score),
    ):
        y = made.predict(x)
        assert ((y - t) ** 2).sum() / (2 * len(t)) == pytest.approx(loss)
        r2 = r2_score(t, y, multioutput="variance_weighted")
        assert r2 == pytest.approx(score)


def test_a_linear_network_finds_the_least_squares() -> None:
    """Without hidden layers, the network comes to what least squares give."""
    x, t = data(50)
    made = network(hidden=())
    fit(made, (x, t), (x, t), epochs=300, batch_size=50)
    expected, *_ = np.linalg.lstsq(np.c_[x, np.ones(50)], t, rcond=None)
    np.testing.assert_allclose(made.state["layers.0.weight"], expected[:3], atol=1e-6)
    np.testing.assert_allclose(made.state["layers.0.bias"], expected[3], atol=1e-6)


def test_targets_that_are_all_the_same() -> None:
    """R² of a part with one target is 0 unless every output is right, and then 1."""
    x = np.ones((4, 3))
    made = network(hidden=())
    assert fit(made, (x, np.full(4, 5.0)), (x, np.full(4, 5.0)), epochs=1)[0].val_score == 0
    for array in made.state.values():
        array[...] = 0
    assert fit(made, (x, np.zeros(4)), (x, np.zeros(4)), epochs=1)[0].val_score == 1


def test_one_output_may_be_given_flat() -> None:
    """Targets (n,) are the same as (n, 1) where there is one output."""
    x, t = data()
    flat, column = (fit(network(), (x, y), (x, y)) for y in (t[:, 0], t))
    assert flat == column


@pytest.mark.parametrize(
    "targets", [np.ones(4), np.ones((3, 1)), np.ones((4, 3)), [[np.nan] * 2] * 4]
)
def test_targets_that_do_not_fit(targets: Any) -> None:
    """Targets must be finite numbers, as many for each example as there are outputs."""
    with pytest.raises(ValueError, match=r"targets must be finite numbers of shape \(4, 2\)"):
        network(2).as_targets(targets, 4)


def test_numbers_are_no_classes() -> None:
    """There is no probability of a number, no F1, and no third loss."""
    with pytest.raises(ValueError, match="has no classes"):
        network().predict_proba(np.ones((1, 3)))
    part = np.ones((4, 3)), np.ones((4, 2))
    optimizer, rng = net.SGD(lr=0.1), np.random.default_rng(0)
    words: dict[str, Any] = {"epochs": 1, "batch_size": 2, "shuffle_rng": rng, "dropout_rng": rng}
    with pytest.raises(ValueError, match="f1 is of classes"):
        net.fit(network(2), optimizer, part, part, f1=True, **words)
    (epoch,) = net.fit(network(2), optimizer, part, part, **words)
    assert (epoch.train_f1, epoch.val_f1) == (None, None)
    with pytest.raises(ValueError, match="loss is 'hinge': it must be in cross-entropy, squared-e"):
        network(loss="hinge")
