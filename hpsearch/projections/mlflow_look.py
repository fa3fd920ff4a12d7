"""Which runs of a study are in MLflow, and are they as they should be?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from hpsearch.projections.mlflow_client import Connection
from hpsearch.projections.mlflow_content import ROUND, WEIGHTS_FILE
from hpsearch.projections.run_content import (
    LEDGER,
    NUMBER,
    PARENT,
    REASON,
    SEED,
    SHARED_VIEW,
    STATE,
    STATUS,
    STUDY,
    VIEW,
    WEIGHTS,
    Content,
    Point,
    TrialRun,
    bits,
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

    def __init__(self, settings: Settings, content: Content) -> None:
        self._settings = settings
        self._content = content
        self._mlflow = Connection(settings)
        self._client = self._mlflow.client
        self.where = self._mlflow.where
        with self._mlflow.failures():
            found = self._found_experiment()
        self._viewed = found is not None and SHARED_VIEW in found.tags
        self.experiment = (
            str(found.experiment_id) if found and found.lifecycle_stage != "deleted" else None
        )

    @property
    def pages(self) -> dict[str, str]:
        """The study's pages in MLflow's UI, from its root; none while there is no experiment.

        The runs are sorted by the metric, the best first; an experiment of the study's own says
        which columns they are shown with. The UI goes by ``workflowType``: it opens
        an experiment that is named without it as one of generative AI, whatever the experiment's
        kind, until a person has chosen otherwise once.
        """
        if self.experiment is None:
            return {}
        ascending = str(not self._content.maximize).lower()
        order = f"&orderByKey={quote(f'metrics.`{self._content.metric}`')}&orderByAsc={ascending}"
        # The UI takes no notice of a view where the address says itself how to sort.
        shown = f"&viewStateShareKey={VIEW}" if self._viewed else order
        runs = f"/#/experiments/{self.experiment}/runs?workflowType=machine_learning{shown}"
        return {"runs": runs, "charts": f"{runs}&compareRunsMode=CHART"}

    def page_of(self, run_id: str) -> str:
        """A run's page in MLflow's UI, from its root."""
        return f"/#/experiments/{self.experiment}/runs/{run_id}"

    def look(self, known: Collection[str] = (), number: int | None = None) -> Index:
        """All runs of the study, or those of one trial, by one search.

        Args:
            known: Runs that the ledger says it has made. One of them that does not say so itself
                has lost its tags, or its place, and is one too many. Of two runs of one trial,
                and of two parent runs, the one that the ledger knows counts.
            number: The trial; None for all.
        """
        index = Index()
        if self.experiment is None:
            return index
        first = {*known, self._content.known_as}
        found_runs = sorted(
            self._search(number), key=lambda run: (run.run_id not in first, run.run_id)
        )
        for run_id in sorted(set(known) - {found.run_id for found in found_runs}):
            if self._strayed(run_id):
                index.surplus.append((run_id, "it does not say whose it is"))
        for found in found_runs:
            its, place = found.tags.get(NUMBER), found.tags.get(ROUND, "")
            above = PARENT not in found.tags or self._content.given
            if place.isdecimal() and its is None and not above:
                if int(place) in index.rounds:
                    index.surplus.append((found.run_id, f"a second run of round {place}"))
                else:
                    index.rounds[int(place)] = found
            elif its is None and above:
                if index.parent is None:
                    index.parent = found
                else:
                    index.surplus.append((found.run_id, "a second parent run"))
            elif its is None or not its.isdecimal():
                index.surplus.append((found.run_id, "a run without a trial's number"))
            elif int(its) in index.children:
                index.surplus.append((found.run_id, f"a second run of trial {its}"))
            else:
                index.children[int(its)] = found
        return index

    def mendable(self, found: Found, wanted: TrialRun) -> bool:
        """Whether a run is this trial's and may be written on: it holds nothing that is wrong."""
        params = wanted.params
        return (
            not found.ended
            and found.start == wanted.start
            and found.tags.get(SEED) == wanted.tags.get(SEED)
            and all(params.get(key, value) == value for key, value in found.params.items())
        )

    def complete(self, found: Found, wanted: TrialRun) -> bool:
        """Whether a run holds all of a finished trial, as far as a search shows it."""
        tags, metrics = wanted.tags, found.metrics
        last = {key: float(values[-1]) for key, (_, values) in wanted.series.items() if len(values)}
        return (
            found.status == STATUS[wanted.state]
            and (found.start, found.end) == (wanted.start, wanted.end)
            and all(found.tags.get(key) == tags.get(key) for key in (STATE, SEED, WEIGHTS, REASON))
            and all(found.params.get(key) == value for key, value in wanted.params.items())
            and all(k in metrics and bits(metrics[k]) == bits(v) for k, v in last.items())
        )

    def shown(self, found: Found) -> set[Point]:
        """All metrics of a trial's run: every point, of which a search shows the last alone."""
        names = self._content.names & found.metrics.keys()
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
        parent = self._run(self._content.known_as)
        if parent is not None:
            return self._client.get_experiment(parent.info.experiment_id)
        wanted = f"tags.`{LEDGER}` = '{self._content.identity[LEDGER]}'"
        for experiment in self._client.search_experiments(filter_string=wanted):
            if experiment.tags.get(STUDY) == self._content.name:
                return experiment
        return self._named()

    def _named(self) -> Experiment | None:
        """The experiment that has the name of the study's, a deleted one, too."""
        name = self._content.experiment or self._content.name
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

    def _search(self, number: int | None) -> Iterator[Found]:
        mine = self._content.identity
        wanted = f"tags.`{LEDGER}` = '{mine[LEDGER]}'"
        if number is not None:
            wanted += f" AND tags.`{NUMBER}` = '{number}'"
        token = None
        while True:
            with self._mlflow.failures():
                page = self._client.search_runs(
                    [str(self.experiment)],
                    wanted,
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
