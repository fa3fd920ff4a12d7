"""What does MLflow hold of a study and its trials? Tags, params, metrics and the dataset.

All of it follows from the ledger, so that every write can be repeated: timestamps are fixed, so the
same metric adds no row; params and tags are the same.
"""

from __future__ import annotations

import getpass
import json
import math
import os
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from hpsearch.ledger.records import (
    FOLD_VALUE,
    NO_STEPS,
    STEP_LOSS,
    Curve,
    State,
    Steps,
    StudyRecord,
    Trial,
)
from hpsearch.study.config import Choices, Range, Value, dumps

if TYPE_CHECKING:
    from mlflow.entities import Metric

STUDY, LEDGER, NUMBER = "hpsearch.study", "hpsearch.ledger", "hpsearch.number"
ROUND = "hpsearch.round"
"""From 1 on: of the run that stands between a study's and those of a round's trials."""
STATE, SEED, REASON = "hpsearch.state", "hpsearch.seed", "hpsearch.reason"
ENVIRONMENT, ENDED = "hpsearch.environment", "hpsearch.ended"
WEIGHTS, REPRODUCED = "hpsearch.weights_sha256", "hpsearch.reproduced"
PARENT, NOTE, SOURCE = "mlflow.parentRunId", "mlflow.note.content", "mlflow.source.name"
WEIGHTS_FILE, REPORT_FOLDER = "weights.safetensors", "report"
ENVIRONMENT_FOLDER = "environments"

STATUS = {State.COMPLETE: "FINISHED", State.PRUNED: "KILLED", State.FAIL: "FAILED"}
"""MLflow's status of a finished trial."""

Point: TypeAlias = tuple[str, int, int, str]
"""A metric in MLflow: its name, step and time, and the value's bits in hexadecimal."""
LARGEST = sys.float_info.max

PARAMS = 100
"""Params that MLflow takes at once."""
CLASSES = 100
"""Names of classes that a dataset's profile tells."""
PARAM, TAG = 6000, 8000
"""Characters that MLflow keeps of a param and of a tag; it would cut the rest off silently."""


