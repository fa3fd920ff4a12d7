"""What does MLflow say of a study? Read by SQL or REST, and by none of the code that wrote it.

Where the tracking URI is a database's, its tables are read; where it is a server's address, its
REST API. Both give the same reading, and neither needs the mlflow package.

MLflow's databases cannot hold every number: an infinity is stored as the largest finite one of its
sign, NaN as a mark beside the number, and SQLite drops the sign of -0.0. ``as_kept`` says what has
to be there for a number to be there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import url2pathname

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from hpsearch.errors import TrackingError, one_line
from hpsearch.ledger.address import connecting, wrong_options
from hpsearch.ledger.records import FOLD_VALUE, STEP_LOSS
from hpsearch.redact import address, redact
from hpsearch.settings import Settings
from hpsearch.text import short
from hpsearch.verify.rest import Rest

LARGEST = np.finfo(np.float64).max
STUDY, LEDGER, NUMBER = "hpsearch.study", "hpsearch.ledger", "hpsearch.number"
ROUND = "hpsearch.round"
PARENT, SOURCE = "mlflow.parentRunId", "mlflow.source.name"

_RUNS, _ROWS = 100, 25_000
BUCKET = "s3://"
"""What the address of artifacts in a bucket begins with."""
Fetch: TypeAlias = Callable[[str, str], bytes | None]
"""Reads a file from a bucket: by the address of a run's artifacts, and the file's name."""
"""Runs a request may ask the metrics of, and rows that are answered at most."""


@dataclass(slots=True)
class Points:
    """All rows of one metric of a run, in the order of their steps."""

    steps: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is not deleted, with all that a trial's run consists of."""

    id: str
    experiment: str
    """The experiment's name."""
    status: str
    start: int | None
    end: int | None
    artifacts: str
    """Where they are: a URI."""
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, Points]


