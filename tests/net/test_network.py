"""The network: its arrays, its predictions, and what it refuses."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

import net
from net.network import CHUNK

THREE_WEIGHTS = [f"layers.{i}.weight" for i in range(3)]


def network(**changes: Any) -> net.Network:
    """A small network, the same each time."""
    arguments: dict[str, Any] = {"inputs": 5, "hidden": [4, 3], "outputs": 2}
    return net.Network(**({"rng": np.random.default_rng(0)} | arguments | changes))


def test_state_is_views_of_the_flat_parameters() -> None:
    """The named arrays have the layers' shapes, and together are the memory of `parameters`."""
    net_ = network(batch_norm=True)
    shapes = {name: array.shape for name, array in net_.state.items() if "running" not in name}
    assert shapes == {
        "layers.0.weight": (5, 4),
        "layers.1.weight": (4, 3),
        "layers.2.weight": (3, 2),
        "layers.0.bias": (4,),
        "layers.1.bias": (3,),
        "layers.2.bias": (2,),
        "norms.0.gamma": (4,),
        "norms.0.beta": (4,),
        "norms.1.gamma": (3,),
        "norms.1.beta": (3,),
    }
    net_.parameters[:] = np.arange(net_.parameters.size)
    values = np.concatenate([net_.state[name].ravel() for name in shapes])
    np.testing.assert_array_equal(values, net_.parameters)
    net_.gradients[:] = -net_.parameters
    weights = np.arange(5 * 4 + 4 * 3 + 3 * 2)
    np.testing.assert_array_equal(net_.decayed, [weights, -weights])


