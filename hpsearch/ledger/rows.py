"""How is a row of the ledger read into a record?"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from hpsearch.ledger.records import Curve, State, StudyRecord, Trial
from hpsearch.ledger.tables import studies
from hpsearch.study import file as study_file


def study_record(row: sa.Row[Any]) -> StudyRecord:
    """A row of ``studies``."""
    study = study_file.parse(json.loads(row.definition)).with_trials(row.budget)
    digests = json.loads(row.data_digests)
    facts = digests.pop("facts", {})
    return StudyRecord(
        id=row.id,
        incarnation=row.incarnation,
        study=study,
        metrics=tuple(json.loads(row.metrics)),
        folder=row.folder,
        created=row.created,
        data_digests=digests,
        data_facts=facts,
        mlflow_run_id=row.mlflow_run_id,
        mlflow_summary=row.mlflow_summary,
        reproduced=json.loads(row.reproduced) if row.reproduced else None,
    )


def trial_record(row: sa.Row[Any]) -> Trial:
    """A row of ``trials``."""
    params = json.loads(row.params)
    return Trial(
        number=row.number,
        state=State(row.state),
        value=row.value,
        params=params,
        epochs=row.epochs,
        seed=params.get("training.seed", row.seed),  # a study may search over seeds
        attempts=row.attempts,
        started=row.started,
        ended=row.ended,
        weights_sha256=row.weights_sha256,
        mlflow_run_id=row.mlflow_run_id,
        reason=row.reason,
        rungs=json.loads(row.rungs),
        environment=row.environment,
        in_optuna=row.in_optuna,
        in_mlflow=row.in_mlflow,
    )


def decode(data: bytes) -> NDArray[np.float64]:
    """Little-endian float64, as an array."""
    return np.frombuffer(data, dtype="<f8").astype(np.float64)


def curve_of(data: bytes, metrics: int) -> Curve:
    """The curve that these bytes are, of so many metrics."""
    return decode(data).reshape(-1, metrics)


def metrics_of(connection: Connection, study_id: int) -> int:
    """How many metrics a study reports; 0 if it is not there."""
    query = sa.select(studies.c.metrics).where(studies.c.id == study_id)
    return len(json.loads(connection.execute(query).scalar() or "[]"))
