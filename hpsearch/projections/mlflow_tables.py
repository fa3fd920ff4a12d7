"""How does a finished trial's run get into an MLflow database of this machine by one transaction?

MLflow's client takes eight transactions for it, and makes an object of each point: ten times as
long, and a process that dies on the way leaves half a run. Here all of it is there or nothing. That
goes by MLflow's own tables, which are no interface: they are written only as they were when this
was (``KNOWN``). Of another release, and behind a server, the client writes the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from hpsearch.projections.run_content import LARGEST, STATUS, TrialRun
from hpsearch.seams import seam

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

KNOWN = "dc11669786a5"
"""The revision of MLflow's tables that this writes; of MLflow 3.17."""


def known(engine: Engine) -> bool:
    """Whether a database's tables are those that this writes."""
    with engine.connect() as connection:
        found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return found == KNOWN


def folder(uri: str) -> Path | None:
    """The folder that artifacts' address names; None if it names none of this machine's."""
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc:
        return None
    return Path(url2pathname(parts.path))


def insert(engine: Engine, experiment: str, run: TrialRun, data: DatasetInput | None) -> str | None:
    """Write all of a run that is not there yet, its files first.

    Args:
        engine: MLflow's database, ``known``.
        experiment: The experiment's id.
        run: What the run is to hold.
        data: What it was trained on.

    Returns:
        Its id; None, and nothing is written, if the experiment is not active or keeps its
        artifacts elsewhere.
    """
    from mlflow.store.tracking.dbmodels import models

    with engine.begin() as connection:
        place = connection.scalar(
            sa.select(models.SqlExperiment.artifact_location).where(
                models.SqlExperiment.experiment_id == int(experiment),
                models.SqlExperiment.lifecycle_stage == "active",
            )
        )
        if place is None or (kept := folder(place)) is None:
            return None
        run_id = uuid4().hex
        owner = {"run_uuid": run_id}
        row: dict[str, Any] = {
            **owner,
            "experiment_id": int(experiment),
            "name": run.name,
            "user_id": run.tags.get("mlflow.user", "unknown"),
            "status": STATUS[run.state],
            "start_time": run.start,
            "end_time": run.end,
            "artifact_uri": f"{place.rstrip('/')}/{run_id}/artifacts",
            "source_type": "UNKNOWN",
            "lifecycle_stage": "active",
        }
        row |= dict.fromkeys(("source_name", "entry_point_name", "source_version"), "")
        _rows(connection, models.SqlRun, [row])
        seam("run-created")
        points = [owner | point for point in _points(run)]
        last = {point["key"]: point for point in points}
        tags = {"mlflow.runName": run.name, **run.tags}
        params = {**run.shared, **run.params}
        _rows(connection, models.SqlTag, [owner | each for each in _pairs(tags)])
        _rows(connection, models.SqlParam, [owner | each for each in _pairs(params)])
        _rows(connection, models.SqlMetric, points)
        _rows(connection, models.SqlLatestMetric, list(last.values()))
        if data is not None:
            _trained_on(connection, int(experiment), run_id, data)
        for name, text in run.files.items():
            file = kept / run_id / "artifacts" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        seam("run-logged")
    seam("run-ended")
    return run_id


def _points(run: TrialRun) -> Iterator[dict[str, Any]]:
    """The rows of its metrics, those of one in the order of its steps."""
    for name, (steps, values) in run.series.items():
        for step, value in zip(steps.tolist(), values.tolist(), strict=True):
            nan = math.isnan(value)
            yield {
                "key": name,
                "value": 0.0 if nan else max(-LARGEST, min(LARGEST, value)),
                "timestamp": run.start + step,
                "step": step,
                "is_nan": nan,
            }


def _pairs(found: dict[str, str]) -> Iterator[dict[str, str]]:
    return ({"key": key, "value": value} for key, value in found.items())


def _trained_on(connection: Connection, experiment: int, run_id: str, data: DatasetInput) -> None:
    """Enter the data as the run's input, and beforehand as the experiment's if it is new there."""
    from mlflow.store.tracking.dbmodels import models

    of, table = data.dataset, models.SqlDataset
    found = connection.scalar(
        sa.select(table.dataset_uuid).where(
            table.experiment_id == experiment, table.name == of.name, table.digest == of.digest
        )
    )
    if found is None:
        found = uuid4().hex
        row = {
            "dataset_uuid": found,
            "experiment_id": experiment,
            "name": of.name,
            "digest": of.digest,
            "dataset_source_type": of.source_type,
            "dataset_source": of.source,
            "dataset_schema": of.schema,
            "dataset_profile": of.profile,
        }
        _rows(connection, table, [row])
    edge = {"source_type": "DATASET", "source_id": found}
    edge |= {"destination_type": "RUN", "destination_id": run_id, "input_uuid": uuid4().hex}
    _rows(connection, models.SqlInput, [edge])
    tags = [{"name": tag.key, "value": tag.value} for tag in data.tags]
    _rows(connection, models.SqlInputTag, [{"input_uuid": edge["input_uuid"]} | t for t in tags])


def _rows(connection: Connection, model: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(sa.insert(model.__table__), rows)
