"""How do several trainings make one trial? One after another, a fold or a repeat each.

Their epochs are one curve, in order. What the trial comes to is the mean over them, in which every
validation example counts once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.ledger.records import Fold, Outcomes, mean_of, weights_digest
from hpsearch.study.config import AnyTrial, Study, TrialConfig
from hpsearch.study.folds import each
from hpsearch.training.network import NetworkTrainer, NetworkTraining, part_of
from hpsearch.training.process import LOG
from hpsearch.training.seam import Row, Trainer, Training


class FoldedTrainer:
    """Trains each trial of a study several times.

    Args:
        trainer: What does one training.
        metrics: The names of what it reports.
    """

    def __init__(self, trainer: Trainer, metrics: tuple[str, ...]) -> None:
        self.trainer = trainer
        self._metrics = metrics

    @property
    def digests(self) -> Mapping[str, str]:
        """Of the whole dataset, and of the parts of the first fold."""
        return self.trainer.digests

    @property
    def packages(self) -> Collection[str]:
        """The packages that its numbers depend on."""
        return self.trainer.packages

    def facts(self) -> Mapping[str, Any]:
        """What is worth knowing of the data, as the first fold sees it."""
        return self.trainer.facts()

    def settled(self, study: Study) -> Study:
        """The study with all written down that its data has decided."""
        return self.trainer.settled(study)

    def train(
        self, config: AnyTrial, number: int = 0, interrupted: Callable[[], bool] = lambda: False
    ) -> Training:
        """Begin a trial's trainings; of a configuration that asks for one alone, that one."""
        configs = each(config)
        if len(configs) == 1:
            return self.trainer.train(config, number, interrupted)
        begin = [lambda one=one: self.trainer.train(one, number, interrupted) for one in configs]
        together = isinstance(config, TrialConfig) and config.data.parts > 1
        weights = [self._examples(one) if together else 1 for one in configs]
        return FoldedTraining(self._metrics, begin, weights, interrupted, together=together)

    def _examples(self, config: AnyTrial) -> int:
        assert isinstance(self.trainer, NetworkTrainer)
        assert isinstance(config, TrialConfig)
        return len(self.trainer.parts(config.data).validation.y)


class FoldedTraining:
    """A trial's trainings, one after another: a ``seam.Training``.

    Args:
        metrics: The names of what each reports.
        begin: Begins each of them.
        weights: How much each counts in the mean: its validation examples.
        interrupted: Whether the trial is to end, unfinished.
        together: Whether each is scored on examples of its own, all of which are scored in the end;
            otherwise they are repeats on the same ones.
    """

    def __init__(
        self,
        metrics: tuple[str, ...],
        begin: Sequence[Callable[[], Training]],
        weights: Sequence[int],
        interrupted: Callable[[], bool],
        *,
        together: bool,
    ) -> None:
        self.metrics = metrics
        self._begin = begin
        self._weights = weights
        self._interrupted = interrupted
        self.scores_each_once = together
        self._epochs: Iterator[Row] = iter(())
        self.done: list[tuple[int, Training]] = []
        """Those that have ended, each with its epochs."""
        self.diverged = False
        self.steps: list[float] = []
        self.log = b""

    def __iter__(self) -> Iterator[Row]:
        """The epochs of all; before the last one of a training comes, that has ended."""
        self._epochs = self._all()
        return self._epochs

    def _all(self) -> Iterator[Row]:
        for begin in self._begin[len(self.done) :]:
            training, count, held = begin(), 0, list[Row]()
            with closing(training):
                try:
                    for row in training:
                        yield from held
                        held = [row]
                        count += 1
                except Exception:
                    yield from held
                    raise
                finally:
                    self.steps += training.steps
                    self.log = (self.log + training.log)[-LOG:]
            if self._interrupted():
                return
            self.diverged = training.diverged
            if not self.diverged:
                self.done.append((count, training))
            yield from held
            if self.diverged:
                return

    def close(self) -> None:
        """End it where it is."""
        close: Callable[[], None] = getattr(self._epochs, "close", lambda: None)
        close()

    def paused(self) -> dict[str, NDArray[Any]] | None:
        """What the trainings have come to that have ended, one by one; None where one cannot say.

        It is for when one of them has just ended.
        """
        found: dict[str, NDArray[Any]] = {}
        for place, (_, training) in enumerate(self.done):
            if not isinstance(training, NetworkTraining):
                return None
            found |= {f"{place}.{name}": array for name, array in training.paused().items()}
        return found

    def resume(self, paused: Mapping[str, NDArray[Any]]) -> list[Row]:
        """Go on after the trainings that another one had done; their epochs."""
        rows: list[Row] = []
        while part := part_of(paused, str(len(self.done))):
            training = self._begin[len(self.done)]()
            assert isinstance(training, NetworkTraining)
            own = training.resume(part)
            self.done.append((len(own), training))
            self.steps += training.steps
            rows += own
        return rows

    @property
    def ended(self) -> bool:
        """Whether the epoch that it has just given is the last of all."""
        return len(self.done) == len(self._begin)

    def folds(self, metric: str) -> tuple[Fold, ...]:
        """Where each training ended, and what it came to."""
        column = self.metrics.index(metric)
        return tuple(
            Fold(epochs, weight, float(training.final[column]))
            for (epochs, training), weight in zip(self.done, self._weights, strict=False)
        )

    @property
    def final(self) -> Row:
        """The mean of what the trainings came to, metric by metric."""
        return [mean_of(self.folds(metric)) for metric in self.metrics]

    @property
    def state(self) -> Mapping[str, NDArray[Any]]:
        """The arrays of all, those of the first under ``fold-1.`` and their names."""
        return {
            f"fold-{place}.{name}": array
            for place, (_, training) in enumerate(self.done, start=1)
            for name, array in training.state.items()
        }

    @property
    def sha256(self) -> str | None:
        """Digest of ``state``; without arrays that of the trainings' digests, if all have one."""
        if self.diverged:
            return None
        if state := self.state:
            return weights_digest(state)
        digests = [training.sha256 for _, training in self.done]
        told = [digest for digest in digests if digest is not None]
        if not told or len(told) < len(digests):
            return None
        return hashlib.sha256("".join(told).encode()).hexdigest()

    def outcomes(self, metric: str) -> Outcomes | None:
        """What each validation example scored: in its own fold, or in the mean over the repeats."""
        found = [training.outcomes(metric) for _, training in self.done]
        scored = [scores for scores in found if scores is not None]
        if len(scored) < len(found) or not scored:
            return None
        if self.scores_each_once:
            whole: Any = np.concatenate(scored)
            return whole  # type: ignore[no-any-return]
        if len({len(scores) for scores in scored}) > 1:
            return None
        mean: NDArray[np.float32] = np.stack(scored).mean(axis=0, dtype=np.float64).astype("<f4")
        return mean


def networks(training: Training) -> list[NetworkTraining]:
    """The networks that score all validation examples, each once: a fold each, or a single one."""
    if isinstance(training, NetworkTraining):
        return [training]
    assert isinstance(training, FoldedTraining)
    found = [one for _, one in training.done if isinstance(one, NetworkTraining)]
    return found if training.scores_each_once else found[:1]
