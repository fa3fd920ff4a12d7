"""What does a configuration train to? The only bridge from a trial to the network.

No printing, no I/O, no database, no clock and no global random state: the same configuration and
data give the same bits, with one BLAS thread.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

import net
from hpsearch.data.splits import Parts, Split
from hpsearch.ledger.records import Outcomes, curve, weights_digest
from hpsearch.study.config import AnyTrial, DataConfig, Study, TrialConfig
from hpsearch.study.metrics import network_metrics, of_train
from hpsearch.training.predictor import built
from hpsearch.training.scores import losses, score
from hpsearch.training.seam import Row


class NetworkTrainer:
    """Trains the networks of one study.

    Args:
        splits: The data that the study describes.
        facts: Gives what is worth knowing of it.
        redrawn: Gives the parts that another draw or fold of it describes.
    """

    packages: Collection[str] = ()
    """None: it computes with NumPy alone."""

    def __init__(
        self,
        splits: Parts,
        facts: Callable[[], Mapping[str, Any]] = dict,
        redrawn: Callable[[DataConfig], Parts] | None = None,
    ) -> None:
        self.splits = splits
        self.facts = facts
        self._redrawn = redrawn

    @property
    def digests(self) -> Mapping[str, str]:
        """Of the whole dataset, and of each part as it is trained on."""
        return self.splits.digests

    def settled(self, study: Study) -> Study:
        """The study with the scaling that its data has decided."""
        return study.with_scaling(self.splits.scaling)

    def train(
        self, config: AnyTrial, number: int = 0, interrupted: Callable[[], bool] = lambda: False
    ) -> NetworkTraining:
        """Begin a training."""
        assert isinstance(config, TrialConfig)
        return NetworkTraining(config, self.parts(config.data))

    def parts(self, data: DataConfig) -> Parts:
        """What is trained and validated on: the study's own parts, or another draw or fold."""
        if self._redrawn is None or (data.draw is None and data.fold is None):
            return self.splits
        return self._redrawn(data)


