"""What does MLflow hold of a study, and how is it written there?

One experiment a study, a parent run for the study, a child run for each trial. This is the only
module that imports mlflow, and only when it is used: that takes a second. It goes by
``MlflowClient`` alone, so that a local database and a server are written alike, and no active run
or tracking URI of the process is touched.

Every write can be repeated: timestamps are fixed by the ledger, so the same metric adds no row,
params and tags are the same, artifacts are written over. A run's status and end time come last.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from socket import gaierror
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname
from uuid import uuid4

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from hpsearch.errors import TrackingDiskError, TrackingError
from hpsearch.ledger.records import CURVES, STEP_LOSS, Curve, State, Steps, Trial
from hpsearch.ledger.store import StudyRecord
from hpsearch.seams import seam
from hpsearch.settings import Settings
from hpsearch.study import file as study_file
from hpsearch.study.config import dumps

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

STUDY, LEDGER, NUMBER = "hpsearch.study", "hpsearch.ledger", "hpsearch.number"
STATE, SEED, REASON = "hpsearch.state", "hpsearch.seed", "hpsearch.reason"
WEIGHTS, REPRODUCED = "hpsearch.weights_sha256", "hpsearch.reproduced"
PARENT, NOTE = "mlflow.parentRunId", "mlflow.note.content"
WEIGHTS_FILE, REPORT_FOLDER = "weights.safetensors", "report"

STATUS = {State.COMPLETE: "FINISHED", State.PRUNED: "KILLED", State.FAIL: "FAILED"}
"""MLflow's status of a finished trial."""

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # what goes wrong is raised, and told once
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # An outage is to be noticed within seconds. A request is not sent again by itself, either: when
    # the answer to runs/create is lost, the run may be there, and sending it again makes a second.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "GIT_PYTHON_REFRESH": "quiet",
}
_PARAM, _TAG = 6000, 8000
"""Characters that MLflow keeps of a param and of a tag; it would cut the rest off silently."""
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
    children: dict[int, Found] = field(default_factory=dict)
    surplus: list[tuple[str, str]] = field(default_factory=list)
    """Runs that are one too many: id, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What the parent run says of the study."""

    status: str
    end: int | None
    note: str
    metrics: Mapping[str, float]
    step: int
    """Trials finished; where in ``metrics`` this one stands."""
    reproduced: bool | None
    definition: str
    """The study file."""

    def text(self) -> str:
        """One text for one summary."""
        return dumps(asdict(self))


