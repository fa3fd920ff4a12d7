"""What do a study's trials look like as a table of pandas'?"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from hpsearch.ledger.records import Trial
from hpsearch.study.config import Study


def frame(study: Study, trials: Sequence[Trial]) -> pd.DataFrame:
    """A row for each trial, and a column for each open place of the study."""
    columns: dict[str, object] = {
        "number": [trial.number for trial in trials],
        "state": [str(trial.state) for trial in trials],
        "value": pd.array([trial.value for trial in trials], dtype="float64"),
    }
    for path in study.space:
        columns[path] = [trial.params.get(path) for trial in trials]
    for name in ("epochs", "seed", "attempts"):
        columns[name] = [getattr(trial, name) for trial in trials]
    for name in ("started", "ended"):
        times = [getattr(trial, name) for trial in trials]
        columns[name] = pd.to_datetime(pd.Series(times, dtype="float64"), unit="s", utc=True)
    for name in ("reason", "weights_sha256", "mlflow_run_id"):
        columns[name] = [getattr(trial, name) for trial in trials]
    return pd.DataFrame(columns)
