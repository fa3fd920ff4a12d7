"""How is the network used as a scikit-learn classifier?

With it ``GridSearchCV``, pipelines and all else of scikit-learn can be held against a study of
hpsearch. It trains ``net.Network`` by ``net.fit``; nothing else of hpsearch is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

import net

_NONE = type(None)
_KINDS: list[tuple[str, tuple[type, ...], str]] = [
    ("lr weight_decay momentum dropout validation_fraction", (Real,), "a number"),
    ("clip_norm", (Real, _NONE), "a number or None"),
    ("batch_size epochs warmup", (Integral,), "a whole number"),
    ("patience", (Integral, _NONE), "a whole number or None"),
    ("activation optimizer schedule dropout_form", (str,), "a name"),
    ("init", (str, Real), "a name or a number"),
    ("batch_norm", (bool, np.bool_), "True or False"),
    ("hidden", (Sequence, np.ndarray), "a list of whole numbers"),
]
"""Parameters, the types each may have, and how those are called."""


class NetworkClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # without types
    """A fully connected network as a scikit-learn classifier.

        >>> from sklearn.datasets import load_digits
        >>> x, y = load_digits(return_X_y=True)
        >>> classifier = NetworkClassifier(hidden=[64], epochs=20, random_state=0)
        >>> classifier.fit(x[:1000] / 16, y[:1000]).score(x[1000:] / 16, y[1000:]) > 0.9
        True

    Args:
        hidden, activation, init, dropout, dropout_form, batch_norm: The network, as in a study's
            ``[network]``.
        optimizer, lr, weight_decay, momentum, batch_size, epochs, schedule, warmup, clip_norm:
            The training, as in a study's ``[training]``; adamw's weight decay is decoupled.
        patience: Stop early when the loss on ``validation_fraction`` of the examples has not
            fallen for so many epochs, and keep the best weights. Without it all are trained on.
        validation_fraction: See ``patience``.
        dtype: ``"float32"``, or ``"float64"``, in which an example's prediction depends less on
            those predicted along with it.
        random_state: Draws first weights, order, dropout and the validation examples.

    Attributes:
        classes_: (classes,), the labels, sorted.
        n_features_in_: Columns of X.
        network_: The trained ``net.Network``.
        loss_curve_: Training loss after each epoch.
        n_iter_: Epochs done.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (100,),
        *,
        activation: str = "relu",
        init: str | float = "he",
        dropout: float = 0.0,
        dropout_form: str = "inverted",
        batch_norm: bool = False,
        optimizer: str = "adam",
        lr: float = 0.001,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        batch_size: int = 32,
        epochs: int = 100,
        schedule: str = "constant",
        warmup: int = 0,
        clip_norm: float | None = None,
        patience: int | None = None,
        validation_fraction: float = 0.1,
        dtype: Literal["float32", "float64"] = "float32",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.init = init
        self.dropout = dropout
        self.dropout_form = dropout_form
        self.batch_norm = batch_norm
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.batch_size = batch_size
        self.epochs = epochs
        self.schedule = schedule
        self.warmup = warmup
        self.clip_norm = clip_norm
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.dtype = dtype
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> NetworkClassifier:
        """Train a new network.

        Args:
            X: (n, features), finite numbers.
            y: (n,), labels of any kind.

        Raises:
            ValueError: If data or parameters are unsound, or the training diverges.
        """
        self._require_kinds()
        inputs, targets = validate_data(self, X, y, dtype=np.dtype(self.dtype))
        check_classification_targets(targets)
        self.classes_, labels = np.unique(targets, return_inverse=True)
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        weights_rng, shuffle_rng, dropout_rng = np.random.default_rng(seed).spawn(3)
        # The last part is looked at for early stopping only; without it one example stands there.
        train, validation = (inputs, labels), (inputs[:1], labels[:1])
        if self.patience is not None:
            train_x, held_x, train_y, held_y = train_test_split(
                inputs, labels, test_size=self.validation_fraction, random_state=seed
            )
            train, validation = (train_x, train_y), (held_x, held_y)
        network = self._untrained(weights_rng)
        penalty, decoupled = net.part_weight_decay(self.optimizer, self.weight_decay)
        epochs = net.fit(
            network,
            net.make_optimizer(
                self.optimizer, lr=self.lr, momentum=self.momentum, weight_decay=decoupled
            ),
            train,
            validation,
            epochs=self.epochs,
            batch_size=self.batch_size,
            shuffle_rng=shuffle_rng,
            dropout_rng=dropout_rng,
            weight_decay=penalty,
            schedule=self.schedule,
            warmup=self.warmup,
            clip_norm=self.clip_norm,
            patience=self.patience,
        )
        self.loss_curve_ = [epoch.train_loss for epoch in epochs]
        if not np.isfinite(self.loss_curve_).all():
            raise ValueError("training diverged; use a smaller lr, or scale X")
        self.n_iter_ = len(self.loss_curve_)
        self.network_ = network
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.floating[Any]]:
        """The probability of each of ``classes_``, (n, classes)."""
        check_is_fitted(self)
        inputs = validate_data(self, X, dtype=np.dtype(self.dtype), reset=False)
        return self.network_.predict_proba(inputs)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likeliest label of each row, (n,)."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[likeliest])

    def _require_kinds(self) -> None:
        """Numbers, words and lists where they belong; in which range they may be ``net`` says."""
        for names, kinds, what in _KINDS:
            for name in names.split():
                value = getattr(self, name)
                flag = isinstance(value, bool | np.bool_) and bool not in kinds
                if flag or not isinstance(value, kinds):
                    raise ValueError(f"{name} is {value!r}: it must be {what}")
        units = np.asarray(self.hidden, object)
        if units.ndim != 1 or not all(
            isinstance(n, Integral) and not isinstance(n, bool | np.bool_) for n in units
        ):
            raise ValueError(f"hidden is {self.hidden!r}: it must be a list of whole numbers")
        try:
            sound = self.dtype is not None and np.dtype(self.dtype) in (np.float32, np.float64)
        except TypeError:
            sound = False
        if not sound:
            raise ValueError(f"dtype is {self.dtype!r}: it must be 'float32' or 'float64'")

    def _untrained(self, rng: np.random.Generator) -> net.Network:
        return net.Network(
            self.n_features_in_,
            self.hidden,
            len(self.classes_),
            activation=self.activation,
            init=self.init,
            dropout=self.dropout,
            dropout_form=self.dropout_form,
            batch_norm=self.batch_norm,
            dtype=np.dtype(self.dtype).type,
            rng=rng,
        )

    # A network cannot be pickled, its arrays can.

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "network_" in state:
            state["network_"] = dict(state["network_"].state)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        arrays = state.get("network_")
        super().__setstate__({key: value for key, value in state.items() if key != "network_"})
        if arrays is not None:
            self.network_ = self._untrained(np.random.default_rng(0))
            self.network_.load_state(arrays)
