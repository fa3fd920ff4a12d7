"""Which runs of a study are in MLflow, and are they as they should be?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from hpsearch.ledger.records import FOLD_VALUE, STEP_LOSS, Curve, Steps, StudyRecord, Trial
from hpsearch.projections.mlflow_client import Connection
from hpsearch.projections.mlflow_content import (
    LEDGER,
    NUMBER,
    PARENT,
    REASON,
    ROUND,
    SEED,
    STATE,
    STATUS,
    STUDY,
    WEIGHTS,
    WEIGHTS_FILE,
    Content,
    Point,
    milliseconds,
    points,
)
from hpsearch.settings import Settings

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Run

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """A run, as a search showed it."""

    run_id: str
    status: str
    start: int
    end: int | None
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    """The last value of each."""

    @property
    def ended(self) -> bool:
        """Whether it claims to be a finished trial's, with all of it."""
        return self.status in STATUS.values() and self.tags.get(STATE) in STATUS


@dataclass(slots=True)
class Index:
    """The runs of a study, found by their tags."""

    parent: Found | None = None
    rounds: dict[int, Found] = field(default_factory=dict)
    children: dict[int, Found] = field(default_factory=dict)
    surplus: list[tuple[str, str]] = field(default_factory=list)
    """Runs that are one too many: id, and what is wrong with it."""


