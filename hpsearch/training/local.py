"""How is a function a training that no other process can import? It is called in this one.

What it prints stays where it is, and what it does to its process, it does to this one: a function
of a module, which a process of its own calls, is kept apart from all others.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np

from hpsearch.errors import UsageError
from hpsearch.ledger.records import Outcomes, weights_digest
from hpsearch.study.config import AnyTrial, Study
from hpsearch.study.objective import LOCAL, ObjectiveConfig, ObjectiveTrial
from hpsearch.training.calling import Trial, epochs, frozen, packages, said, seed_all, takes_trial
from hpsearch.training.files import digests
from hpsearch.training.fingerprint import fingerprint
from hpsearch.training.own import OwnTrainer, OwnTraining
from hpsearch.training.seam import TrainingFailed


class LocalTrainer(OwnTrainer):
    """Trains the trials of a study by a function, in this process.

    Args:
        objective: The study's.
        folder: The study's.
        function: The function that ``objective`` names.
    """

    def __init__(
        self, objective: ObjectiveConfig, folder: Path, function: Callable[..., Any]
    ) -> None:
        self._function = function
        self._folder = folder
        self.digests = digests(objective, folder)
        self.packages = packages(_imported(function))
        if str(objective.function).startswith(LOCAL):  # no file has it
            self.digests["function"] = fingerprint(function)

    def train(
        self, config: AnyTrial, number: int = 0, interrupted: Callable[[], bool] = lambda: False
    ) -> LocalTraining:
        """Begin a training."""
        assert isinstance(config, ObjectiveTrial)
        return LocalTraining(config, number, interrupted, self._function, self._folder)


class LocalTraining(OwnTraining):
    """One call of the function."""

    def __init__(
        self,
        config: ObjectiveTrial,
        number: int,
        interrupted: Callable[[], bool],
        function: Callable[..., Any],
        folder: Path,
    ) -> None:
        self._notes = _Notes()
        super().__init__(config, number, interrupted, self._notes)
        self._function = function
        self._module_folder = folder
        self._trial: _Trial | None = None

    def _reported(self) -> Iterator[object]:
        seed = int(self._objective.seed or 0)
        with _seeded(seed):
            rows = None
            try:
                while True:
                    try:
                        rows = rows or epochs(self._call(seed))
                        row = next(rows)
                    except StopIteration as end:
                        self.state, self._outcomes = end.value, self._scores()
                        self.sha256 = weights_digest(self.state) if self.state else None
                        return
                    except (Exception, SystemExit) as error:
                        raise TrainingFailed(said(error, str(self._module_folder))) from error
                    self._check_time()
                    yield row
            finally:
                if rows is not None:
                    rows.close()

    def _has_folder(self) -> bool:
        """Whether the function asks for it, by its third parameter."""
        return takes_trial(self._function)

    def _call(self, seed: int) -> Any:
        if self._has_folder():
            self._trial = _Trial(self._number, str(self.folder), self._notes)
        more = [self._trial] if self._trial is not None else []
        return self._function(frozen(self._config.params), seed, *more)

    def _scores(self) -> Outcomes | None:
        return None if self._trial is None else self._trial.scores

    def _end(self) -> None:
        """Nothing is left that runs: it was closed where it was."""


class OutOfReach:
    """In place of what trains a study whose function is in another process: it says so.

    Args:
        function: Its name.
    """

    def __init__(self, function: str) -> None:
        self._function = function

    @property
    def digests(self) -> Mapping[str, str]:
        """Not known here."""
        self._refuse()

    @property
    def packages(self) -> Collection[str]:
        """Not known here."""
        self._refuse()

    def facts(self) -> Mapping[str, Any]:
        """Not known here."""
        self._refuse()

    def settled(self, study: Study) -> Study:
        """Not known here."""
        self._refuse()

    def train(
        self, config: AnyTrial, number: int = 0, interrupted: Callable[[], bool] = lambda: False
    ) -> LocalTraining:
        """Not possible here."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise UsageError(
            f"objective.function: {self._function} is of a notebook or a script, and no other "
            f"process can import it; run the study from there, or move the function to a module"
        )


class _Notes:
    """The log of a trial: what the function writes to ``trial.log``."""

    def __init__(self) -> None:
        self.log = b""

    def forget_log(self) -> None:
        """Begin a new log."""
        self.log = b""


class _Trial(Trial):
    """What a function gets that has a third parameter."""

    def __init__(self, number: int, folder: str, notes: _Notes) -> None:
        super().__init__(number, folder)
        self._notes = notes

    def log(self, text: str) -> None:
        """Add a line to the trial's log."""
        self._notes.log += f"{text}\n".encode(errors="replace")


def _imported(function: Callable[..., Any]) -> set[str]:
    """The packages of what a function's module names: this process may have imported others."""
    named = getattr(function, "__globals__", {}).values()
    modules = (v.__name__ if isinstance(v, ModuleType) else type(v).__module__ for v in named)
    homes = (getattr(value, "__module__", None) or "" for value in named)
    return {str(name).partition(".")[0] for name in (*modules, *homes)}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seeded within; after it this process draws on as if nothing had been."""
    before, numpys = random.getstate(), np.random.get_state()
    seed_all(seed)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(numpys)
