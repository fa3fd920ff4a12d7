"""What does a configuration train to? The only bridge from a trial to the network.

No printing, no I/O, no database, no clock and no global random state: the same configuration and
data give the same bits, with one BLAS thread.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import net
from hpsearch.data.splits import Splits
from hpsearch.ledger.records import weights_digest
from hpsearch.study.config import TrialConfig


class Row(NamedTuple):
    """The state after an epoch, in the order of ``records.CURVES``."""

    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float


class Training:
    """One training, epoch by epoch; stopping is not asking for the next one.

        >>> training = Training(config, splits)
        >>> rows = list(training)
        >>> training.weights_sha256

    Args:
        config: A trial's configuration, its seed included.
        splits: The data that ``config.data`` describes; the test part is not looked at.
    """

    def __init__(self, config: TrialConfig, splits: Splits) -> None:
        network, training = config.network, config.training
        if training.seed is None:
            raise ValueError("a training needs a seed")
        self._splits = splits
        streams = np.random.SeedSequence(training.seed).spawn(3)
        weights_rng, shuffle_rng, dropout_rng = map(np.random.default_rng, streams)
        self._network = net.Network(
            splits.features,
            network.hidden,
            splits.classes,
            activation=network.activation,
            init=network.init,
            dropout=network.dropout,
            dropout_form=network.dropout_form,
            batch_norm=network.batch_norm,
            dtype=np.float64 if network.dtype == "float64" else np.float32,
            rng=weights_rng,
        )
        penalty, decoupled = net.part_weight_decay(training.optimizer, training.weight_decay)
        optimizer = net.make_optimizer(
            training.optimizer,
            lr=training.lr,
            momentum=training.momentum,
            weight_decay=decoupled,
        )
        self._epochs = net.fit(
            self._network,
            optimizer,
            (splits.train.x, splits.train.y),
            (splits.validation.x, splits.validation.y),
            epochs=training.epochs,
            batch_size=training.batch_size,
            shuffle_rng=shuffle_rng,
            dropout_rng=dropout_rng,
            weight_decay=penalty,
            schedule=training.schedule,
            warmup=training.warmup,
            clip_norm=training.clip_norm,
            patience=training.patience,
            record_steps=training.record == "step",
        )
        self.diverged = False
        """Whether it ended with a loss that is infinite or not a number, be it before any epoch."""
        self.best = 0
        """The epoch, from 1, whose weights the network has when the training has ended."""
        self.steps: list[float] = []
        """The loss of each mini-batch so far, where the configuration records them."""

    def __iter__(self) -> Iterator[Row]:
        """The epochs; a diverging one is not among them, and is the end."""
        for epoch in self._epochs:
            row = Row(epoch.train_loss, epoch.train_accuracy, epoch.val_loss, epoch.val_accuracy)
            if not all(map(math.isfinite, row)):
                self.diverged = True
                self._epochs.close()
                return
            self.best = epoch.best
            self.steps += epoch.step_losses or ()
            yield row
        if not self.best:  # no epochs: it is the first weights that count
            self.diverged = not all(map(math.isfinite, self.untrained()))

    def untrained(self) -> Row:
        """What the first weights give, where a configuration has no epochs."""
        measures: list[float] = []
        with np.errstate(all="ignore"):  # what it gives is judged by the result
            for part in (self._splits.train, self._splits.validation):
                probabilities = self._network.predict_proba(part.x).astype(np.float64)
                of_label = np.maximum(probabilities[np.arange(len(part.y)), part.y], 1e-300)
                right = probabilities.argmax(axis=1) == part.y
                measures += [float(-np.log(of_label).mean()), float(right.mean())]
        return Row(*measures)

    def activations(self) -> list[NDArray[Any]]:
        """What comes out of each hidden layer for the training part: (examples, units) each."""
        return list(self._network.activations(self._splits.train.x))

    @property
    def state(self) -> Mapping[str, NDArray[Any]]:
        """The network's arrays by name, as they are now."""
        return self._network.state

    @property
    def weights_sha256(self) -> str | None:
        """Digest of ``state``; None after a divergence, whose NaNs have no meaning to compare."""
        return None if self.diverged else weights_digest(self.state)