class Tracking:
    """One study's runs in MLflow.

    Raises:
        TrackingError: From here and from every method, if MLflow cannot be reached or refuses.
    """

    def __init__(self, settings: Settings, record: StudyRecord, *, create: bool = True) -> None:
        for key, value in _ENVIRONMENT.items():
            os.environ.setdefault(key, value)  # MLflow reads some when it is imported
        self._settings = settings
        self._record = record
        self._study = record.study
        self._user = _user()
        self._server = settings.tracking_uri.startswith("http")
        file = _file(settings.tracking_uri)
        # On a server another ledger may hold a study of the same name, whose runs are not ours to
        # delete. A workspace's own database holds nothing but this workspace's.
        self._shared = file is None or settings.home not in file.parents
        self.where = _without_password(settings.tracking_uri)
        with self._failures():
            self._client = _open(settings)
            self.experiment = self._find_experiment(create)

    # -- looking

    def look(self) -> Index:
        """All runs of the study, by one search."""
        index = Index()
        if self.experiment is None:
            return index
        for found in sorted(self._search(), key=lambda found: found.run_id):
            number = found.tags.get(NUMBER)
            if number is None and PARENT not in found.tags:
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
        params = self._params(trial)
        return (
            not found.ended
            and found.start == _milliseconds(trial.started)
            and found.tags.get(SEED) == str(trial.seed)
            and all(params.get(key, value) == value for key, value in found.params.items())
        )

    def complete(self, found: Found, trial: Trial, curve: Curve, steps: Steps) -> bool:
        """Whether a run holds all of a finished trial, as far as a search shows it."""
        tags, params = self._tags(trial), self._params(trial)
        last = dict(zip(CURVES, curve[-1].tolist(), strict=True)) if len(curve) else {}
        if len(steps):
            last[STEP_LOSS] = float(steps[-1])
        if trial.value is not None:
            last["value"] = trial.value
        return (
            found.status == STATUS[trial.state]
            and found.start == _milliseconds(trial.started)
            and found.end == _milliseconds(trial.ended or trial.started)
            and all(found.tags.get(key) == tags.get(key) for key in (STATE, SEED, WEIGHTS, REASON))
            and all(found.params.get(key) == value for key, value in params.items())
            and all(found.metrics.get(key) == value for key, value in last.items())
        )

    def has_weights(self, run_id: str) -> bool:
        """Whether the weights are among a run's artifacts."""
        with self._failures():
            return any(a.path == WEIGHTS_FILE for a in self._client.list_artifacts(run_id))

    # -- writing

    def begin(self, trial: Trial, run_id: str | None, parent: str) -> str:
        """Show a trial that is running. Returns the run's id."""
        from mlflow.entities import Param

        with self._failures():
            if run_id is None:
                run_id = self._create(trial, parent).info.run_id
            else:
                self._client.update_run(run_id, status="RUNNING")
                self._client.set_tag(run_id, STATE, State.RUNNING.value)
            params = [Param(key, value) for key, value in self._params(trial).items()]
            self._client.log_batch(run_id, params=params)
            return run_id

    def release(self, run_id: str) -> None:
        """Show that nobody runs a trial at present."""
        with self._failures():
            self._client.set_tag(run_id, STATE, State.WAITING.value)
            self._client.set_terminated(run_id, "KILLED", round(time.time() * 1000))

    def write(
        self,
        trial: Trial,
        curve: Curve,
        steps: Steps,
        run_id: str | None,
        parent: str,
        commit: str | None,
    ) -> str:
        """Write all of a finished trial, to a run that is there or a new one. Returns its id."""
        from mlflow.entities import Param, RunTag

        with self._failures():
            tags: list[RunTag] = []
            folder = None
            if run_id is None:  # the tags come with it, a write less
                run = self._create(trial, parent, commit)
                run_id, folder = run.info.run_id, self._folder(run)
            else:
                known = self._tags(trial, parent, commit)
                tags = [RunTag(key, value) for key, value in known.items()]
            seam("run-created")
            params = [Param(key, value) for key, value in self._params(trial).items()]
            self._client.log_batch(run_id, self._metrics(trial, curve, steps), params, tags)
            if trial.params.keys() == self._study.space.keys():
                resolved = self._study.resolve(trial.params, trial.seed)
                text = study_file.toml(self._study.of_trial(trial.number, resolved))
                if folder:  # 3 ms less than asking for the run again, to find the same folder
                    folder.mkdir(parents=True, exist_ok=True)
                    (folder / "config.toml").write_text(text, encoding="utf-8")
                else:
                    self._client.log_text(run_id, text, "config.toml")
            self._client.log_inputs(run_id, [self._dataset()])
            seam("run-logged")
            ended = _milliseconds(trial.ended or trial.started)
            self._client.set_terminated(run_id, STATUS[trial.state], ended)
            seam("run-ended")
            return run_id

    def adopt(self, run_id: str, parent: str) -> None:
        """Put a trial's run under another parent."""
        with self._failures():
            self._client.set_tag(run_id, PARENT, parent)

    def write_parent(self, run_id: str | None, summary: Summary) -> str:
        """Write the study's own run. Returns its id."""
        from mlflow.entities import Metric, Param, RunTag

        start = _milliseconds(self._record.created)
        with self._failures():
            if run_id is None:
                tags = self._common() | {"mlflow.runName": self._study.name}
                run_id = self._client.create_run(
                    self._here(), start_time=start, tags=tags, run_name=self._study.name
                ).info.run_id
            told = {NOTE: summary.note}
            if summary.reproduced is not None:
                told[REPRODUCED] = str(summary.reproduced).lower()
            self._client.log_batch(
                run_id,
                [
                    Metric(key, value, start + summary.step, summary.step)
                    for key, value in summary.metrics.items()
                ],
                [Param(key, value) for key, value in _fixed(self._record).items()],
                [RunTag(key, value[:_TAG]) for key, value in told.items()],
            )
            self._client.log_text(run_id, summary.definition, "study.toml")
            if summary.status == "RUNNING":
                self._client.update_run(run_id, status="RUNNING")
            else:
                self._client.set_terminated(run_id, summary.status, summary.end)
            return run_id

    def write_weights(self, run_id: str, state: Mapping[str, Any] | None, identical: bool) -> None:
        """Say whether a trial reproduced; ``state``, if given, becomes its artifact."""
        with self._failures():
            if state is not None:
                from safetensors.numpy import save_file

                with tempfile.TemporaryDirectory() as folder:
                    file = Path(folder) / WEIGHTS_FILE
                    save_file(dict(state), file)
                    self._client.log_artifact(run_id, str(file))
            self._client.set_tag(run_id, REPRODUCED, str(identical).lower())

    def write_report(self, run_id: str, files: Iterable[Path]) -> None:
        """Put files among a run's artifacts, over those of the same names."""
        with self._failures():
            for file in files:
                self._client.log_artifact(run_id, str(file), REPORT_FOLDER)

    def delete(self, run_id: str) -> None:
        """Remove a run, in MLflow's sense: it can be restored there."""
        with self._failures():
            self._client.delete_run(run_id)

    def delete_all(self) -> None:
        """Remove the study's runs, and its experiment unless it holds those of others."""
        index = self.look()
        children = [found.run_id for found in index.children.values()]
        parents = [index.parent.run_id] if index.parent else []
        for run_id in [run_id for run_id, _ in index.surplus] + children + parents:
            self.delete(run_id)
        if self.experiment is None:
            return
        with self._failures():
            experiment = self._client.get_experiment(self.experiment)
            mine = experiment.tags.get(STUDY) == self._study.name
            if mine and not self._client.search_runs([self.experiment], max_results=1):
                # A deleted experiment keeps its name, so that no other could bear it.
                name = f"{self._study.name} (deleted {uuid4().hex[:8]})"
                self._client.rename_experiment(self.experiment, name)
                self._client.delete_experiment(self.experiment)

    # -- what is written

    def _common(self) -> dict[str, str]:
        given = self._study.tracking.tags.items()
        own = ("hpsearch.", "mlflow.")  # by these a run is found, and told from others
        return {key: value[:_TAG] for key, value in given if not key.startswith(own)} | {
            STUDY: self._study.name,
            LEDGER: repr(self._record.created),
            "mlflow.user": self._user,
            "mlflow.source.name": "hpsearch",
            "mlflow.source.type": "LOCAL",
        }

    def _tags(
        self, trial: Trial, parent: str | None = None, commit: str | None = None
    ) -> dict[str, str]:
        known = {
            PARENT: parent,
            NUMBER: str(trial.number),
            STATE: trial.state.value,
            SEED: str(trial.seed),
            WEIGHTS: trial.weights_sha256,
            REASON: trial.reason and trial.reason[:_TAG],
            "mlflow.source.git.commit": commit,
        }
        return self._common() | {key: value for key, value in known.items() if value}

    def _params(self, trial: Trial) -> dict[str, str]:
        return {path: _text(value) for path, value in trial.params.items()} | {
            "seed": str(trial.seed)
        }

    def _metrics(self, trial: Trial, curve: Curve, steps: Steps) -> list[Any]:
        from mlflow.entities import Metric

        # Fixed times: a metric that is written again is the same, and adds nothing.
        start = _milliseconds(trial.started)
        metrics = [
            Metric(name, value, start + epoch, epoch)
            for epoch, row in enumerate(curve.tolist(), start=1)
            for name, value in zip(CURVES, row, strict=True)
        ]
        metrics += [
            Metric(STEP_LOSS, loss, start + step, step)
            for step, loss in enumerate(steps.tolist(), start=1)
        ]
        if trial.value is not None:
            metrics.append(Metric("value", trial.value, start + len(curve), len(curve)))
        return metrics

    def _dataset(self) -> Any:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        digests = dict(self._record.data_digests)
        spec = self._study.data.dataset
        dataset = Dataset(
            name=spec[:500],
            digest=digests.get("dataset", "")[:36],
            source_type="local",
            source=json.dumps({"uri": spec}),
            profile=dumps({f"{part}_sha256": digest for part, digest in digests.items()}),
        )
        return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])

    def _create(self, trial: Trial, parent: str, commit: str | None = None) -> Run:
        width = len(str(self._study.search.trials - 1))
        return self._client.create_run(
            self._here(),
            start_time=_milliseconds(trial.started),
            tags=self._tags(trial, parent, commit),
            run_name=f"trial {trial.number:0{width}}",
        )

    def _folder(self, run: Run) -> Path | None:
        """Where a run's artifacts are, if MLflow has no server that keeps them."""
        uri = urlsplit(run.info.artifact_uri)
        if self._server or uri.scheme != "file" or uri.netloc:
            return None
        return Path(url2pathname(uri.path))

    # -- where it is written

    @property
    def page(self) -> str | None:
        """The study's page in MLflow's UI, from its root; None while there is no experiment.

        The UI goes by this parameter: it opens an experiment that is named without it as one of
        generative AI, whatever the experiment's kind, until a person has chosen otherwise once.
        """
        if self.experiment is None:
            return None
        return f"/#/experiments/{self.experiment}/runs?workflowType=machine_learning"

    def _here(self) -> str:
        assert self.experiment is not None
        return self.experiment

    def _find_experiment(self, create: bool) -> str | None:
        from mlflow.exceptions import MlflowException

        own = self._study.tracking.experiment is None
        name = self._study.tracking.experiment or self._study.name
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            if not create:
                return None
            # Without this tag the UI takes an experiment for one of generative AI.
            tags = {"mlflow.experimentKind": "custom_model_development"}
            if own:
                tags[STUDY] = self._study.name
            place = None if self._server else self._settings.artifacts.as_uri()
            try:
                return str(self._client.create_experiment(name, place, tags))
            except MlflowException:  # another study's projector was quicker
                experiment = self._client.get_experiment_by_name(name)
                if experiment is None:
                    raise
        if experiment.lifecycle_stage == "deleted":
            if not create:
                return None
            # Neither its name is free nor can it be renamed, so it comes back, its runs with it;
            # what of them is not the ledger's goes.
            self._client.restore_experiment(experiment.experiment_id)
        if create and "mlflow.experimentKind" not in experiment.tags:
            self._client.set_experiment_tag(
                experiment.experiment_id, "mlflow.experimentKind", "custom_model_development"
            )
        return str(experiment.experiment_id)

    def _search(self) -> Iterator[Found]:
        name = self._study.name
        wanted = "" if "'" in name else f"tags.`{STUDY}` = '{name}'"
        mine = repr(self._record.created)
        token = None
        while True:
            with self._failures():
                page = self._client.search_runs(
                    [self._here()], wanted, max_results=_PAGE, page_token=token
                )
            for found in map(_found, page):
                ledger = found.tags.get(LEDGER, mine)
                if found.tags.get(STUDY) == name and (ledger == mine or not self._shared):
                    yield found
            token = page.token
            if not token:
                return

    @contextmanager
    def _failures(self) -> Iterator[None]:
        from mlflow.exceptions import MlflowException
        from requests import RequestException

        try:
            yield
        except (
            MlflowException,
            RequestException,
            SQLAlchemyError,
            sqlite3.Error,
            OSError,
        ) as error:
            kind = TrackingError if self._server or not _of_files(error) else TrackingDiskError
            raise kind(f"MLflow at {self.where}: {_said(error)}") from error


