"""What is a study's run in MLflow to hold, and a trial's, whoever ran the study?

Two kinds of studies say so: those of the ledger (``mlflow_content``) and Optuna's own
(``optuna_content``). How it gets into MLflow, and whether it is there, is the same for both.
"""

from __future__ import annotations

import getpass
import math
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hpsearch.ledger.records import State
from hpsearch.study.config import dumps

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Metric

STUDY, LEDGER, NUMBER = "hpsearch.study", "hpsearch.ledger", "hpsearch.number"
STATE, SEED, REASON = "hpsearch.state", "hpsearch.seed", "hpsearch.reason"
WEIGHTS = "hpsearch.weights_sha256"
PARENT, NOTE, SOURCE = "mlflow.parentRunId", "mlflow.note.content", "mlflow.source.name"

STATUS = {State.COMPLETE: "FINISHED", State.PRUNED: "KILLED", State.FAIL: "FAILED"}
"""MLflow's status of a finished trial."""

PARAMS = 100
"""Params that MLflow takes at once."""
PARAM, TAG = 6000, 8000
"""Characters that MLflow keeps of a param and of a tag; it would cut the rest off silently."""

Series: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float64]]
"""A metric's steps and its values, both (points,), in the order of the steps."""
Point: TypeAlias = tuple[str, int, int, str]
"""A metric in MLflow: its name, step and time, and the value's bits in hexadecimal."""
LARGEST = sys.float_info.max
VIEW = "hpsearch"
"""Under which name an experiment keeps how its runs are to be shown first."""
SHARED_VIEW = f"mlflow.sharedViewState.{VIEW}"
"""And under which tag: MLflow's UI looks for it where the page's address names the view."""


@dataclass(frozen=True, slots=True)
class TrialRun:
    """What a trial's run is to hold."""

    number: int
    name: str
    state: State
    start: int
    """Milliseconds since 1970, as is the end."""
    end: int
    tags: Mapping[str, str]
    params: Mapping[str, str]
    """What the trial tries."""
    shared: Mapping[str, str]
    """Further params, which all trials have in common."""
    series: Mapping[str, Series]
    """Its metrics, by name."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Its artifacts: texts by path."""

    def metrics(self) -> dict[Point, Metric]:
        """Its metrics, by what MLflow keeps of each.

        Their times are fixed, so that a metric that is written again is the same, and adds nothing.
        """
        from mlflow.entities import Metric

        return points(
            Metric(name, value, self.start + step, step)
            for name, (steps, values) in self.series.items()
            for step, value in zip(steps.tolist(), values.tolist(), strict=True)
        )


class Content(ABC):
    """What the runs of one study are to hold."""

    name: str
    """The study's."""
    known_as: str | None = None
    """Its own run, as far as that is known."""
    experiment: str | None = None
    """The experiment of others that its runs belong to; None for one of its own."""
    start: int
    """When it began, in milliseconds since 1970."""
    metric: str
    """What it is ranked by, and whether more of it is better."""
    maximize: bool
    names: frozenset[str]
    """All metrics that a trial's run may have from here."""
    about: str
    """What is told of its experiment."""
    given: bool = False
    """Whether its own run stands below that of another study."""

    def __init__(self) -> None:
        self._user = _user()

    @property
    @abstractmethod
    def identity(self) -> dict[str, str]:
        """The tags by which a run is known as one of this study's: name, origin and source."""

    def common(self) -> dict[str, str]:
        """The tags of every run of the study."""
        return {
            **self.identity,
            "mlflow.user": self._user,
            "mlflow.source.type": "LOCAL",
        }

    @abstractmethod
    def params(self) -> dict[str, str]:
        """The params of the study's own run."""

    @property
    def columns(self) -> list[str]:
        """What the table of its runs shows first, in MLflow's words."""
        return [f"metrics.`{self.metric}`"]

    @property
    def tags(self) -> dict[str, str]:
        """The tags of an experiment of its own."""
        view = {
            "orderByKey": f"metrics.`{self.metric}`",
            "orderByAsc": not self.maximize,
            "selectedColumns": ["attributes.`Created`", "attributes.`Duration`", *self.columns],
            # All of a view has to be there.
            "searchFilter": "",
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "datasetsFilter": [],
            "modelVersionFilter": "All Runs",
        }
        identity = self.identity
        return {
            STUDY: identity[STUDY],
            LEDGER: identity[LEDGER],
            NOTE: self.about,
            SHARED_VIEW: dumps(view),
        }

    def dataset(self) -> DatasetInput | None:
        """The data that the study was begun on; None where that is not known."""
        return None


def points(metrics: Iterable[Metric]) -> dict[Point, Metric]:
    """Metrics by what MLflow keeps of each."""
    return {(each.key, each.step, each.timestamp, bits(each.value)): each for each in metrics}


def bits(value: float) -> str:
    """A number as MLflow's databases keep it, who hold neither infinities nor -0.0."""
    kept = value if math.isnan(value) else max(-LARGEST, min(LARGEST, value)) + 0.0
    return kept.hex()


def text(value: Any) -> str:
    """A param's text; a number's is the shortest that is read back as the same bits."""
    return (value if isinstance(value, str) else dumps(value))[:PARAM]


def told(value: Any, choices: Collection[Any]) -> str:
    """A param's text; one that could be another of the choices, "1" and 1, is JSON."""
    if isinstance(value, str):
        texts = {choice if isinstance(choice, str) else dumps(choice) for choice in choices}
        if len(texts) < len(choices):
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