def as_kept(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """What MLflow's databases make of numbers."""
    return np.clip(values, -LARGEST, LARGEST) + 0.0  # NaN passes, and -0.0 becomes 0.0


def read(
    settings: Settings,
    study: str,
    created: float,
    known: Collection[str],
    metrics: Sequence[str],
) -> list[Run]:
    """All runs that the study's ledger made.

    Args:
        settings: Where MLflow is.
        study: The study's name.
        created: When the ledger entered it. A run of its bears both as tags, and that hpsearch
            made it; runs of another ledger, or of a person who copied a tag, do not bear all.
        known: Runs that the ledger names as its own, whatever has become of their tags.
        metrics: What its trainings report. With the losses by step, the values of folds and the
            value these are the metrics of a trial's run; others are not read.

    Raises:
        TrackingError: If MLflow cannot be reached or read.
    """
    mine = {STUDY: study, LEDGER: repr(created), SOURCE: "hpsearch"}
    names = (*metrics, STEP_LOSS, FOLD_VALUE, "value")
    if settings.tracking_uri.startswith(("http://", "https://")):
        found = _read_rest(Rest(settings.tracking_uri), mine[LEDGER], names)
    else:
        url = _url(settings.tracking_uri)
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
            return []
        found = _read_sql(url, mine[LEDGER], names)
    return [run for run in found if run.id in known or mine.items() <= run.tags.items()]


def lies_in(settings: Settings) -> bool:
    """Whether MLflow's database is a file of the workspace."""
    uri = settings.tracking_uri
    url = _url(uri) if uri.startswith("sqlite") else None
    return url is not None and settings.home in Path(url.database or "").absolute().parents


def artifact(settings: Settings, run: Run, path: str, fetch: Fetch | None) -> bytes | None:
    """A run's artifact; None if there is none.

    Args:
        settings: Where MLflow is.
        run: The run.
        path: The artifact's path.
        fetch: Reads what is in a bucket; None if nothing does.

    Raises:
        TrackingError: If it cannot be read from here.
    """
    if settings.tracking_uri.startswith(("http://", "https://")):
        query = urlencode({"run_uuid": run.id, "path": path})
        return Rest(settings.tracking_uri).bytes(f"/get-artifact?{query}")
    uri = urlsplit(run.artifacts)
    if run.artifacts.startswith(BUCKET) and fetch is not None:
        return fetch(run.artifacts, path)
    if uri.scheme not in ("", "file") or uri.netloc:
        raise TrackingError(f"{run.artifacts}: cannot be read from here")
    try:
        return (Path(url2pathname(uri.path)) / path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TrackingError(f"{run.artifacts}: {error}") from error


# -- by SQL


def _url(uri: str) -> sa.URL:
    try:
        url = sa.make_url(uri)
        if (wrong := wrong_options(uri, files=False)) is not None:
            raise TrackingError(f"MLFLOW_TRACKING_URI: {short(address(uri), 200)}: {wrong}")
        url.get_dialect().import_dbapi()
        url.get_dialect()().create_connect_args(url)
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:  # a port, too
        raise TrackingError(
            f"MLFLOW_TRACKING_URI: {short(address(uri), 200)} is no database's and no server's "
            f"that can be read from here: {redact(one_line(error), uri)}"
        ) from None
    return url


def _read_sql(url: sa.URL, ledger: str, names: Sequence[str]) -> list[Run]:
    where = (
        "r.lifecycle_stage = 'active' AND e.lifecycle_stage = 'active' AND r.run_uuid IN "
        "(SELECT t.run_uuid FROM tags t WHERE t.key = :tag AND t.value = :ledger)"
    )
    runs = f"FROM runs r JOIN experiments e ON e.experiment_id = r.experiment_id WHERE {where}"
    known = {"tag": LEDGER, "ledger": ledger}
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    params: dict[str, dict[str, str]] = defaultdict(dict)
    metrics: dict[str, dict[str, Points]] = defaultdict(lambda: defaultdict(Points))
    engine = sa.create_engine(url, connect_args=connecting(url))
    try:
        with engine.begin() as connection:
            if not sa.inspect(connection).has_table("runs"):
                return []
            rows = connection.execute(sa.text(f"SELECT r.*, e.name AS experiment {runs}"), known)
            found = rows.all()
            for table, place in (("tags", tags), ("params", params)):
                query = (
                    f"SELECT x.run_uuid, x.key, x.value FROM {table} x "
                    f"WHERE x.run_uuid IN (SELECT r.run_uuid {runs})"
                )
                for run, key, value in connection.execute(sa.text(query), known):
                    place[run][key] = value or ""
            query = (
                "SELECT m.run_uuid, m.key, m.step, m.timestamp, m.value, m.is_nan FROM metrics m "
                f"WHERE m.run_uuid IN (SELECT r.run_uuid {runs}) ORDER BY m.step, m.timestamp"
            )
            for run, key, step, time, value, is_nan in connection.execute(sa.text(query), known):
                if key not in names:
                    continue
                points = metrics[run][key]
                points.steps.append(step)
                points.times.append(time)
                points.values.append(float("nan") if is_nan else value)
    except SQLAlchemyError as error:
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        where = address(url.render_as_string(hide_password=False))
        raise TrackingError(f"MLflow at {where}: {said}") from error
    finally:
        engine.dispose()
    return [
        Run(
            id=row.run_uuid,
            experiment=row.experiment,
            status=row.status,
            start=row.start_time,
            end=row.end_time,
            artifacts=row.artifact_uri,
            tags=tags[row.run_uuid],
            params=params[row.run_uuid],
            metrics=metrics[row.run_uuid],
        )
        for row in found
    ]


# -- by REST


def _read_rest(rest: Rest, ledger: str, logged_as: Sequence[str]) -> list[Run]:
    api = "/api/2.0/mlflow"
    names = {
        entry["experiment_id"]: str(entry["name"])
        for entry in rest.pages(f"{api}/experiments/search", {}, "experiments")
    }
    wanted = f"tags.`{LEDGER}` = '{ledger}'"
    found: dict[str, dict[str, Any]] = {}
    for some in _batches(list(names), _RUNS):
        body = {"experiment_ids": some, "filter": wanted, "run_view_type": "ACTIVE_ONLY"}
        for entry in rest.pages(f"{api}/runs/search", body, "runs"):
            found[entry["info"]["run_id"]] = entry
    logged = {run: _pairs(entry, "metrics") for run, entry in sorted(found.items())}
    bearers = {key: [run for run in logged if key in logged[run]] for key in logged_as}
    with ThreadPoolExecutor(len(logged_as)) as threads:  # a server has several workers
        histories = threads.map(lambda key: dict(_histories(rest, bearers[key], key)), logged_as)
        metrics = dict(zip(logged_as, histories, strict=True))
    return [
        Run(
            id=run_id,
            experiment=names.get(entry["info"]["experiment_id"], ""),
            status=entry["info"]["status"],
            start=_int(entry["info"].get("start_time")),
            end=_int(entry["info"].get("end_time")),
            artifacts=entry["info"].get("artifact_uri", ""),
            tags=_pairs(entry, "tags"),
            params=_pairs(entry, "params"),
            metrics={key: points[run_id] for key, points in metrics.items() if run_id in points},
        )
        for run_id, entry in found.items()
    ]


def _pairs(entry: Mapping[str, Any], kind: str) -> dict[str, str]:
    return {pair["key"]: pair.get("value", "") for pair in entry["data"].get(kind, [])}


def _int(value: Any) -> int | None:
    return None if value is None else int(value)


def _histories(rest: Rest, runs: Sequence[str], key: str) -> Iterator[tuple[str, Points]]:
    """One metric of many runs: asked for together, and by halves where the answer is cut off."""
    for some in _batches(runs, _RUNS):
        query = urlencode([("run_id", run) for run in some] + [("metric_key", key)])
        answer = rest.json(f"/ajax-api/2.0/mlflow/metrics/get-history-bulk?{query}")
        rows = answer.get("metrics", [])
        if len(rows) < _ROWS:
            yield from _points(rows)
        elif len(some) > 1:
            middle = len(some) // 2
            yield from _histories(rest, some[:middle], key)
            yield from _histories(rest, some[middle:], key)
        else:
            yield from _points([{**row, "run_id": some[0]} for row in _history(rest, some[0], key)])


def _history(rest: Rest, run: str, key: str) -> Iterator[dict[str, Any]]:
    token = ""
    while True:
        query = (
            f"run_id={run}&metric_key={quote(key)}&max_results={_ROWS}&page_token={quote(token)}"
        )
        page = rest.json(f"/api/2.0/mlflow/metrics/get-history?{query}")
        yield from page.get("metrics", [])
        token = page.get("next_page_token", "")
        if not token:
            return


def _points(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Points]]:
    by_run: dict[str, Points] = defaultdict(Points)
    for row in sorted(rows, key=lambda row: (int(row.get("step", 0)), int(row["timestamp"]))):
        points = by_run[row["run_id"]]
        points.steps.append(int(row.get("step", 0)))
        points.times.append(int(row["timestamp"]))
        points.values.append(float(row.get("value", 0.0)))
    yield from by_run.items()


def _batches(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
