"""The network keeps scikit-learn's contract for classifiers."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from hpsearch.estimator import NetworkClassifier

NOT_APPLICABLE = {
    "check_array_api_input": "arrays are NumPy's alone; scikit-learn skips it without an opt-in",
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_keeps_every_check_of_scikit_learn(dtype: str) -> None:
    """All of scikit-learn's checks pass, but for those that do not apply."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcomes = check_estimator(NetworkClassifier(dtype=dtype), on_fail=None)
    assert len(outcomes) > 50
    not_passed = {o["check_name"]: o["exception"] for o in outcomes if o["status"] != "passed"}
    assert NOT_APPLICABLE.keys() == not_passed.keys(), not_passed


def digits() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_digits(return_X_y=True)
    return x / 16, y


def test_learns_labels_of_any_kind() -> None:
    """It recognizes digits that it has not seen, by names."""
    x, y = digits()
    names = np.array([f"a {digit}" for digit in range(10)])[y]
    classifier = NetworkClassifier(hidden=[64], epochs=20, random_state=0)
    assert classifier.fit(x[:1000], names[:1000]).score(x[1000:], names[1000:]) > 0.9
    assert sorted(set(names)) == list(classifier.classes_)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adagrad", "rmsprop", "adamw"])
def test_trains_by_every_optimizer(optimizer: str) -> None:
    """Whatever the optimizer, weight decay finds its place and the loss falls."""
    x, y = digits()
    classifier = NetworkClassifier(
        optimizer=optimizer, lr=0.01, weight_decay=1e-4, epochs=5, random_state=0
    )
    losses = classifier.fit(x[:300], y[:300]).loss_curve_
    assert losses[-1] < losses[0]


def test_same_seed_same_bits() -> None:
    """``random_state`` is all the chance there is."""
    x, y = digits()
    one, two, other = (
        NetworkClassifier(dropout=0.2, epochs=3, random_state=seed).fit(x[:300], y[:300])
        for seed in (1, 1, 2)
    )
    assert one.loss_curve_ == two.loss_curve_
    assert one.loss_curve_ != other.loss_curve_


def test_stops_early_with_the_best_weights() -> None:
    """With patience it ends before its epochs do."""
    x, y = digits()
    classifier = NetworkClassifier(epochs=500, patience=3, lr=0.01, random_state=0)
    assert classifier.fit(x[:300], y[:300]).n_iter_ < 100
    assert classifier.score(x[300:], y[300:]) > 0.8


@pytest.mark.parametrize("batch_norm", [False, True])
def test_pickle_keeps_what_was_learned(batch_norm: bool) -> None:
    """A copy through pickle predicts the same bits, running statistics included."""
    x, y = digits()
    classifier = NetworkClassifier(batch_norm=batch_norm, epochs=3).fit(x[:300], y[:300])
    copy = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(classifier.predict_proba(x), copy.predict_proba(x))
    with pytest.raises(NotFittedError):
        pickle.loads(pickle.dumps(NetworkClassifier())).predict(x)


def test_works_in_scikit_learns_search() -> None:
    """A pipeline around it is searched like any other."""
    x, y = digits()
    pipeline = make_pipeline(StandardScaler(), NetworkClassifier(epochs=5, random_state=0))
    search = GridSearchCV(pipeline, {"networkclassifier__lr": [1e-7, 1e-2]}, cv=2)
    assert search.fit(x[:300], y[:300]).best_params_ == {"networkclassifier__lr": 1e-2}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"activation": "swish"}, "activation is 'swish'"),
        ({"dtype": "int8"}, "dtype is"),
        ({"lr": -1.0}, "lr is -1.0"),
        ({"batch_norm": True, "batch_size": 1}, "at least 2 examples"),
        ({"dropout_form": "spatial"}, "dropout_form is 'spatial'"),
        ({"optimizer": "sgd", "lr": 1e30, "epochs": 3}, "training diverged"),
    ],
)
def test_says_what_is_wrong(parameters: dict[str, object], message: str) -> None:
    """Unsound parameters and a divergence are errors, not silent nonsense."""
    x, y = digits()
    with pytest.raises(ValueError, match=message):
        NetworkClassifier(**parameters).fit(x[:300], y[:300])  # type: ignore[arg-type]


NUMBER = ["lr", "weight_decay", "momentum", "dropout", "validation_fraction", "clip_norm"]
WHOLE = ["batch_size", "epochs", "warmup", "patience"]
WORD = ["activation", "optimizer", "schedule", "dropout_form"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in NUMBER for value in ("0.1", [0.1], True, {}, 1j)),
        *((name, value) for name in WHOLE for value in ("3", 3.5, 3.0, [3], True)),
        *((name, value) for name in WORD for value in (3, None, ["relu"], b"relu")),
        *((name, None) for name in ("lr", "weight_decay", "dropout", "batch_size", "epochs")),
        *(("hidden", value) for value in (100, 1.5, "100", None, [10.0], [[10]], ["10"], [True])),
        *(("hidden", value) for value in (np.array(10), np.array([[10]]), {10: 1})),
        *(("init", value) for value in ([0.1], None, True, b"he")),
        *(("batch_norm", value) for value in (1, "yes", None)),
        *(("dtype", value) for value in ("nonsense", 3, "int32", None, [1])),
        *(("random_state", value) for value in ("0", 1.5)),
    ],
)
def test_a_parameter_of_the_wrong_kind_is_named(name: str, value: object) -> None:
    """It is a ValueError, as the docstring says, whatever it is that does not fit."""
    x, y = digits()
    classifier = NetworkClassifier(**{"epochs": 1, "patience": 1, name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=name if name != "random_state" else "seed"):
        classifier.fit(x[:50], y[:50])


@pytest.mark.parametrize(
    "parameters",
    [
        {"hidden": np.array([8]), "lr": np.float32(0.1), "batch_size": np.int64(20)},
        {"hidden": [np.int32(8)], "epochs": np.uint8(1), "batch_norm": np.True_},
        {"lr": 1, "weight_decay": 0, "momentum": 0, "init": 1, "clip_norm": 3},
        {"hidden": (), "init": np.float64(0.1), "dropout": 0, "dtype": np.float32},
    ],
)
def test_takes_numbers_as_grids_hold_them(parameters: dict[str, object]) -> None:
    """NumPy's numbers, and whole ones for real ones, are as good as Python's."""
    x, y = digits()
    classifier = NetworkClassifier(**{"epochs": 1, **parameters})  # type: ignore[arg-type]
    assert classifier.fit(x[:50], y[:50]).predict(x[:5]).shape == (5,)
