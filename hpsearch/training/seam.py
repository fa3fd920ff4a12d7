"""What is a training, to all who run one? Named metrics, epoch by epoch, and a state at its end.

A worker, ``reproduce`` and a report know no more of a training than this. Nobody behind the seam
knows a database or a terminal, and only one that looks after a process knows a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from hpsearch.ledger.records import Fold, Outcomes
from hpsearch.study.config import AnyTrial, Study

Row = Sequence[float]
"""The metrics after an epoch, in the order of their names."""


class TrainingFailed(Exception):
    """A training that is at fault itself: the trial is FAIL. Its message is the reason, a line."""


class Training(Protocol):
    """One training, epoch by epoch; it may be closed at any of them.

    >>> training = trainer.train(config)
    >>> with closing(training):
    ...     rows = list(training)
    >>> training.sha256
    """

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of a row's numbers."""

    def __iter__(self) -> Iterator[Row]:
        """The epochs, once. What goes wrong in one is raised, and is the end."""

    def close(self) -> None:
        """End it where it is. What it would have reported after is nothing."""

    @property
    def ended(self) -> bool:
        """Whether the epoch that it has just given is known to be its last."""

    @property
    def final(self) -> Row:
        """The metrics of ``state``, when it has ended: as a rule those of the last epoch."""

    @property
    def diverged(self) -> bool:
        """Whether it ended with a loss that is infinite or not a number."""

    @property
    def state(self) -> Mapping[str, NDArray[Any]]:
        """The arrays that it has come to, by name; none where it keeps none."""

    @property
    def sha256(self) -> str | None:
        """Digest of all that it has come to; None where that is nothing, or means nothing."""

    def folds(self, metric: str) -> Sequence[Fold]:
        """Those that have ended, each with this metric; none of a training that is one alone."""

    def outcomes(self, metric: str) -> Outcomes | None:
        """What each validation example scored at the end: their mean is this metric of ``final``.

        None where the training cannot say it.
        """

    @property
    def log(self) -> bytes:
        """What it said beside its metrics, when it has ended; the last of it."""

    @property
    def steps(self) -> Sequence[float]:
        """The loss of each mini-batch so far, where the configuration records them."""


class Trainer(Protocol):
    """Trains the trials of one study, with the data it was given."""

    @property
    def digests(self) -> Mapping[str, str]:
        """SHA-256 of all that a training reads beside its configuration, by name."""

    @property
    def packages(self) -> Collection[str]:
        """The packages that its numbers depend on, beside NumPy, as they are installed."""

    def facts(self) -> Mapping[str, Any]:
        """What is worth knowing of the data before a search; kept with the study."""

    def settled(self, study: Study) -> Study:
        """The study with all written down that its data has decided."""

    def train(
        self, config: AnyTrial, number: int = 0, interrupted: Callable[[], bool] = lambda: False
    ) -> Training:
        """Begin a training; nothing is computed before it is iterated.

        Args:
            config: A trial's configuration, its seed included.
            number: The trial's number.
            interrupted: Whether the training is to end, unfinished; asked while it is waited for.
        """
