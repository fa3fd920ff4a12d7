"""What do all trainings of one's own share? What they report is held against what was said."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from hpsearch.ledger.records import Outcomes
from hpsearch.study.config import Study
from hpsearch.study.objective import ObjectiveTrial
from hpsearch.training.seam import Row, TrainingFailed

TOTAL = "epochs"
"""What says alone how many epochs a training has in all, unless it is a metric."""
_SHOWN = 200  # characters of what was reported, or said, that a reason repeats


class OwnTrainer:
    """What trains the trials of a study of one's own: its data is its own affair."""

    digests: Mapping[str, str]
    """Of the files that belong to the study."""
    packages: Collection[str] = ()
    """Of those that the training has imported, where that is known."""

    def facts(self) -> Mapping[str, Any]:
        """Nothing: no data is known."""
        return {}

    def settled(self, study: Study) -> Study:
        """The study as it is: there is no data to decide anything."""
        return study


class Log(Protocol):
    """What a training prints, or writes to its log."""

    def forget_log(self) -> None:
        """Begin a new log."""

    @property
    def log(self) -> bytes:
        """The end of it."""


class OwnTraining(ABC):
    """A training of one's own: a ``seam.Training``.

    Args:
        config: The trial's configuration.
        number: Its number.
        interrupted: Whether it is to end, unfinished.
        printed: Its log.
    """

    def __init__(
        self,
        config: ObjectiveTrial,
        number: int,
        interrupted: Callable[[], bool],
        printed: Log,
    ) -> None:
        self._objective = config.objective
        self._config = config
        self._number = number
        self._interrupted = interrupted
        self._printed = printed
        self._epochs: Generator[Row] | None = None
        self._total = config.objective.epochs
        self._rows: list[Row] = []
        self._deadline = math.inf
        self._scratch: Path | None = None
        self._outcomes: Outcomes | None = None
        self.metrics = tuple(config.objective.metrics)
        self.state: Mapping[str, NDArray[Any]] = {}
        self.sha256: str | None = None
        self.diverged = False
        self.log = b""
        self.steps: Sequence[float] = ()

    def _has_folder(self) -> bool:
        """Whether the trial has a folder of its own."""
        return True

    @abstractmethod
    def _reported(self) -> Iterator[object]:
        """What is reported, an epoch each; and then, how it ended."""

    @abstractmethod
    def _end(self) -> None:
        """Have it ended, whatever it is doing."""

    def __iter__(self) -> Iterator[Row]:
        """The epochs. An interrupted training has no more of them, and no end."""
        self._epochs = self._run()
        return self._epochs

    def close(self) -> None:
        """End it where it is, and take its folder away."""
        if self._epochs is not None:
            self._epochs.close()

    @property
    def ended(self) -> bool:
        """Whether it has reported all epochs that there may be, or that it has announced."""
        return len(self._rows) == self._total

    @property
    def final(self) -> Row:
        """The metrics after the last epoch."""
        return self._rows[-1]

    def _run(self) -> Generator[Row]:
        if self._has_folder():  # to take one away again costs some file systems milliseconds
            self._scratch = Path(tempfile.mkdtemp(prefix=f"hpsearch-{self._number}-"))
            self.folder.mkdir()
        self._printed.forget_log()
        self._deadline = time.monotonic() + self._objective.seconds
        try:
            for given in self._reported():
                if self._is_total(given):
                    self._total = self._announced(given[TOTAL])
                    continue
                row = self._row(given)
                self._rows.append(row)
                yield row
            if not self._rows and not self._interrupted():
                raise TrainingFailed(
                    f"the training ended and reported nothing; expected {self._expected()}"
                )
            if self._rows and not all(map(math.isfinite, self._rows[-1])):
                self.diverged, self.sha256, self.state = True, None, {}
        finally:
            self._end()
            self.log = self._printed.log
            if self._scratch is not None:
                shutil.rmtree(self._scratch, ignore_errors=True)

    def folds(self, metric: str) -> tuple[()]:
        """None: it is one alone."""
        return ()

    def outcomes(self, metric: str) -> Outcomes | None:
        """What it said of each validation example; None where it said nothing.

        Raises:
            TrainingFailed: If their mean is not the metric.
        """
        scores = self._outcomes
        if scores is None:
            return None
        value, mean = self.final[self.metrics.index(metric)], float(scores.mean(dtype=np.float64))
        if not math.isclose(mean, value, rel_tol=1e-4, abs_tol=1e-9):
            raise TrainingFailed(
                f"trial.outcomes: their mean is {mean:.6g}, but {metric} is {value:.6g}; "
                f"expected what each validation example contributes to {metric}"
            )
        return scores

    @property
    def folder(self) -> Path:
        """The trial's own, empty at first."""
        assert self._scratch is not None
        return self._scratch / "folder"

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise TrainingFailed("timeout")

    def _is_total(self, given: object) -> TypeGuard[Mapping[str, object]]:
        """Whether it is no epoch, but how many there are."""
        return isinstance(given, dict) and given.keys() == {TOTAL} and TOTAL not in self.metrics

    def _announced(self, total: object) -> int:
        """How many epochs the training has in all, as it says before the last of them."""
        least, most = len(self._rows) + 1, self._objective.epochs
        if (
            isinstance(total, int | float)
            and not isinstance(total, bool)
            and total % 1 == 0
            and least <= total <= (total if most is None else most)
        ):
            return int(total)
        ends = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise TrainingFailed(
            f"the training announced {short(total)} epochs in all; expected a whole number {ends}, "
            f"before the last epoch"
        )

    def _row(self, given: object) -> Row:
        """What was reported of an epoch, as numbers in the order of the metrics."""
        epoch, said = len(self._rows) + 1, f"epoch {len(self._rows) + 1}: "
        if self._total is not None and epoch > self._total:
            known = "the maximum" if self._total == self._objective.epochs else "as announced"
            raise TrainingFailed(
                f"{said}the training reported more than {epoch - 1} epochs, {known}"
            )
        if not isinstance(given, dict):
            raise TrainingFailed(
                f"{said}the training reported {short(given)}; expected a name and a "
                "number for each metric"
            )
        if given.keys() != set(self.metrics):
            there = ", ".join(map(str, given)) or "nothing"
            raise TrainingFailed(
                f"{said}the training reported {there[:_SHOWN]}; expected {self._expected()}"
            )
        return tuple(self._measured(name, given[name], said) for name in self.metrics)

    def _measured(self, name: str, value: object, said: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TrainingFailed(f"{said}{name} is {short(value)}; expected a number")
        try:
            number = float(value)
        except OverflowError:
            raise TrainingFailed(f"{said}{name} is too large for a float64") from None
        if not math.isfinite(number) and not self._objective.allow_nan:
            raise TrainingFailed(
                f"{said}{name} is {number}; expected a finite number (or set allow_nan = true)"
            )
        return number

    def _expected(self) -> str:
        return ", ".join(self.metrics)


def short(value: object) -> str:
    """A value on a line of no great length."""
    return " ".join(repr(value).split())[:_SHOWN]