class Content:
    """What the runs of one study are to hold."""

    def __init__(self, record: StudyRecord) -> None:
        self._record = record
        self._study = record.study
        self._user = _user()

    @property
    def identity(self) -> dict[str, str]:
        """The tags by which a run is known as one that this study's ledger made.

        A ledger that was lost, or a deleted study of the same name, has left runs of its own; and a
        person's run may bear one or the other of these tags.
        """
        return {
            STUDY: self._study.name,
            LEDGER: repr(self._record.created),
            SOURCE: "hpsearch",
        }

    def common(self) -> dict[str, str]:
        """The tags of every run of the study."""
        given = self._study.tracking.tags.items()
        own = ("hpsearch.", "mlflow.")  # by these a run is found, and told from others
        return {
            **{key: value[:TAG] for key, value in given if not key.startswith(own)},
            **self.identity,
            "mlflow.user": self._user,
            "mlflow.source.type": "LOCAL",
        }

    def tags(
        self, trial: Trial, parent: str | None = None, commit: str | None = None
    ) -> dict[str, str]:
        """The tags of a trial's run."""
        known = {
            PARENT: parent,
            NUMBER: str(trial.number),
            STATE: trial.state.value,
            SEED: str(trial.seed),
            WEIGHTS: trial.weights_sha256,
            REASON: trial.reason and trial.reason[:TAG],
            ENVIRONMENT: trial.environment,
            "mlflow.source.git.commit": commit,
        }
        return self.common() | {key: value for key, value in known.items() if value}

    def params(self, trial: Trial) -> dict[str, str]:
        """What a trial tries."""
        space = self._study.space
        told = {path: _told(space[path], value) for path, value in trial.params.items()}
        return told | {"seed": str(trial.seed)}

    def all_params(self, trial: Trial) -> dict[str, str]:
        """The same beside what all trials have in common, to compare them with other studies'."""
        own = self.params(trial)
        fixed = [(k, v) for k, v in self.fixed().items() if not k.startswith("search.")]
        return dict(fixed[: PARAMS - len(own)]) | own

    def metrics(self, trial: Trial, curve: Curve, steps: Steps = NO_STEPS) -> list[Metric]:
        """A trial's curve, its losses by step, what its folds came to, and its value."""
        from mlflow.entities import Metric

        # Fixed times: a metric that is written again is the same, and adds nothing.
        start = milliseconds(trial.started)
        metrics = [
            Metric(name, value, start + epoch, epoch)
            for epoch, row in enumerate(curve.tolist(), start=1)
            for name, value in zip(self._record.metrics, row, strict=True)
        ]
        metrics += [
            Metric(STEP_LOSS, loss, start + step, step)
            for step, loss in enumerate(steps.tolist(), start=1)
        ]
        metrics += [
            Metric(FOLD_VALUE, fold.value, start + place, place)
            for place, fold in enumerate(trial.folds, start=1)
        ]
        if trial.value is not None:  # at step 0 the UI compares it by bars, not by dots
            metrics.append(Metric("value", trial.value, start, 0))
        return metrics

    def dataset(self) -> Any:
        """The data that the study was begun on, by their digests."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        digests = dict(self._record.data_digests)
        objective, data = self._study.objective, self._study.data
        spec = data.dataset if data else objective.function or "command" if objective else ""
        dataset = Dataset(
            name=spec[:500],
            digest=digests.get("dataset", "")[:36],
            source_type="local",
            source=json.dumps({"uri": spec}),
            profile=dumps(
                {f"{part}_sha256": digest for part, digest in digests.items()} | self._described()
            ),
        )
        return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])

    def _described(self) -> dict[str, Any]:
        """What is known of the data: sizes and duplicates by part, and the classes' names."""
        known = dict(self._record.data_facts)
        if "classes" in known:
            known["classes"] = known["classes"][:CLASSES]
        return known

    def space(self) -> dict[str, str]:
        """What the study searches, by path."""
        return {path: text(dumps(open_.table())) for path, open_ in self._study.space.items()}

    def fixed(self) -> dict[str, str]:
        """The study's fixed values by path. Not its number of trials: params cannot change."""
        search = self._study.search.model_dump(exclude={"trials", "enqueue", "history"})
        study = self._study
        parts = {"data": study.data, "objective": study.objective, "compute": study.compute}
        tables: dict[str, Mapping[str, Any]] = {
            key: part.model_dump() for key, part in parts.items() if part
        }
        tables |= {**self._study.fixed, "search": search}
        return {
            f"{section}.{key}": text(value)
            for section, table in tables.items()
            for key, value in table.items()
            if value is not None
        }


def points(metrics: Iterable[Metric]) -> dict[Point, Metric]:
    """Metrics by what MLflow keeps of each."""
    return {
        (each.key, each.step, each.timestamp, as_kept(each.value).hex()): each for each in metrics
    }


def as_kept(value: float) -> float:
    """What MLflow's databases make of a number: infinities and -0.0 are none that they hold."""
    return value if math.isnan(value) else max(-LARGEST, min(LARGEST, value)) + 0.0


def text(value: Any) -> str:
    """A param's text; a number's is the shortest that is read back as the same bits."""
    return (value if isinstance(value, str) else dumps(value))[:PARAM]


def _told(open_: Range | Choices, value: Value) -> str:
    """A value of an open place; a text that could be another of the choices, "1" and 1, is JSON."""
    if isinstance(open_, Choices) and isinstance(value, str):
        texts = {c if isinstance(c, str) else dumps(c) for c in open_.choices}
        if len(texts) < len(open_.choices):
            return dumps(value)[:PARAM]
    return text(value)


def milliseconds(seconds: float) -> int:
    """Seconds as MLflow counts time."""
    return round(seconds * 1000)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
