"""What does a trial's run in MLflow say of the trial? Enough to train it again, and to compare.

The run has the values, the curve, the seed and the weights' digest; the study's own run has the
definition and the environment. What is read is taken as a stranger's: it goes through the same
validation as an archive's.
"""

from __future__ import annotations

import json
import math
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import UsageError
from hpsearch.ledger.records import STEP_LOSS, curve, encode
from hpsearch.ledger.transfer import Bits, Taken
from hpsearch.projections.mlflow_client import Connection
from hpsearch.projections.mlflow_content import ENVIRONMENT, ENVIRONMENT_FOLDER
from hpsearch.projections.run_content import (
    LARGEST,
    NUMBER,
    PARENT,
    REASON,
    SEED,
    STATE,
    WEIGHTS,
)
from hpsearch.settings import Settings
from hpsearch.study import file as study_file
from hpsearch.study.config import Study, flat
from hpsearch.text import short
from hpsearch.trust import environment

if TYPE_CHECKING:
    from mlflow.entities import Run

_SHA256 = "_sha256"
_MOST = 2**24  # bytes of an artifact that is read


def recorded(settings: Settings, run_id: str) -> Taken:
    """The study that a trial's run belongs to, with this one trial.

    Raises:
        UsageError: If it is no such run, or was written by an earlier version.
        TrackingError: If MLflow cannot be reached, or has no such run.
    """
    mlflow = Connection(settings)
    with mlflow.failures():
        run = mlflow.client.get_run(run_id)
        tags = run.data.tags
        where = f"MLflow run {short(run_id)}"
        if not tags.get(NUMBER, "").isdecimal() or PARENT not in tags:
            raise UsageError(f"{where}: is not the run of a trial that hpsearch wrote")
        if not tags.get(ENVIRONMENT, "").isalnum():
            raise UsageError(
                f"{where}: does not name the trial's environment, since an earlier version wrote "
                f"it; use `hpsearch reproduce NAME --trial {tags[NUMBER]}` in its workspace"
            )
        place = f"{ENVIRONMENT_FOLDER}/{tags[ENVIRONMENT]}.json"
        with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:

            def text(run_id: str, path: str) -> str:
                return _text(mlflow.client.download_artifacts(run_id, path, folder), where, path)

            parent = tags[PARENT]
            definition = text(parent, "study.toml")
            config, around = text(run_id, "config.toml"), text(parent, place)
        try:
            study = study_file.parse(tomllib.loads(definition))
            values, content = tomllib.loads(config), json.loads(around)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{where}: {short(str(error), 200)}") from None
        if not isinstance(content, dict):
            raise UsageError(f"{where}: {place} is not a JSON object")
        rows = [_history(mlflow, run_id, name) for name in study.metrics]
        if study.gaps:  # what was not measured was not logged
            steps = range(1, max(map(len, rows)) + 1)
            rows = [{step: points.get(step, math.nan) for step in steps} for points in rows]
        losses = _history(mlflow, run_id, STEP_LOSS) if STEP_LOSS in run.data.metrics else {}
    return _taken(where, run, study, values, content, rows, losses)


def _taken(
    where: str,
    run: Run,
    study: Study,
    values: Mapping[str, Any],
    content: Mapping[str, Any],
    rows: list[dict[int, float]],
    losses: dict[int, float],
) -> Taken:
    if len(set(map(len, rows))) > 1:
        raise UsageError(f"{where}: does not have the same epochs of every metric")
    tags, digest = run.data.tags, environment.digest(content)
    number, entries = int(tags[NUMBER]), dict(flat(values))
    epochs = curve(zip(*(row.values() for row in rows), strict=True), len(study.metrics))
    trial = {
        "number": number,
        "state": tags.get(STATE, ""),
        "value": run.data.metrics.get("value"),
        "params": {path: entries[path] for path in study.space if path in entries},
        "epochs": len(epochs),
        "seed": int(tags[SEED]) if tags.get(SEED, "").isdecimal() else None,
        "attempts": 1,
        "crashes": 0,
        "started": run.info.start_time / 1000,
        "ended": (run.info.end_time or run.info.start_time) / 1000,
        "weights_sha256": tags.get(WEIGHTS),
        "reason": tags.get(REASON),
        "rungs": {},
        "hidden": False,
        "environment": digest,
        "folds": None,
    }
    return Taken(
        name=study.name,
        definition=study.definition(),
        metrics=list(study.metrics),
        budget=max(study.search.trials, number + 1),
        ended=None,
        created=run.info.start_time / 1000,
        data=_data(run),
        reproduced=None,
        openings=[],
        environments={digest: content},
        trials=[trial],
        bits={number: Bits(encode(epochs), encode(np.array([*losses.values()], np.float64)), None)},
    )


def _text(path: str, where: str, name: str) -> str:
    with Path(path).open("rb") as stream:
        content = stream.read(_MOST + 1)
    if len(content) > _MOST:
        raise UsageError(f"{where}: {name} is too large")
    return content.decode(errors="replace")


def _history(mlflow: Connection, run_id: str, name: str) -> dict[int, float]:
    """A metric by step. An infinity is the largest finite number to MLflow's databases."""
    points = {point.step: point.value for point in mlflow.client.get_metric_history(run_id, name)}
    ordered: NDArray[np.float64] = np.array([points[step] for step in sorted(points)], np.float64)
    found = np.where(abs(ordered) == LARGEST, np.sign(ordered) * np.inf, ordered)
    return dict(zip(sorted(points), found.tolist(), strict=True))


def _data(run: Run) -> dict[str, str]:
    """The digests of the data, by part."""
    for given in run.inputs.dataset_inputs if run.inputs else ():
        try:
            profile = json.loads(given.dataset.profile or "")
        except (ValueError, RecursionError):
            continue
        if isinstance(profile, dict):
            found = {key: str(value) for key, value in profile.items() if key.endswith(_SHA256)}
            return {key.removesuffix(_SHA256): digest for key, digest in found.items()}
    return {}