class NetworkTraining:
    """The training of one network: a ``seam.Training``.

    Args:
        config: A trial's configuration, its seed included.
        splits: The data that ``config.data`` describes, without the test part.
        validated: Whether the metrics of the validation part are reported: not where it is trained
            on, too.
    """

    def __init__(self, config: TrialConfig, splits: Parts, *, validated: bool = True) -> None:
        training = config.training
        if training.seed is None:
            raise ValueError("a training needs a seed")
        self.parts = splits
        self._regression = config.data.task == "regression"
        streams = np.random.SeedSequence(training.seed).spawn(4)
        weights_rng, *self._rngs = map(np.random.default_rng, streams)
        shuffle_rng, dropout_rng, shift_rng = self._rngs
        self._network = built(shape_of(config, splits), weights_rng)
        penalty, decoupled = net.part_weight_decay(training.optimizer, training.weight_decay)
        self._optimizer = net.make_optimizer(
            training.optimizer,
            lr=training.lr,
            momentum=training.momentum,
            weight_decay=decoupled,
        )
        self._progress = net.Progress()
        self._epochs = net.fit(
            self._network,
            self._optimizer,
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
            shifts=net.Shifts(splits.preparation.shape, training.shift, shift_rng)
            if training.shift
            else None,
            record_steps=training.record == "step",
            measure=training.interval,
            f1="f1" in training.report,
            progress=self._progress,
        )
        self._f1 = "f1" in training.report
        counted = "parameters" in training.report
        self._size = (float(self._network.parameters.size),) if counted else ()
        known = network_metrics(config.data.task, training.report)
        self._columns = [i for i, name in enumerate(known) if validated or name in of_train(known)]
        self.metrics = tuple(known[column] for column in self._columns)
        self.log = b""
        self.diverged = False
        self.ended = False
        self.steps: list[float] = []
        self._rows: list[Row] = []
        self._best = 0  # the epoch, from 1, whose weights the network has at the end

    def __iter__(self) -> Iterator[Row]:
        """The epochs; a diverging one is not among them, and is the end."""
        for epoch in self._epochs:
            row: Row = (epoch.train_loss, epoch.train_score, epoch.val_loss, epoch.val_score)
            if epoch.train_f1 is not None and epoch.val_f1 is not None:
                row = (*row, epoch.train_f1, epoch.val_f1)
            row = (*row, *self._size)
            known = row if epoch.measured else (epoch.val_loss, epoch.val_score)
            if not all(map(math.isfinite, known)):
                self.diverged = True
                self.close()
                return
            row = [row[column] for column in self._columns]
            self._rows.append(row)
            self._best, self.ended = epoch.best, epoch.last
            self.steps += epoch.step_losses or ()
            yield row
        if not self._rows:  # it is the first weights that count
            self.diverged = not all(map(math.isfinite, self.final))

    def close(self) -> None:
        """End it where it is."""
        self._epochs.close()

    def paused(self) -> dict[str, NDArray[Any]]:
        """All that the rest of the training follows from, after the epoch that it has just given.

        ``resume`` of another one with the same configuration takes it.
        """
        progress = self._progress
        about = {
            "epoch": progress.epoch,
            "best": progress.best,
            "least": progress.least,
            "steps": self._optimizer.steps,
            "generators": [rng.bit_generator.state for rng in self._rngs],
        }
        memory = {str(slot): array for slot, array in enumerate(self._optimizer.memory)}
        parts = {"network": self.state, "memory": memory, "kept": progress.kept or {}}
        return {
            "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
            "rows": curve(self._rows, len(self.metrics)),
            "losses": np.array(self.steps, np.float64),
            **{f"{part}.{name}": a for part, arrays in parts.items() for name, a in arrays.items()},
        }

    def resume(self, paused: Mapping[str, NDArray[Any]]) -> list[Row]:
        """Go on from where another training was; its epochs so far. None has been asked for yet."""
        about = json.loads(paused["about"].tobytes())
        memory = part_of(paused, "memory")
        self._network.load_state(part_of(paused, "network"))
        self._optimizer.resume(about["steps"], [memory[str(slot)] for slot in range(len(memory))])
        for rng, state in zip(self._rngs, about["generators"], strict=True):
            rng.bit_generator.state = state
        progress = self._progress
        progress.epoch, progress.best = about["epoch"], about["best"]
        progress.least, progress.kept = about["least"], part_of(paused, "kept") or None
        self._best = progress.best
        self._rows = paused["rows"].tolist()
        self.steps += paused["losses"].tolist()
        return list(self._rows)

    @property
    def final(self) -> Row:
        """The metrics of the weights it has come to: of the best ones, where patience keeps them.

        Without an epoch they are those of the first weights.
        """
        return self._rows[self._best - 1] if self._rows else self._untrained()

    def _untrained(self) -> Row:
        train, validation = map(self.measures, (self.parts.train, self.parts.validation))
        row = [*train[:2], *validation[:2], *train[2:], *validation[2:], *self._size]
        return [row[column] for column in self._columns]

    def measures(self, part: Split) -> Row:
        """The mean loss on a part, and its accuracy or R², for the weights as they are.

        And its macro F1, where that is asked for.
        """
        kinds = ["loss", "r2" if self._regression else "accuracy", *["f1"] * self._f1]
        with np.errstate(all="ignore"):  # what it gives is judged by the result
            outputs = self._outputs(part)
            return [score(outputs, part.y, kind) for kind in kinds]

    def _outputs(self, part: Split) -> NDArray[Any]:
        """(n, classes) probabilities, or (n, 1) numbers."""
        if self._regression:
            return np.asarray(self._network.predict(part.x))
        return self._network.predict_proba(part.x)

    def folds(self, metric: str) -> tuple[()]:
        """None: it is one alone."""
        return ()

    def outcomes(self, metric: str) -> Outcomes | None:
        """Which validation examples are right, or their losses, for the weights at the end."""
        if not metric.startswith("val_"):
            return None
        return self.scores(self.parts.validation, metric.removeprefix("val_"))

    def scores(self, part: Split, kind: str) -> Outcomes | None:
        """What each example of a part contributes to its ``loss`` or ``accuracy``.

        None of R², to which no example contributes by itself.
        """
        if kind == "loss":
            return losses(self._outputs(part), part.y).astype(np.float32)
        if kind != "accuracy":
            return None
        x = self._network.as_inputs(part.x)
        chunks = self._network.chunks(len(x))
        likeliest = [chain.forward(x[rows]).argmax(axis=1) for rows, chain in chunks]
        right: Outcomes = np.concatenate(likeliest) == part.y
        return right

    def activations(self) -> list[NDArray[Any]]:
        """What comes out of each hidden layer for the training part: (examples, units) each."""
        return list(self._network.activations(self.parts.train.x))

    def probabilities(self, x: NDArray[np.float32]) -> NDArray[Any]:
        """What the network says of examples, as it is now: (examples, features) to classes."""
        return self._network.predict_proba(x)

    @property
    def state(self) -> Mapping[str, NDArray[Any]]:
        """The network's arrays by name, as they are now."""
        return self._network.state

    @property
    def sha256(self) -> str | None:
        """Digest of ``state``; None after a divergence, whose NaNs have no meaning to compare."""
        return None if self.diverged else weights_digest(self.state)


def part_of(arrays: Mapping[str, NDArray[Any]], part: str) -> dict[str, NDArray[Any]]:
    """The arrays whose names begin with a part's, under the rest of their names."""
    begin = f"{part}."
    return {
        name.removeprefix(begin): array for name, array in arrays.items() if name.startswith(begin)
    }


def shape_of(config: TrialConfig, splits: Parts) -> dict[str, Any]:
    """What a configuration's network is made from: ``predictor.built`` makes it."""
    network, regression = config.network, config.data.task == "regression"
    return {
        "inputs": splits.features,
        "hidden": list(network.hidden),
        "outputs": 1 if regression else splits.classes,
        "activation": network.activation,
        "init": network.init,
        "dropout": network.dropout,
        "dropout_form": network.dropout_form,
        "batch_norm": network.batch_norm,
        "loss": "squared-error" if regression else "cross-entropy",
        "dtype": network.dtype,
    }
