"""How does a study of Optuna's own get into MLflow? Each trial exactly once, however it is run."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from hpsearch import settings
from hpsearch.errors import TrackingError, UsageError
from hpsearch.projections import buckets
from hpsearch.projections.optuna_runs import OptunaRuns
from hpsearch.redact import redact
from hpsearch.trust.optuna_studies import opened

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_logger = logging.getLogger("hpsearch")
_OURS = "hpsearch"
"""Attribute of a study that hpsearch keeps itself."""


class Tracker:
    """Writes the trials of a study to MLflow: a callback for ``Study.optimize``.

    Several threads may call it, and each process may have its own.

    Args:
        places: Where MLflow is.
        experiment: The experiment that the runs belong to; None for one of the study's own.
    """

    def __init__(self, places: settings.Settings, experiment: str | None) -> None:
        self._places = places
        self._experiment = experiment
        self._study: Study | None = None
        self._away = False
        self.written = 0
        """Trials that it has written."""

    def sync(self, study: Study) -> int:
        """Write all trials that have ended and are not in MLflow; returns how many.

        Raises:
            TrackingError: If MLflow cannot be reached or refuses.
        """
        written = self._of(study).sync().mlflow
        self.written += written
        return written

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        """Write a trial that has just ended. Trouble with MLflow is logged, and ends no search."""
        try:
            self.written += self._of(study).add(trial).mlflow
        except TrackingError as error:
            if not self._away:
                _logger.warning(
                    "%s; the search continues, and a later trial writes the rest", error
                )
            self._away = True
        else:
            self._away = False

    def _of(self, study: Study) -> OptunaRuns:
        if study is not self._study:
            if _OURS in study.user_attrs:
                raise UsageError(
                    f"{study.study_name!r} is a copy of a study of hpsearch, which is in MLflow "
                    f"already; `hpsearch sync` writes what is missing"
                )
            self._study, self._runs = study, OptunaRuns(study, self._places, self._experiment)
        return self._runs


def track(
    study: Study | str,
    name: str | None = None,
    *,
    tracking_uri: str | None = None,
    experiment: str | None = None,
) -> Tracker:
    """Write a study of Optuna's to MLflow: a run for the study, and one below it for each trial.

        >>> study = optuna.create_study(storage="sqlite:///optuna.db", study_name="mine")
        >>> study.optimize(objective, n_trials=100, callbacks=[hpsearch.track(study)])
        >>> hpsearch.track("sqlite:///optuna.db", "mine").written
        0

    What has ended is written at once; the returned callback writes each further trial. Whatever is
    killed on the way, and however many processes take part, each trial is there exactly once:
    tracking a study again writes what is missing, and nothing when nothing is.

    Args:
        study: The study, or the address of its storage: ``sqlite:///FILE``, another database's, or
            ``journal:FILE``.
        name: The study's name in that storage; needed if it holds several.
        tracking_uri: MLflow's; by default ``MLFLOW_TRACKING_URI``, else the workspace's own, which
            ``hpsearch ui`` shows.
        experiment: The experiment that the runs belong to; by default one with the study's name.

    Raises:
        StoreOpenError: If there is no such storage, or it cannot be read.
        UnknownStudyError: If it holds no study, or none of that name.
        UsageError: If it holds several studies and none was named, or the study is hpsearch's own,
            or artifacts are to be in a bucket that cannot be used.
        TrackingError: If MLflow cannot be reached or refuses.
    """
    places = settings.read()
    if tracking_uri is not None:
        places = replace(places, tracking_uri=tracking_uri)
    buckets.check(places)
    tracker = Tracker(places, experiment)
    if not isinstance(study, str):
        if name is not None:
            raise UsageError("name: belongs to the address of a storage, and this is a study")
        tracker.sync(study)
        return tracker
    import optuna

    with opened(study, name) as (storage, found):
        if len(found) > 1:
            names = ", ".join(repr(each.study_name) for each in found[:10])
            raise UsageError(f"{redact(study)}: holds several studies; name one of them: {names}")
        tracker.sync(optuna.load_study(study_name=found[0].study_name, storage=storage))
    return tracker