class Reader:
    """One study's runs in MLflow, looked at and not changed.

    Raises:
        TrackingError: From here and from every method, if MLflow cannot be reached or refuses.
    """

    def __init__(self, settings: Settings, record: StudyRecord) -> None:
        self._settings = settings
        self._record = record
        self._study = record.study
        self._content = Content(record)
        self._mlflow = Connection(settings)
        self._client = self._mlflow.client
        self.where = self._mlflow.where
        with self._mlflow.failures():
            found = self._found_experiment()
        self.experiment = (
            str(found.experiment_id) if found and found.lifecycle_stage != "deleted" else None
        )

    @property
    def pages(self) -> dict[str, str]:
        """The study's pages in MLflow's UI, from its root; none while there is no experiment.

        The runs are sorted by the metric, the best first. The UI goes by ``workflowType``: it opens
        an experiment that is named without it as one of generative AI, whatever the experiment's
        kind, until a person has chosen otherwise once.
        """
        if self.experiment is None:
            return {}
        search = self._study.search
        ascending = str(search.direction == "minimize").lower()
        ranked = "value" if self._study.folds > 1 else search.metric
        runs = (
            f"/#/experiments/{self.experiment}/runs?workflowType=machine_learning"
            f"&orderByKey={quote(f'metrics.`{ranked}`')}&orderByAsc={ascending}"
        )
        return {"runs": runs, "charts": f"{runs}&compareRunsMode=CHART"}

    def page_of(self, run_id: str) -> str:
        """A run's page in MLflow's UI, from its root."""
        return f"/#/experiments/{self.experiment}/runs/{run_id}"

    def look(self, known: Collection[str]) -> Index:
        """All runs of the study, by one search.

        Args:
            known: Runs that the ledger says it has made. One of them that does not say so itself
                has lost its tags, or its place, and is one too many.
        """
        index = Index()
        if self.experiment is None:
            return index
        found_runs = sorted(self._search(), key=lambda found: found.run_id)
        for run_id in sorted(set(known) - {found.run_id for found in found_runs}):
            if self._strayed(run_id):
                index.surplus.append((run_id, "it does not say whose it is"))
        for found in found_runs:
            number, place = found.tags.get(NUMBER), found.tags.get(ROUND, "")
            above = PARENT not in found.tags or self._study.given is not None
            if place.isdecimal() and number is None and not above:
                if int(place) in index.rounds:
                    index.surplus.append((found.run_id, f"a second run of round {place}"))
                else:
                    index.rounds[int(place)] = found
            elif number is None and above:
                if index.parent is None:
                    index.parent = found
                else:
                    index.surplus.append((found.run_id, "a second parent run"))
            elif number is None or not number.isdecimal():
                index.surplus.append((found.run_id, "a run without a trial's number"))
            elif int(number) in index.children:
                index.surplus.append((found.run_id, f"a second run of trial {number}"))
            else:
                index.children[int(number)] = found
        return index

    def mendable(self, found: Found, trial: Trial) -> bool:
        """Whether a run is this trial's and may be written on: it holds nothing that is wrong."""
        params = self._content.params(trial)
        return (
            not found.ended
            and found.start == milliseconds(trial.started)
            and found.tags.get(SEED) == str(trial.seed)
            and all(params.get(key, value) == value for key, value in found.params.items())
        )

    def complete(self, found: Found, trial: Trial, curve: Curve, steps: Steps) -> bool:
        """Whether a run holds all of a finished trial, as far as a search shows it."""
        tags, params = self._content.tags(trial), self._content.params(trial)
        names = self._record.metrics
        last = dict(zip(names, curve[-1].tolist(), strict=True)) if len(curve) else {}
        if len(steps):
            last[STEP_LOSS] = float(steps[-1])
        if trial.folds:
            last[FOLD_VALUE] = trial.folds[-1].value
        if trial.value is not None:
            last["value"] = trial.value
        return (
            found.status == STATUS[trial.state]
            and found.start == milliseconds(trial.started)
            and found.end == milliseconds(trial.ended or trial.started)
            and all(found.tags.get(key) == tags.get(key) for key in (STATE, SEED, WEIGHTS, REASON))
            and all(found.params.get(key) == value for key, value in params.items())
            and all(found.metrics.get(key) == value for key, value in last.items())
        )

    def shown(self, found: Found) -> set[Point]:
        """All metrics of a trial's run: every point, of which a search shows the last alone."""
        names = {*self._record.metrics, STEP_LOSS, "value"} & found.metrics.keys()
        with self._mlflow.failures():
            return {
                point
                for name in sorted(names)
                for point in points(self._client.get_metric_history(found.run_id, name))
            }

    def has_weights(self, run_id: str) -> bool:
        """Whether the weights are among a run's artifacts."""
        with self._mlflow.failures():
            return any(a.path == WEIGHTS_FILE for a in self._client.list_artifacts(run_id))

    def _found_experiment(self) -> Experiment | None:
        """The study's experiment, a deleted one, too. It may have been renamed meanwhile."""
        parent = self._run(self._record.mlflow_run_id)
        if parent is not None:
            return self._client.get_experiment(parent.info.experiment_id)
        wanted = f"tags.`{LEDGER}` = '{self._content.identity[LEDGER]}'"
        for experiment in self._client.search_experiments(filter_string=wanted):
            if experiment.tags.get(STUDY) == self._study.name:
                return experiment
        return self._named()

    def _named(self) -> Experiment | None:
        """The experiment that has the name of the study's, a deleted one, too."""
        name = self._study.tracking.experiment or self._study.name
        return self._client.get_experiment_by_name(name)

    def _run(self, run_id: str | None) -> Run | None:
        """A run, a deleted one, too; None if there is none."""
        from mlflow.exceptions import MlflowException

        if run_id is None:
            return None
        try:
            return self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def _strayed(self, run_id: str) -> bool:
        """Whether a run that a search does not show is there all the same."""
        with self._mlflow.failures():
            run = self._run(run_id)
        return run is not None and run.info.lifecycle_stage == "active"

    def _search(self) -> Iterator[Found]:
        mine = self._content.identity
        token = None
        while True:
            with self._mlflow.failures():
                page = self._client.search_runs(
                    [str(self.experiment)],
                    f"tags.`{LEDGER}` = '{mine[LEDGER]}'",
                    max_results=_PAGE,
                    page_token=token,
                )
            for found in map(_found, page):
                if mine.items() <= found.tags.items():
                    yield found
            token = page.token
            if not token:
                return


def _found(run: Run) -> Found:
    return Found(
        run_id=run.info.run_id,
        status=run.info.status,
        start=run.info.start_time,
        end=run.info.end_time,
        tags=run.data.tags,
        params=run.data.params,
        metrics=run.data.metrics,
    )
