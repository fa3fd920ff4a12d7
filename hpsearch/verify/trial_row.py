"""What does a row of the ledger's trials say? It is taken as it is, however wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from hpsearch.ledger.owner import holds
from hpsearch.ledger.records import FINISHED


@dataclass(frozen=True, slots=True)
class TrialRow:
    """A row of the ledger's trials."""

    number: int
    state: str
    value: float | None
    params: Mapping[str, Any] | None
    """None where the text is no JSON object."""
    epochs: int
    seed: int
    """The one it is trained with: a study may search over seeds."""
    crashes: int
    started: float
    ended: float | None
    weights_sha256: str | None
    reason: str | None
    environment: str | None
    hidden: bool
    """It has failed once, and so no other trial goes by it."""
    owner: str | None
    lease_until: float | None
    shows: bool
    """It has epochs to be looked at before it ends."""
    leased: bool
    """Its lease has not run out, and its owner is not known to be gone."""
    mlflow_run_id: str | None
    in_optuna: bool
    in_mlflow: bool
    folds: tuple[tuple[int, int, float], ...] | None
    """Epochs, weight and value of each training that ended; None of a text that is no such list."""
    rungs: Mapping[str, float]
    """What later trials are told of it, by name; nothing of a text that is no table of numbers."""

    @property
    def continues(self) -> int | None:
        """The number of the trial that it continues; None if it began by itself."""
        return int(self.rungs["continues"]) if "continues" in self.rungs else None

    @property
    def before(self) -> int:
        """The epochs that this other trial had trained for."""
        return int(self.rungs.get("epochs_before", 0))

    @property
    def finished(self) -> bool:
        """Whether it has ended."""
        return self.state in FINISHED


def trial_row(row: sa.Row[Any], now: float) -> TrialRow:
    """What a row says, at a time of the database's clock."""
    try:
        params = json.loads(row.params)
    except (ValueError, RecursionError):
        params = None
    params = params if isinstance(params, dict) else None
    return TrialRow(
        number=row.number,
        state=row.state,
        value=row.value,
        params=params,
        epochs=row.epochs,
        seed=(params or {}).get("training.seed", row.seed),
        crashes=row.crashes,
        started=row.started,
        ended=row.ended,
        weights_sha256=row.weights_sha256,
        reason=row.reason,
        environment=row.environment,
        hidden=bool(row.hidden),
        owner=row.owner,
        lease_until=row.lease_until,
        shows=row.live is not None,
        leased=row.state == "RUNNING" and holds(row.owner, row.lease_until, now),
        mlflow_run_id=row.mlflow_run_id,
        in_optuna=bool(row.in_optuna),
        in_mlflow=bool(row.in_mlflow),
        folds=_folds(row.folds),
        rungs=_numbers(row.rungs),
    )


def _numbers(text: str) -> dict[str, float]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    numbers = found.items() if isinstance(found, dict) else ()
    return {key: value for key, value in numbers if isinstance(value, int | float)}


def _folds(text: str | None) -> tuple[tuple[int, int, float], ...] | None:
    try:
        found = [
            (epochs, weight, float(value)) for epochs, weight, value in json.loads(text or "[]")
        ]
    except (OverflowError, RecursionError, TypeError, ValueError):
        return None
    counts = [count for epochs, weight, _ in found for count in (epochs, weight)]
    return tuple(found) if all(type(count) is int and count >= 0 for count in counts) else None
