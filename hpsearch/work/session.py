"""What does everyone share who runs a study? From its entry in the store to how its run ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.data.facts import remarks
from hpsearch.errors import HpsearchError, TrackingError
from hpsearch.ledger.leases import FAILS_IN_A_ROW, stopped
from hpsearch.ledger.records import Counts, State, StudyRecord, Trial
from hpsearch.ledger.store import Store
from hpsearch.projections.projector import Projector
from hpsearch.search.delay import delays
from hpsearch.search.promotion import ANEW
from hpsearch.search.suggest import require
from hpsearch.settings import Settings
from hpsearch.study.config import Study
from hpsearch.text import word
from hpsearch.training import make
from hpsearch.training.seam import Trainer
from hpsearch.trust.reproduce import confirm
from hpsearch.trust.twice import watch_first
from hpsearch.work.early import Early
from hpsearch.work.here import Here
from hpsearch.work.launch import Launch


@dataclass(frozen=True, slots=True)
class Session:
    """A study in the store, and what runs it here.

    >>> session = begin(store, study, trainer, folder, settings)
    >>> launch = session.launch(workers=2)
    >>> for progress in launch.watch():
    ...     print(progress.counts)
    >>> session.failure(launch)
    """

    store: Store
    record: StudyRecord
    trainer: Trainer
    settings: Settings
    projector: Projector

    def remarks(self, workers: int) -> list[str]:
        """What is to be told before the study is run by so many workers, a line each."""
        lines, search = list(remarks(self.record.data_facts)), self.record.study.search
        if search.metric.endswith({"maximize": "loss", "minimize": "accuracy"}[search.direction]):
            lines.append(
                f"search.direction: {search.direction} searches for the worst {search.metric}"
            )
        if search.looks_back and workers > search.lag:
            most = "one trial" if search.lag == 1 else f"{search.lag} trials"
            lines.append(
                f"with lag {search.lag}, only {most} can run at the same time; "
                f"{workers - search.lag} of {workers} workers will often wait"
            )
        if search.pauses and not self.record.study.saves:
            lines.append(ANEW)
        return lines + list(delays(self.record.study, least=0.25))

    def launch(
        self,
        workers: int,
        variables: Mapping[str, str] | None = None,
        gpus: Sequence[str] = (),
        early: Early | None = None,
    ) -> Launch:
        """What runs it in so many processes, or in fewer if fewer trials are left.

        Args:
            workers: How many.
            variables: Of their environment, in place of those of the study's ``[compute]``.
            gpus: CUDA devices that they get, each in its turn.
            early: A process that has been started for the first of them.
        """
        counts = self.store.counts(self.record.id)
        return Launch(
            self.store,
            self.record,
            self.settings,
            workers=min(workers, counts.budget - counts.finished),
            projector=self.projector,
            beside=self._check_first if self._may_differ(counts) else None,
            variables=variables,
            gpus=gpus,
            early=early,
        )

    def on_dask(self, address: str, workers: int, resources: Mapping[str, float]) -> Launch:
        """What runs it in so many tasks of a Dask cluster."""
        from hpsearch.work.on_dask import OnDask

        counts = self.store.counts(self.record.id)
        return OnDask(
            *(self.store, self.record, self.settings),
            workers=min(workers, counts.budget - counts.finished),
            projector=self.projector,
            beside=self._check_first if self._may_differ(counts) else None,
            address=address,
            resources=resources,
        )

    def _may_differ(self, counts: Counts) -> bool:
        """Whether it is yet to be seen that a training gives the same twice."""
        own = self.record.study.objective is not None
        return own and not counts.complete and counts.budget > 1

    def _check_first(self, stop: threading.Event, say: Callable[[str], None]) -> None:
        def another() -> Trainer:  # the projector may train the best again at the same time
            folder = Path(self.record.folder or "").absolute()
            return make.trainer(self.record.study, folder, self.settings.cache)

        watch_first(self.store, self.record, another, self.settings, stop, say)

    def here(self) -> Here:
        """What runs it in this process."""
        return Here(self.store, self.record, self.settings, self.trainer, self.projector)

    def confirmed(self, best: Trial) -> Mapping[str, Any]:
        """How training the best trial again ended, which the projector may have done already.

        Raises:
            NotComparableError: If that says nothing here.
        """
        done = self.store.study(self.record.name).reproduced
        if done and done["number"] == best.number:
            return done
        again = confirm(self.store, self.record, best, self.trainer, self.settings)
        self.store.mark_reproduced(self.record.id, again.outcome)
        return again.outcome

    def failure(self, launch: Launch) -> HpsearchError | None:
        """What is to be raised once a run that nobody stopped has ended, if anything is."""
        store, record = self.store, self.record
        if launch.failure is not None:
            return launch.failure
        counts = store.counts(record.id)
        if not counts.done and stopped(store.database, record.id):
            return HpsearchError(why_stopped(store, record))
        if not counts.done:
            return HpsearchError(f"{record.name!r} now has more trials; run the same command again")
        if store.best(record) is None:
            look = f"hpsearch trials {word(record.name)}"
            return HpsearchError(
                f"no trial of {record.name!r} completed; for the reasons, run: {look}"
            )
        if self.projector.failure is not None:
            sync = f"hpsearch sync {word(record.name)}"
            return HpsearchError(
                f"{self.projector.failure}; no trial is lost: fix this, then run: {sync}"
            )
        return None


def begin(
    store: Store,
    study: Study,
    trainer: Trainer,
    folder: Path | None,
    settings: Settings,
    *,
    tracking: bool = True,
    lower: bool = False,
) -> Session:
    """Enter a study in the store, or find it there as it is.

    Args:
        store: The ledger.
        study: The study; its budget becomes ``study.search.trials``.
        trainer: What trains its trials here.
        folder: The study file's.
        settings: The workspace.
        tracking: Whether MLflow is written.
        lower: Whether its budget may fall.

    Raises:
        StudyChangedError: If another definition, or other data, stands under its name.
        UsageError: If its budget would fall, and may not; or its sampler is not installed.
    """
    require(study)
    settled = trainer.settled(study)
    place = None if folder is None else str(folder)
    record = store.register(settled, trainer.digests, trainer.facts(), place, lower=lower)
    projector = Projector(
        store,
        record.name,
        settings,
        tracking=tracking,
        retrain=lambda trial: confirm(store, record, trial, trainer, settings),
    )
    return Session(store, record, trainer, settings, projector)


def begin_below(
    store: Store,
    above: StudyRecord,
    study: Study,
    trainer: Trainer,
    settings: Settings,
    *,
    tracking: bool,
    tell: Callable[[str], None],
) -> Session:
    """Enter a study whose trials another one gives, and below whose run in MLflow its own is to be.

    Args:
        store: The ledger.
        above: The other study.
        study: The study.
        trainer: What trains its trials here.
        settings: The workspace.
        tracking: Whether MLflow is written.
        tell: Is told if the other's run could not be written first.
    """
    if tracking and above.mlflow_run_id is None:
        failure = track(store, above, settings)
        if failure is not None:
            tell(failure)
    folder = Path(above.folder) if above.folder else None
    return begin(store, study, trainer, folder, settings, tracking=tracking)


def track(store: Store, record: StudyRecord, settings: Settings) -> str | None:
    """Bring the MLflow run of a study up to date; what is to be said where that failed."""
    try:
        Projector(store, record.name, settings).step()
    except TrackingError as error:
        return f"{error}; to write it later: hpsearch sync {word(record.name)}"
    return None


def why_stopped(store: Store, record: StudyRecord) -> str:
    """Why workers that came to no end of it have stopped."""
    failed = store.trials(record.id, [State.FAIL])
    reason = f"the last one with: {failed[-1].reason}" if failed else "see hpsearch trials"
    return (
        f"stopped: the last {FAILS_IN_A_ROW} trials failed, {reason}; to run them again "
        f"after fixing this: hpsearch retry {word(record.name)}"
    )