def _open(settings: Settings) -> MlflowClient:
    from mlflow import MlflowClient

    file = _file(settings.tracking_uri)
    if file is None:
        return MlflowClient(settings.tracking_uri)
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):
        if not file.exists() or not file.stat().st_size:
            _make(file, settings)
        # MLflow would try for two minutes to open what is no database.
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA schema_version")
        client = MlflowClient(settings.tracking_uri)
        client.get_experiment_by_name("Default")  # the first use still writes; one at a time
        return client


def _make(file: Path, settings: Settings) -> None:
    """Make MLflow's database beside its place and move it there, so that none is ever half made."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    # MLflow keeps an engine for each address as long as the process lives; one of a file that was
    # deleted would go on writing to what nobody can read any more.
    engine = SqlAlchemyStore._engine_map.get(settings.tracking_uri)
    if engine is not None:
        engine.dispose()
    draft = file.with_name(f"{file.name}.{uuid4().hex}")
    try:
        store: Any = SqlAlchemyStore  # MLflow does not type its constructor
        store(f"sqlite:///{draft}", settings.artifacts.as_uri()).engine.dispose()
        with closing(sqlite3.connect(draft)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait
        draft.rename(file)
    finally:
        draft.unlink(missing_ok=True)


def _file(uri: str) -> Path | None:
    """The file of an SQLite address."""
    if not uri.startswith("sqlite"):
        return None
    database = sa.make_url(uri).database
    return Path(database).absolute() if database else None


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


def _fixed(record: StudyRecord) -> dict[str, str]:
    """The study's fixed values by path. Not its number of trials: params cannot change."""
    study = record.study
    search = study.search.model_dump(exclude={"trials", "enqueue"})
    tables = {"data": study.data.model_dump(), **study.fixed, "search": search}
    return {
        f"{section}.{key}": _text(value)
        for section, table in tables.items()
        for key, value in table.items()
        if value is not None
    }


def _of_files(error: BaseException) -> bool:
    """Whether files could not be read or written, a database's among them."""
    kinds = (OSError, sqlite3.Error, OperationalError)
    return isinstance(error, kinds) or isinstance(_root(error), kinds)


def _root(error: BaseException) -> BaseException:
    while cause := error.__cause__ or error.__context__:
        error = cause
    return error


def _said(error: BaseException) -> str:
    """What went wrong, on a line of no great length."""
    root = _root(error)
    if isinstance(root, ConnectionError | TimeoutError | gaierror):
        return f"cannot be reached: {root.strerror or root}"
    return _without_password(" ".join(str(error).split()))[:300]


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//", text)


def _text(value: Any) -> str:
    """A param's text; a number's is the shortest that is read back as the same bits."""
    return (value if isinstance(value, str) else dumps(value))[:_PARAM]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
