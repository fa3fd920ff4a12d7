"""What does a configuration come to on the test part? Scored on it once, after its last epoch.

Nothing of a search comes here: only a study that opens the test part is trained by this.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from hpsearch.data.splits import Parts, Split, Splits
from hpsearch.ledger.records import Outcomes
from hpsearch.study.config import AnyTrial, Study, TrialConfig
from hpsearch.study.metrics import sealed_metrics
from hpsearch.training.network import NetworkTraining
from hpsearch.training.seam import Row
from hpsearch.training.whole import Whole


class UnsealedTrainer:
    """Trains networks on the training and validation part together, and scores on the test part.

    Args:
        splits: The data that the study describes.
        facts: Gives what is worth knowing of it.
    """

    packages: Collection[str] = ()
    """None: it computes with NumPy alone."""

    def __init__(self, splits: Splits, facts: Callable[[], Mapping[str, Any]] = dict) -> None:
        self._test = splits.test
        self._parts = splits.sealed
        self._whole = Whole(self._parts)
        self.facts = facts
        self.digests = splits.digests

    def settled(self, study: Study) -> Study:
        """The study with the scaling that its data has decided."""
        return study.with_scaling(self._parts.scaling)

    def train(
        self, config: AnyTrial, number: int = 0, interrupted: Callable[[], bool] = lambda: False
    ) -> UnsealedTraining:
        """Begin a training."""
        assert isinstance(config, TrialConfig)
        return UnsealedTraining(config, self._whole.of(config), self._test, interrupted)


class UnsealedTraining:
    """One training: a ``seam.Training`` with one row, of the test part.

    Args:
        config: A trial's configuration, its seed included.
        parts: What it is trained on.
        test: What it is scored on, when it has ended.
        interrupted: Whether it is to end, unfinished.
    """

    def __init__(
        self, config: TrialConfig, parts: Parts, test: Split, interrupted: Callable[[], bool]
    ) -> None:
        self._training = NetworkTraining(config, parts)
        self._test = test
        self._interrupted = interrupted
        self.metrics = sealed_metrics(config.data.task, config.training.report)
        self.final: Row = ()
        self.diverged = False
        self.ended = True
        self.log = b""
        self.steps: Sequence[float] = ()

    def __iter__(self) -> Iterator[Row]:
        """The one row; none if it diverged or was interrupted."""
        for _ in self._training:
            if self._interrupted():
                return
        self.diverged = self._training.diverged
        if not self.diverged:
            self.final = self._training.measures(self._test)
            self.diverged = not all(map(math.isfinite, self.final))
        if not self.diverged:
            yield self.final

    def close(self) -> None:
        """End it where it is."""
        self._training.close()

    @property
    def state(self) -> Mapping[str, NDArray[Any]]:
        """The network's arrays by name."""
        return self._training.state

    @property
    def sha256(self) -> str | None:
        """Digest of ``state``; None after a divergence."""
        return None if self.diverged else self._training.sha256

    def folds(self, metric: str) -> tuple[()]:
        """None: it is one alone."""
        return ()

    def outcomes(self, metric: str) -> Outcomes | None:
        """Which test examples are right, or their losses."""
        return self._training.scores(self._test, metric.removeprefix("test_"))
