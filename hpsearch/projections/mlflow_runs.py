"""How are a study's runs written to MLflow?

One experiment a study, a parent run for the study, a child run for each trial. Every write can be
repeated: what is written follows from the ledger, and artifacts are written over. A run's status
and end time come last.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from hpsearch.ledger.records import State
from hpsearch.projections.mlflow_content import (
    ENDED,
    ENVIRONMENT_FOLDER,
    FRONT,
    REPORT_FOLDER,
    REPRODUCED,
    ROUND,
    WEIGHTS_FILE,
)
from hpsearch.projections.mlflow_look import Reader
from hpsearch.projections.mlflow_tables import folder as local
from hpsearch.projections.mlflow_tables import insert
from hpsearch.projections.round_summary import RoundSummary
from hpsearch.projections.run_content import (
    NOTE,
    PARENT,
    STATE,
    STATUS,
    STUDY,
    TAG,
    Content,
    TrialRun,
)
from hpsearch.projections.summary import Summary
from hpsearch.seams import seam
from hpsearch.settings import Settings
from hpsearch.study.config import dumps
from hpsearch.trust.environment import DIFF

if TYPE_CHECKING:
    from mlflow.entities import Metric, Param, Run

    from hpsearch.projections.run_content import Point


class Tracking(Reader):
    """One study's runs in MLflow, looked at and written.

    Raises:
        TrackingError: From here and from every method, if MLflow cannot be reached or refuses.
    """

    def __init__(self, settings: Settings, content: Content, *, create: bool = True) -> None:
        super().__init__(settings, content)
        if create:
            with self._mlflow.failures():
                self.experiment = self._own_experiment()

    def begin(self, wanted: TrialRun, run_id: str | None) -> str:
        """Show a trial that is running, by the run that is there or a new one. Returns its id."""
        with self._mlflow.failures():
            if run_id is None:
                run_id = self._create(wanted).info.run_id
            else:
                self._client.update_run(run_id, status="RUNNING")
                self._client.set_tag(run_id, STATE, State.RUNNING.value)
            self._client.log_batch(run_id, params=_params(wanted))
            return run_id

    def show(self, run_id: str, metrics: Sequence[Metric]) -> None:
        """Show how far a trial has come that is running."""
        with self._mlflow.failures():
            self._client.log_batch(run_id, metrics)

    def release(self, run_id: str) -> None:
        """Show that nobody runs a trial at present."""
        with self._mlflow.failures():
            self._client.set_tag(run_id, STATE, State.WAITING.value)
            self._client.set_terminated(run_id, "KILLED", round(time.time() * 1000))

    def write(
        self, wanted: TrialRun, run_id: str | None = None, shown: Collection[Point] = frozenset()
    ) -> str:
        """Write all of a finished trial, to a run that is there or a new one. Returns its id.

        Args:
            wanted: What the run is to hold.
            run_id: The run; None for a new one.
            shown: What it holds of the metrics.
        """
        from mlflow.entities import RunTag

        if run_id is None and (tables := self._mlflow.tables) is not None:
            with self._mlflow.failures():
                made = insert(tables, self._here(), wanted, self._content.dataset())
            if made is not None:
                return made
        metrics = [each for point, each in wanted.metrics().items() if point not in shown]
        with self._mlflow.failures():
            tags: list[RunTag] = []
            folder = None
            if run_id is None:  # the tags come with it, a write less
                run = self._create(wanted)
                run_id = run.info.run_id
                folder = None if self._mlflow.server else local(run.info.artifact_uri)
            else:
                tags = [RunTag(key, value) for key, value in wanted.tags.items()]
            seam("run-created")
            self._client.log_batch(run_id, metrics, _params(wanted), tags)
            for name, content in wanted.files.items():
                if folder:  # 3 ms less than asking for the run again, to find the same folder
                    folder.mkdir(parents=True, exist_ok=True)
                    (folder / name).write_text(content, encoding="utf-8")
                else:
                    self._client.log_text(run_id, content, name)
            self._log_dataset(run_id)
            seam("run-logged")
            self._client.set_terminated(run_id, STATUS[wanted.state], wanted.end)
            seam("run-ended")
            return run_id

    def adopt(self, run_id: str, parent: str) -> None:
        """Put a trial's run under another parent."""
        with self._mlflow.failures():
            self._client.set_tag(run_id, PARENT, parent)

    def write_parent(self, run_id: str | None, summary: Summary) -> str:
        """Write the study's own run. Returns its id."""
        from mlflow.entities import Metric, Param, RunTag

        start = self._content.start
        with self._mlflow.failures():
            if run_id is None:
                tags = self._content.common() | {"mlflow.runName": self._content.name}
                run_id = self._client.create_run(
                    self._here(), start_time=start, tags=tags, run_name=self._content.name
                ).info.run_id
            told = {NOTE: summary.note}
            if summary.ended is not None:
                told[ENDED] = summary.ended
            if summary.front:
                told[FRONT] = summary.front
            if summary.above is not None:
                told[PARENT] = summary.above
            if summary.reproduced is not None:
                told[REPRODUCED] = str(summary.reproduced).lower()
            self._client.log_batch(
                run_id,
                [
                    Metric(key, value, start + summary.step, summary.step)
                    for key, value in summary.metrics.items()
                ],
                [Param(key, value) for key, value in self._content.params().items()],
                [RunTag(key, value[:TAG]) for key, value in told.items()],
            )
            self._log_dataset(run_id)
            if summary.definition is not None:
                self._client.log_text(run_id, summary.definition, "study.toml")
            if summary.status == "RUNNING":
                self._client.update_run(run_id, status="RUNNING")
            else:
                self._client.set_terminated(run_id, summary.status, summary.end)
            return run_id

    def write_environment(self, run_id: str, digest: str, content: Mapping[str, Any]) -> None:
        """Keep what an environment consists of with the study's own run, over what is there."""
        plain = {key: value for key, value in content.items() if key != DIFF}
        place = f"{ENVIRONMENT_FOLDER}/{digest}"
        with self._mlflow.failures():
            self._client.log_text(run_id, dumps(plain), f"{place}.json")
            if DIFF in content:
                self._client.log_text(run_id, str(content[DIFF]), f"{place}.diff")

    def write_round(self, run_id: str | None, parent: str, summary: RoundSummary) -> str:
        """Write a round's run. Returns its id."""
        from mlflow.entities import Metric, Param, RunTag

        with self._mlflow.failures():
            if run_id is None:
                tags = self._content.common() | {
                    "mlflow.runName": summary.name,
                    PARENT: parent,
                    ROUND: str(summary.number),
                }
                run_id = self._client.create_run(
                    self._here(), start_time=summary.start, tags=tags, run_name=summary.name
                ).info.run_id
            self._client.log_batch(
                run_id,
                [
                    Metric(key, value, summary.start + summary.step, summary.step)
                    for key, value in summary.metrics.items()
                ],
                [Param(path, told) for path, told in summary.params.items()],
                [RunTag(NOTE, summary.note[:TAG]), RunTag(PARENT, parent)],
            )
            if summary.status == "RUNNING":
                self._client.update_run(run_id, status="RUNNING")
            else:
                self._client.set_terminated(run_id, summary.status, summary.end)
            return run_id

    def write_weights(self, run_id: str, state: Mapping[str, Any] | None, identical: bool) -> None:
        """Say whether a trial reproduced; ``state``, if given, becomes its artifact."""
        with self._mlflow.failures():
            if state is not None:
                from safetensors.numpy import save_file

                with tempfile.TemporaryDirectory() as folder:
                    file = Path(folder) / WEIGHTS_FILE
                    save_file(dict(state), file)
                    self._client.log_artifact(run_id, str(file))
            self._client.set_tag(run_id, REPRODUCED, str(identical).lower())

    def write_report(self, run_id: str, files: Iterable[Path]) -> None:
        """Put files among a run's artifacts, over those of the same names."""
        with self._mlflow.failures():
            for file in files:
                self._client.log_artifact(run_id, str(file), REPORT_FOLDER)

    def delete(self, run_id: str) -> None:
        """Remove a run, in MLflow's sense: it can be restored there."""
        with self._mlflow.failures():
            self._client.delete_run(run_id)

    def delete_all(self, known: Collection[str]) -> None:
        """Remove the study's runs, and its experiment unless it holds those of others.

        Args:
            known: As ``look`` takes them.
        """
        index = self.look(known)
        children = [found.run_id for found in index.children.values()]
        parents = [found.run_id for found in index.rounds.values()]
        parents += [index.parent.run_id] if index.parent else []
        for run_id in [run_id for run_id, _ in index.surplus] + children + parents:
            self.delete(run_id)
        if self.experiment is None:
            return
        with self._mlflow.failures():
            experiment = self._client.get_experiment(self.experiment)
            mine = experiment.tags.get(STUDY) == self._content.name
            if mine and not self._client.search_runs([self.experiment], max_results=1):
                # A deleted experiment keeps its name, so that no other could bear it.
                name = f"{self._content.name} (deleted {uuid4().hex[:8]})"
                self._client.rename_experiment(self.experiment, name)
                self._client.delete_experiment(self.experiment)

    def _create(self, wanted: TrialRun) -> Run:
        return self._client.create_run(
            self._here(), start_time=wanted.start, tags=dict(wanted.tags), run_name=wanted.name
        )

    def _log_dataset(self, run_id: str) -> None:
        dataset = self._content.dataset()
        if dataset is not None:
            self._client.log_inputs(run_id, [dataset])

    def _here(self) -> str:
        assert self.experiment is not None
        return self.experiment

    def _own_experiment(self) -> str:
        """The study's experiment, made or restored where need be."""
        from mlflow.exceptions import MlflowException

        experiment = self._found_experiment()
        if experiment is None:
            # Without this tag the UI takes an experiment for one of generative AI.
            tags = {"mlflow.experimentKind": "custom_model_development"}
            if self._content.experiment is None:
                tags |= self._content.tags
            name = self._content.experiment or self._content.name
            place = None if self._mlflow.server else self._settings.artifact_location
            try:
                return str(self._client.create_experiment(name, place, tags))
            except MlflowException:  # another study's projector was quicker
                experiment = self._named()
                if experiment is None:
                    raise
        if experiment.lifecycle_stage == "deleted":
            # Neither its name is free nor can it be renamed, so it comes back, its runs with it;
            # what of them is not the ledger's goes.
            self._client.restore_experiment(experiment.experiment_id)
        if "mlflow.experimentKind" not in experiment.tags:
            self._client.set_experiment_tag(
                experiment.experiment_id, "mlflow.experimentKind", "custom_model_development"
            )
        return str(experiment.experiment_id)


def _params(wanted: TrialRun) -> list[Param]:
    from mlflow.entities import Param

    return [Param(key, value) for key, value in {**wanted.shared, **wanted.params}.items()]
