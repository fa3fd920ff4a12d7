"""A workspace for tests of the projections: a ledger to fill by hand, and MLflow to read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Curve, Result, State, Trial, weights_digest
from hpsearch.ledger.store import Store
from hpsearch.projections.projector import Projector
from hpsearch.projections.written import Written
from hpsearch.settings import Settings
from hpsearch.study.config import Params, Study
from tests.conftest import study as small

MLFLOWS_WARNINGS = pytest.mark.filterwarnings(
    # MLflow 3.17 asks SQLAlchemy 2.1 for a loader strategy that is on its way out.
    "ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning",
)
DIGESTS = {"dataset": "d" * 64, "train": "a" * 64, "validation": "b" * 64, "test": "c" * 64}


def weights(number: int) -> dict[str, NDArray[np.float32]]:
    """What training trial ``number`` gives."""
    return {"W1": np.full((2, 3), number, np.float32), "b1": np.zeros(3, np.float32)}


def rows(number: int, epochs: int) -> Curve:
    """Its curve: numbers with all their bits in use."""
    return np.random.default_rng(number).random((epochs, 4))


class Again:
    """A retraining that gives what was recorded, or not."""

    def __init__(self, identical: bool = True) -> None:
        self.identical = self.agrees = identical
        self.trained: list[int] = []

    def __call__(self, trial: Trial) -> Again:
        self.trained.append(trial.number)
        self.number = trial.number
        self.state = weights(trial.number if self.identical else 999)
        self.outcome = {
            "number": trial.number,
            "identical": self.identical,
            "weights_sha256": weights_digest(self.state),
            "recorded_sha256": trial.weights_sha256,
            "first_difference": None if self.identical else "epoch 1: val_loss",
        }
        return self


class Workspace:
    """A study in a workspace, its trials entered without training."""

    def __init__(
        self,
        home: Path,
        uri: str | None = None,
        study: Study | None = None,
        storage: str | None = None,
    ) -> None:
        self.settings = Settings(
            home=home,
            storage=storage or f"sqlite:///{home / 'studies.db'}",
            tracking_uri=uri or f"sqlite:///{home / 'mlflow.db'}",
        )
        self.renamed: str | None = None
        """What a person has called the experiment since."""
        self.store = Store(Database(self.settings.storage))
        self.record = self.store.register(study or small(), DIGESTS)
        self.leases = Leases(
            self.store.database,
            self.record,
            lag=None,
            seed=lambda number: 10**15 + number,
            owner=replace(Owner.of(), host="elsewhere"),
            lease=60.0,
        )

    # -- filling the ledger

    def claim(self) -> int:
        """Begin the next trial."""
        claim = self.leases.claim()
        assert isinstance(claim, Claim)
        self.leases.show(claim.number, self.params(claim.number))
        return claim.number

    def params(self, number: int) -> Params:
        """What trial ``number`` tries."""
        drawn = np.random.default_rng(1000 + number).random(2).tolist()
        return {"network.dropout": drawn[0] / 2, "training.lr": 1e-3 + drawn[1] / 2}

    def finish(
        self,
        number: int,
        state: State = State.COMPLETE,
        epochs: int = 3,
        environment: str | None = None,
        **more: Any,
    ) -> None:
        """End a trial."""
        whole = state is State.COMPLETE
        curve = rows(number, epochs)
        result = Result(
            state=state,
            value=float(curve[-1, 3]) if whole else None,
            params=self.params(number),
            curve=curve,
            weights_sha256=None if state is State.FAIL else weights_digest(weights(number)),
            reason={State.FAIL: "ValueError: made up", State.PRUNED: "pruned"}.get(state),
        )
        self.leases.finish(number, replace(result, **more), environment)

    def run(self, *states: State) -> None:
        """Begin and end a trial for each state."""
        for state in states:
            self.finish(self.claim(), state)

    def complete(self) -> None:
        """All trials that are left."""
        counts = self.store.counts(self.record.id)
        self.run(*[State.COMPLETE] * (counts.budget - counts.finished))

    # -- projecting

    def projector(self, **options: Any) -> Projector:
        """A projector as a new process would have it."""
        return Projector(self.store, self.record.name, self.settings, **options)

    def sync(self, **options: Any) -> Written:
        """Bring the projections up to date."""
        return self.projector(**options).sync()

    # -- reading

    @property
    def trials(self) -> list[Trial]:
        """The trials in the ledger."""
        return self.store.trials(self.record.id)

    @property
    def client(self) -> Any:
        """MLflow, read as anyone reads it."""
        from mlflow import MlflowClient

        return MlflowClient(self.settings.tracking_uri)

    def all_runs(self) -> list[Any]:
        """All runs of the study that are not deleted, the parent's among them."""
        name = self.renamed or self.record.study.tracking.experiment or self.record.name
        experiment = self.client.get_experiment_by_name(name)
        runs = self.client.search_runs([experiment.experiment_id])
        mine = repr(self.record.created)
        return [
            run
            for run in runs
            if (run.data.tags.get("hpsearch.study"), run.data.tags.get("hpsearch.ledger"))
            == (self.record.name, mine)
        ]

    def runs(self) -> dict[int, Any]:
        """The trials' runs by number; that there is one at most for each is asserted."""
        children = [run for run in self.all_runs() if "mlflow.parentRunId" in run.data.tags]
        by_number = {int(run.data.tags["hpsearch.number"]): run for run in children}
        assert len(by_number) == len(children)
        return by_number

    def parent(self) -> Any:
        """The study's own run."""
        (run,) = [run for run in self.all_runs() if "mlflow.parentRunId" not in run.data.tags]
        return run

    def text(self, run: Any, file: str) -> str:
        """A run's artifact."""
        return Path(self.client.download_artifacts(run.info.run_id, file)).read_text()

    def everything(self) -> list[str]:
        """All that is on disk: both databases row by row, and the times of the artifacts."""
        lines: list[str] = []
        for name in ("studies.db", "mlflow.db"):
            with closing(sqlite3.connect(self.settings.home / name)) as connection:
                lines += connection.iterdump()
        files = sorted(self.settings.artifacts.rglob("*"))
        return lines + [f"{file} {file.stat().st_mtime_ns}" for file in files]

    def check_curves(self) -> None:
        """Every curve in MLflow is the ledger's, bit for bit, and whole."""
        curves = self.store.curves(self.record.id)
        for number, run in self.runs().items():
            for column, name in enumerate(self.record.metrics):
                history = self.client.get_metric_history(run.info.run_id, name)
                history.sort(key=lambda metric: metric.step)
                assert list(range(1, len(curves[number]) + 1)) == [m.step for m in history]
                assert curves[number][:, column].tolist() == [m.value for m in history]
