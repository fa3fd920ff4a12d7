"""What does MLflow hold of a study of the ledger and its trials? Tags, params, metrics and data.

All of it follows from the ledger, so that every write can be repeated: timestamps are fixed, so the
same metric adds no row; params and tags are the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from hpsearch.ledger.records import (
    FOLD_VALUE,
    NO_STEPS,
    STEP_LOSS,
    Curve,
    Steps,
    StudyRecord,
    Trial,
)
from hpsearch.projections.run_content import (
    LEDGER,
    NUMBER,
    PARAMS,
    PARENT,
    REASON,
    SEED,
    SOURCE,
    STATE,
    STUDY,
    TAG,
    WEIGHTS,
    Content,
    Series,
    TrialRun,
    milliseconds,
    text,
    told,
)
from hpsearch.study import file as study_file
from hpsearch.study.conditions import filled
from hpsearch.study.config import Choices, Range, Value, dumps

ROUND = "hpsearch.round"
"""From 1 on: of the run that stands between a study's and those of a round's trials."""
CONTINUES = "hpsearch.continues"
"""Of a trial that goes on where another one was paused: that one's number."""
ENVIRONMENT, ENDED, FRONT = "hpsearch.environment", "hpsearch.ended", "hpsearch.front"
REPRODUCED = "hpsearch.reproduced"
WEIGHTS_FILE, REPORT_FOLDER = "weights.safetensors", "report"
ENVIRONMENT_FOLDER = "environments"

_COLUMNS = 8
"""Params that the table of runs shows first, at most."""
CLASSES = 100
"""Names of classes that a dataset's profile tells."""


_ABOUT = (
    "A hyperparameter search by hpsearch. The run that bears the study's name says how it stands, "
    "and which trial is the best; each trial is a run below it. The study's own store is what "
    "counts: `hpsearch sync` brings these runs to what it says."
)


class StudyContent(Content):
    """What the runs of one study of the ledger are to hold."""

    def __init__(self, record: StudyRecord) -> None:
        super().__init__()
        study = record.study
        self._record = record
        self._study = study
        self._width = len(str(study.search.trials - 1))
        # A training that sees more than a search does is one that no study file can ask for.
        self._beyond = study.given is not None and study.given.part != "validation"
        self.name = study.name
        self.known_as = record.mlflow_run_id
        self.experiment = study.tracking.experiment
        self.start = milliseconds(record.created)
        self.metric = "value" if study.folds > 1 else study.search.metric
        self.maximize = study.search.direction == "maximize"
        self.names = frozenset({*record.metrics, STEP_LOSS, FOLD_VALUE, "value"})
        self.given = study.given is not None
        self.about = _ABOUT

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
            **super().common(),
        }

    def run(
        self,
        trial: Trial,
        curve: Curve,
        steps: Steps = NO_STEPS,
        *,
        parent: str | None = None,
        commit: str | None = None,
    ) -> TrialRun:
        """What a trial's run is to hold, but for its files.

        Args:
            trial: The trial.
            curve: Its epochs, or those so far.
            steps: Its losses by step.
            parent: The run that it stands below.
            commit: The one that the trial was trained by.
        """
        own = self.params_of(trial)
        return TrialRun(
            number=trial.number,
            name=f"trial {trial.number:0{self._width}}",
            state=trial.state,
            start=milliseconds(trial.started),
            end=milliseconds(trial.ended or trial.started),
            tags=self.tags_of(trial, parent, commit),
            params=own,
            shared=dict(self._shared[: PARAMS - len(own)]),
            series=self.series(trial, curve, steps),
        )

    def files(self, trial: Trial, log: bytes = b"") -> dict[str, str]:
        """A finished trial's artifacts: its configuration as a study file, and what it printed."""
        found = {}
        if filled(self._study.space, trial.params) and not self._beyond:
            resolved = self._study.resolve(trial.params, trial.seed)
            found["config.toml"] = study_file.toml(self._study.of_trial(trial.number, resolved))
        if log:
            found["log.txt"] = log.decode(errors="replace")
        return found

    def tags_of(
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
            CONTINUES: None if trial.continues is None else str(trial.continues),
            ENVIRONMENT: trial.environment,
            "mlflow.source.git.commit": commit,
        }
        return self.common() | {key: value for key, value in known.items() if value}

    @property
    def columns(self) -> list[str]:
        """The metric that ranks the trials, and what is searched."""
        ranked = dict.fromkeys((self.metric, "value"))
        searched = list(self._study.space)[:_COLUMNS]
        return [f"metrics.`{name}`" for name in ranked] + [f"params.`{path}`" for path in searched]

    def params(self) -> dict[str, str]:
        """What is fixed, and what is searched."""
        return self.fixed() | self.space()

    def params_of(self, trial: Trial) -> dict[str, str]:
        """What a trial tries."""
        space = self._study.space
        told = {path: _told(space[path], value) for path, value in trial.params.items()}
        return told | {"seed": str(trial.seed)}

    def series(self, trial: Trial, curve: Curve, steps: Steps) -> dict[str, Series]:
        """A trial's curve, its losses by step, what its folds came to, and its value."""
        # Without an epoch it may have no columns, either.
        epochs, rows = np.arange(1, len(curve) + 1), curve.T
        found = {
            name: (epochs, values) for name, values in zip(self._record.metrics, rows, strict=False)
        }
        if self._record.study.gaps:  # what was not measured is no point
            found = {
                name: (at[~np.isnan(of)], of[~np.isnan(of)]) for name, (at, of) in found.items()
            }
        found[STEP_LOSS] = (np.arange(1, len(steps) + 1), steps)
        folds = np.array([fold.value for fold in trial.folds], np.float64)
        found[FOLD_VALUE] = (np.arange(1, len(folds) + 1), folds)
        if trial.value is not None:  # at step 0 the UI compares it by bars, not by dots
            found["value"] = (np.zeros(1, np.int64), np.array([trial.value]))
        return found

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

    @cached_property
    def _shared(self) -> list[tuple[str, str]]:
        """What all trials have in common, to compare them with other studies'."""
        return [(k, v) for k, v in self.fixed().items() if not k.startswith("search.")]

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


def _told(open_: Range | Choices, value: Value) -> str:
    return told(value, open_.choices if isinstance(open_, Choices) else ())
