"""Which runs does an MLflow experiment hold, and which trial does each name? Whoever wrote them.

By SQL or REST, as ``tracking_reading`` reads a study's own runs; nothing is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from hpsearch.errors import TrackingError, UsageError, one_line
from hpsearch.ledger.address import connecting
from hpsearch.redact import address, redact
from hpsearch.trust.audit import SeenRun
from hpsearch.verify.rest import Rest

_NUMBERS = ("hpsearch.number", "number", "trial_number", "optuna.trial_number", "mlflow.runName")
"""Tags that name a trial: ours, that of Optuna's own callback, and what people use."""
_PARENT = "mlflow.parentRunId"
_NAMED = re.compile(r"(?:trial)?[ _-]*(\d{1,9})", re.IGNORECASE)
_API = "/api/2.0/mlflow"


def read(uri: str, experiment: str) -> list[SeenRun]:
    """The runs of an experiment that are not deleted; one that others name as theirs is left out.

    Args:
        uri: A database's address or a server's.
        experiment: The experiment's name.

    Raises:
        TrackingError: If it cannot be read.
        UsageError: If there is no such experiment.
    """
    if uri.startswith(("http://", "https://")):
        found = _by_rest(Rest(uri), experiment)
    else:
        found = _by_sql(uri, experiment)
    if found is None:
        raise UsageError(
            f"MLflow at {address(uri)} has no experiment {experiment!r}; name it with --experiment"
        )
    runs = list(found)
    parents = {tags[_PARENT] for _, _, tags in runs if _PARENT in tags}
    return [SeenRun(run, _number(tags), status) for run, status, tags in runs if run not in parents]


_Found = Iterable[tuple[str, str, Mapping[str, str]]]
"""Id, status and tags of each run."""


def _number(tags: Mapping[str, str]) -> int | None:
    for key in _NUMBERS:
        if found := _NAMED.fullmatch(tags.get(key, "")):
            return int(found[1])
    return None


def _by_rest(rest: Rest, name: str) -> _Found | None:
    every = rest.pages(f"{_API}/experiments/search", {}, "experiments")
    ids = [entry["experiment_id"] for entry in every if entry.get("name") == name]
    if not ids:
        return None
    body = {"experiment_ids": ids, "run_view_type": "ACTIVE_ONLY"}
    return [
        (
            entry["info"]["run_id"],
            entry["info"].get("status", ""),
            {tag["key"]: tag.get("value", "") for tag in entry["data"].get("tags", [])},
        )
        for entry in rest.pages(f"{_API}/runs/search", body, "runs")
    ]


def _by_sql(uri: str, name: str) -> _Found | None:
    where = address(uri)
    try:
        url = sa.make_url(uri)
        if url.get_backend_name() == "sqlite":
            file = Path(url.database or "")
            if not file.is_file():
                raise TrackingError(f"MLflow at {where}: there is no such file")
            url = sa.make_url(f"sqlite:///file:{file.absolute()}?mode=ro&uri=true")
        engine = sa.create_engine(url, connect_args=connecting(url))
        try:
            with engine.begin() as connection:
                return _rows(connection, name)
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError, ValueError) as error:
        said = redact(one_line(error), uri)
        raise TrackingError(f"MLflow at {where}: cannot be read: {said}") from error


def _rows(connection: sa.Connection, name: str) -> _Found | None:
    experiments = connection.execute(
        sa.text("SELECT experiment_id FROM experiments WHERE name = :name"), {"name": name}
    ).scalars()
    ids = list(experiments)
    if not ids:
        return None
    mine = "FROM runs r WHERE r.experiment_id = :id AND r.lifecycle_stage = 'active'"
    tags: dict[str, dict[str, str]] = {}
    query = (
        f"SELECT t.run_uuid, t.key, t.value FROM tags t "
        f"WHERE t.run_uuid IN (SELECT r.run_uuid {mine})"
    )
    for run, key, value in connection.execute(sa.text(query), {"id": ids[0]}):
        tags.setdefault(run, {})[key] = value or ""
    rows = connection.execute(sa.text(f"SELECT r.run_uuid, r.status {mine}"), {"id": ids[0]})
    return [(run, status or "", tags.get(run, {})) for run, status in rows]
