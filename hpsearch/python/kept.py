"""What does a workspace have of a study, seen from Python?"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch import settings
from hpsearch.errors import NoStoreError, UnknownStudyError, UnknownTrialError
from hpsearch.study import config, file

if TYPE_CHECKING:
    import pandas as pd

    from hpsearch.ledger.front import Placed
    from hpsearch.ledger.records import StudyRecord, Trial
    from hpsearch.ledger.store import Store
    from hpsearch.training.seam import Trainer
    from hpsearch.trust.reproduce import Reproduction


class Kept:
    """A study, and what has been run of it in this workspace."""

    _definition: config.Study
    _folder: Path
    """Where its files are."""
    _places: settings.Settings
    _function: Callable[..., Any] | None
    """What is called where the study runs in this process."""
    _local: bool
    """Whether it can run nowhere else."""

    def __repr__(self) -> str:
        return f"hpsearch.Study({self.name!r})"

    @property
    def name(self) -> str:
        """The study's name."""
        return self._definition.name

    def toml(self) -> str:
        """The study as a file, with every default written out."""
        return file.toml(self._definition)

    @property
    def trials(self) -> list[Trial]:
        """The trials that have been begun, in the order of their numbers."""
        try:
            record = self._record()
        except (NoStoreError, UnknownStudyError):
            return []
        return self._open().trials(record.id)

    @property
    def best(self) -> Trial:
        """The COMPLETE trial with the best value; of several, the one that ``hpsearch best`` names.

        Raises:
            HpsearchError: If there is none yet.
        """
        from hpsearch.commands.wiring import best_of

        return best_of(self._open(), self._record())

    @property
    def front(self) -> list[Placed]:
        """The Pareto front: the COMPLETE trials that no other surpasses by all objectives.

        Each has its ``trial`` and its ``values``, by ``metric`` and then by the metrics of
        ``also``; the best by ``metric`` comes first. With one objective it is the best trial, and
        those that are equal to it.
        """
        from hpsearch.ledger.front import front

        record = self._record()
        return front(record.study, self._open().finished(record.id))

    @property
    def digest(self) -> str:
        """One SHA-256 over all finished trials, as of ``hpsearch digest``.

        Raises:
            UsageError: If the study has not been run here.
        """
        from hpsearch.ledger.records import digest

        store, record = self._open(), self._record()
        return digest(store.finished(record.id), store.steps(record.id))

    def frame(self) -> pd.DataFrame:
        """The trials as a table: a row each, in the order of their numbers.

        The columns are ``number``, ``state``, ``value``, one for each open place by its path, such
        as ``training.lr`` or ``params.lr``, and ``epochs``, ``seed``, ``attempts``, ``started``
        and ``ended`` (UTC), ``reason``, ``weights_sha256``, ``mlflow_run_id``.
        """
        from hpsearch.report.frame import frame

        return frame(self._definition, self.trials)

    def reproduce(self, trial: int | None = None) -> Reproduction:
        """Train a trial again, and compare every epoch and the weights.

        Args:
            trial: Its number; by default that of the best.

        Returns:
            What that showed: ``identical`` says whether every bit is the same.

        Raises:
            UnknownTrialError: If there is no such trial, or it has not finished.
            NotComparableError: If the data is no longer what the study was run on.
        """
        from hpsearch.trust.reproduce import reproduce

        store, record = self._open(), self._record()
        found = store.best(record) if trial is None else store.trial(record.id, trial)
        if found is None:
            raise UnknownTrialError(f"{self.name!r} has no COMPLETE trial to reproduce")
        return reproduce(store, record, found, self._trainer(here=False), self._places)

    def report(self, folder: str | os.PathLike[str] | None = None) -> list[Path]:
        """Draw the study, as ``hpsearch report`` does.

        Args:
            folder: Where to; by default ``reports`` in the workspace.

        Returns:
            The files that were written.

        Raises:
            HpsearchError: If there is nothing to draw yet.
            StudyChangedError: If the data is no longer what the study was run on.
        """
        from hpsearch.report import figures, page

        store, record = self._open(), self._record()
        place = self._places.home / "reports" if folder is None else Path(folder)

        @cache
        def trainer() -> Trainer:
            return self._unchanged(record)

        text = page.html(store, record, trainer)
        drawn = figures.draw(store, record, trainer)
        files = [page.write(text, self.name, place), *figures.write(drawn, place)]
        figures.track(self._places, record, files)
        return files

    # -- the workspace

    def _open(self, *, create: bool = False) -> Store:
        from hpsearch.ledger.database import Database
        from hpsearch.ledger.store import Store

        return Store(Database(self._places.storage, create=create))

    def _record(self) -> StudyRecord:
        """The study in the store, where it is still this one."""
        return self._same(self._open().study(self.name))

    def _same(self, record: StudyRecord) -> StudyRecord:
        from hpsearch.ledger.changes import refuse_change

        refuse_change(record, self._definition, record.data_digests)
        return record

    def _unchanged(self, record: StudyRecord, *, here: bool = False) -> Trainer:
        """What trains the trials, where the data is still what the study was run on."""
        from hpsearch.ledger.changes import refuse_change

        made = self._trainer(here=here)
        refuse_change(record, self._definition, made.digests)
        return made

    def _trainer(self, *, here: bool) -> Trainer:
        """What trains the trials: in this process if that is asked for, and can be."""
        from hpsearch.training.make import folded, trainer

        objective = self._definition.objective
        if self._function is not None and objective is not None and (here or self._local):
            from hpsearch.training.local import LocalTrainer

            local = LocalTrainer(objective, self._folder, self._function)
            return folded(self._definition, local)
        return trainer(self._definition, self._folder, self._places.cache)