def test_the_book_network_by_hand() -> None:
    """A forward pass is what the book's three-layer network computes with its weights (3.4)."""
    net_ = net.Network(
        2, [3, 2], 2, activation="sigmoid", dtype=np.float64, rng=np.random.default_rng(0)
    )
    net_.load_state(
        {
            "layers.0.weight": [[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]],
            "layers.0.bias": [0.1, 0.2, 0.3],
            "layers.1.weight": [[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]],
            "layers.1.bias": [0.1, 0.2],
            "layers.2.weight": [[0.1, 0.3], [0.2, 0.4]],
            "layers.2.bias": [0.1, 0.2],
        }
    )
    x = np.array([[1.0, 0.5]])
    first, second = net_.activations(x)
    np.testing.assert_allclose(first, [[0.57444252, 0.66818777, 0.75026011]])
    np.testing.assert_allclose(second, [[0.62624937, 0.7710107]])
    odds = np.exp([0.31682708, 0.69627909])
    np.testing.assert_allclose(net_.predict_proba(x), [odds / odds.sum()])
    assert net_.predict(x).tolist() == [1]


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("n", [0, 1, CHUNK, 2 * CHUNK + 7])
def test_predictions_of_any_number(n: int, batch_norm: bool) -> None:
    """However many rows, each gets its probabilities, as it does alone."""
    net_ = network(batch_norm=batch_norm, dropout=0.5)
    x = np.random.default_rng(1).normal(size=(n, 5)).astype(np.float32)
    p = net_.predict_proba(x)
    assert p.shape == (n, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(net_.predict(x), p.argmax(axis=1))
    for row in {0, n // 2, n - 1} if n else ():
        np.testing.assert_allclose(net_.predict_proba(x[row : row + 1])[0], p[row], rtol=1e-5)


def test_the_books_dropout_damps_each_hidden_layer_in_evaluation() -> None:
    """What comes out of a layer is times 1 - ratio to the next one, and not in `activations`."""
    state = network(dtype=np.float64).state
    plain, inverted, book = (
        network(dropout=ratio, dropout_form=form, dtype=np.float64)
        for ratio, form in ((0.0, "book"), (0.25, "inverted"), (0.25, "book"))
    )
    for net_ in (plain, inverted, book):
        net_.load_state(state)
    x = np.random.default_rng(1).normal(size=(9, 5))
    np.testing.assert_array_equal(inverted.predict_proba(x), plain.predict_proba(x))
    shrunk = {name: 0.75 * a if name in THREE_WEIGHTS[1:] else a for name, a in state.items()}
    plain.load_state(shrunk)
    np.testing.assert_allclose(book.predict_proba(x), plain.predict_proba(x), rtol=1e-12)
    for own, expected in zip(book.activations(x), plain.activations(x), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-12)


def test_prediction_needs_bounded_memory() -> None:
    """Twenty times as many rows need no more memory beside what is returned."""
    net_ = network(hidden=[100])

    def beside(n: int) -> int:
        x = np.zeros((n, 5), np.float32)
        tracemalloc.start()
        p = net_.predict_proba(x)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak - p.nbytes

    assert beside(40 * CHUNK) < 1.1 * beside(2 * CHUNK)


def test_a_network_without_hidden_layers() -> None:
    """No hidden layers is a linear classifier: it has no activations, and it predicts."""
    net_ = network(hidden=[])
    assert net_.activations(np.zeros((3, 5))) == []
    assert net_.predict_proba(np.zeros((3, 5))).tolist() == [[0.5, 0.5]] * 3


def test_inputs_of_any_kind() -> None:
    """Bytes, float64 and non-contiguous rows give the bits that contiguous float32 gives."""
    net_ = network()
    x = np.random.default_rng(1).integers(0, 255, (9, 5)).astype(np.uint8)
    expected = net_.predict_proba(x.astype(np.float32))
    for variant in (x, x.astype(np.float64), np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(net_.predict_proba(variant), expected)


def test_load_state_copies_all_or_nothing() -> None:
    """Another network's state gives its predictions by copy; a wrong one changes nothing."""
    one, two = network(), network(rng=np.random.default_rng(1))
    x = np.random.default_rng(1).normal(size=(9, 5))
    one.load_state(two.state)
    np.testing.assert_array_equal(one.predict_proba(x), two.predict_proba(x))
    two.parameters.fill(0)
    before = one.parameters.copy()
    assert before.any()
    wrong_shape = {**two.state, "layers.2.bias": np.zeros(3)}
    with pytest.raises(ValueError, match=r"layers\.2\.bias has shape \(3,\), not \(2,\)"):
        one.load_state(wrong_shape)
    with pytest.raises(ValueError, match=r"layers\.9\.bias"):
        one.load_state({**two.state, "layers.9.bias": np.zeros(3)})
    np.testing.assert_array_equal(one.parameters, before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": 0}, "at least one unit"),
        ({"hidden": [4, 0]}, "at least one unit"),
        ({"activation": "gelu"}, "relu, sigmoid, tanh"),
        ({"init": "lecun"}, "lecun"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"dropout_form": "spatial"}, "inverted, book"),
        ({"dtype": np.int32}, "float32 or np.float64"),
    ],
)
def test_bad_arguments(changes: dict[str, Any], message: str) -> None:
    """A bad argument is an error that says what may be."""
    with pytest.raises(ValueError, match=message):
        network(**changes)


def test_inputs_of_another_width() -> None:
    """Inputs of another width are an error that gives both."""
    with pytest.raises(ValueError, match=r"\(3, 4\): it must be \(n, 5\)"):
        network().predict(np.zeros((3, 4)))


def test_nan_anywhere_is_seen_in_the_loss() -> None:
    """An input that is not a number makes the loss and the last layer's gradients NaN."""
    net_ = network(hidden=[4, 3])
    chain = net_.chain(2, dropout_rng=np.random.default_rng(0))
    x = np.ones((2, 5), np.float32)
    x[0, 0] = -np.float32(np.nan)
    chain.differentiate(x, np.array([0, 1]))
    assert np.isnan(chain.loss.value())
    assert np.isnan(net_.named_parameters["layers.2.weight"].gradient).all()
