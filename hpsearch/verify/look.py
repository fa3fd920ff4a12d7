"""What do the ledger and MLflow say of a study at one time?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpsearch.ledger.database import Database
from hpsearch.settings import Settings
from hpsearch.verify import ledger_reading, objectives, tracking_reading
from hpsearch.verify.ledger_reading import Ledger
from hpsearch.verify.tracking_reading import NUMBER, PARENT, ROUND, Run
from hpsearch.verify.trial_row import TrialRow

WEIGHTS_FILE = "weights.safetensors"


@dataclass(frozen=True, slots=True)
class Look:
    """Both stores at one time."""

    ledger: Ledger
    runs: tuple[Run, ...]
    live: bool
    """Somebody is at work: a worker holds a trial, or projections are being written."""
    lagging: frozenset[int]
    """Trials that a projector may be about to write: none if nobody is at work."""
    held: frozenset[int]
    """Trials that a worker holds, or held when the look began."""
    place: str | None
    """Where all artifacts are to be; None where that is not the workspace's to say."""
    weights: Callable[[Run], bytes | None]
    """A run's weights file; None if it has none."""

    @property
    def parents(self) -> list[Run]:
        """The study's own runs; there is to be one, of given trials below another study's."""
        below = "given" in self.ledger.definition
        return [r for r in self.runs if NUMBER not in r.tags and (below or PARENT not in r.tags)]

    @property
    def by_number(self) -> dict[int, list[Run]]:
        """The runs of each trial, those of numbers that the ledger does not know included."""
        found: dict[int, list[Run]] = defaultdict(list)
        for run in self.runs:
            if run.tags.get(NUMBER, "").isdecimal():
                found[int(run.tags[NUMBER])].append(run)
        return found

    @property
    def by_round(self) -> dict[int, list[Run]]:
        """The runs of each round, from 1 on."""
        found: dict[int, list[Run]] = defaultdict(list)
        for run in self.runs:
            if run.tags.get(ROUND, "").isdecimal() and NUMBER not in run.tags:
                found[int(run.tags[ROUND])].append(run)
        return found

    def pairs(self) -> Iterator[tuple[TrialRow, Run]]:
        """Finished trials with their run, where there is exactly one and it is to be whole."""
        by_number = self.by_number
        for trial in self.ledger.trials.values():
            runs = by_number.get(trial.number, [])
            if trial.finished and trial.number not in self.lagging and len(runs) == 1:
                yield trial, runs[0]

    def rows(self, trial: TrialRow) -> NDArray[np.float64]:
        """A trial's curve, (epochs, metrics); empty if it has none."""
        curve = self.ledger.curves.get(trial.number)
        return np.zeros((0, len(self.ledger.metrics))) if curve is None else curve.rows

    def losses(self, trial: TrialRow) -> NDArray[np.float64]:
        """A trial's losses by step, (steps,); empty if it has recorded none."""
        curve = self.ledger.curves.get(trial.number)
        return np.zeros(0) if curve is None else curve.losses

    @property
    def reproduced(self) -> bool | None:
        """Whether the best trial gave the same bits when trained again; None if it was not."""
        best, known = objectives.best(self.ledger), self.ledger.reproduced
        if best is None or known.get("number") != best.number:
            return None
        return bool(known.get("identical"))

    @property
    def left_out(self) -> bool:
        """Whether MLflow has nothing of the study, and the ledger does not say that it had."""
        trials = self.ledger.trials.values()
        marked = self.ledger.mlflow_run_id or any(t.mlflow_run_id or t.in_mlflow for t in trials)
        return not self.runs and not marked


def take(
    database: Database,
    name: str,
    settings: Settings,
    *,
    tracking: bool = True,
    fetch: tracking_reading.Fetch | None = None,
) -> Look:
    """Read both stores, the ledger before and after MLflow.

    Args:
        database: The ledger's.
        name: The study.
        settings: Where MLflow is.
        tracking: Whether MLflow is read.
        fetch: Reads weights that are in a bucket, by a run's artifacts and a file's name.

    Raises:
        UnknownStudyError: If there is no such study.
        StoreError: If the ledger cannot be read.
        TrackingError: If MLflow cannot be read.
    """
    study = ledger_reading.identify(database, name)
    # While this lock is free nobody writes projections, and while it is held here nobody begins.
    with database.lock(f"projector-{study}") as quiet:
        before = ledger_reading.read(database, name)
        known = {t.mlflow_run_id for t in before.trials.values() if t.mlflow_run_id}
        runs = (
            tracking_reading.read(settings, name, before.created, known, before.metrics)
            if tracking
            else []
        )
        after = ledger_reading.read(database, name)
    held = {t.number for known in (before, after) for t in known.trials.values() if t.leased}
    live = bool(held) or not quiet or _standing(before) != _standing(after)
    return Look(
        ledger=after,
        runs=tuple(runs),
        live=live,
        lagging=frozenset(_unmarked(before) | _unmarked(after)) if live else frozenset(),
        held=frozenset(held),
        place=_place(settings, after),
        weights=lambda run: tracking_reading.artifact(settings, run, WEIGHTS_FILE, fetch),
    )


def _place(settings: Settings, ledger: Ledger) -> str | None:
    if ledger.definition.get("tracking", {}).get("experiment"):  # which others may have made
        return None
    own = tracking_reading.lies_in(settings)
    return settings.artifacts.as_uri() if own else None


def _standing(ledger: Ledger) -> list[tuple[object, ...]]:
    return [(t.number, t.state, t.in_mlflow, t.in_optuna) for t in ledger.trials.values()]


def _unmarked(ledger: Ledger) -> set[int]:
    return {t.number for t in ledger.trials.values() if not (t.in_mlflow and t.in_optuna)}


Check = Callable[[Look], Iterator[str]]
"""An invariant: a line for all that breaks it."""
