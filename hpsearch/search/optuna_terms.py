"""What are a range and a finished trial called in Optuna's terms?"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from hpsearch.ledger.ranking import values
from hpsearch.ledger.records import Curve, State, Trial
from hpsearch.search.rungs import measured, rung_steps
from hpsearch.study.config import Choices, Range, Study, Value, dumps

optuna.logging.set_verbosity(optuna.logging.WARNING)  # for all who speak with Optuna
_filters = threading.RLock()
os.register_at_fork(  # a child has the filters of whoever holds it, and nobody who restores them
    before=_filters.acquire,
    after_in_parent=_filters.release,
    after_in_child=_filters.release,
)


@contextmanager
def without_warnings() -> Iterator[None]:
    """Ignore what Optuna warns of: experimental features, steps that do not divide a range.

    What is ignored is the process's, and not a thread's: one thread at a time changes it.
    """
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def distribution(open_: Range | Choices) -> BaseDistribution:
    """The range as Optuna knows it."""
    if isinstance(open_, Choices):
        return CategoricalDistribution([outward(open_, choice) for choice in open_.choices])
    if isinstance(open_.low, int) and isinstance(open_.high, int):
        return IntDistribution(open_.low, open_.high, log=open_.log, step=int(open_.step or 1))
    return FloatDistribution(open_.low, open_.high, log=open_.log, step=open_.step)


def distributions(study: Study) -> dict[str, BaseDistribution]:
    with without_warnings():  # a step that does not divide its range ends it earlier
        return {path: distribution(open_) for path, open_ in study.space.items()}


def directions(study: Study) -> list[StudyDirection]:
    """The directions of all objectives."""
    return [StudyDirection[direction.upper()] for direction in study.search.directions]


def frozen(
    study: Study,
    trial: Trial,
    curve: Curve,
    known: dict[str, BaseDistribution] | None = None,
    more: Collection[int] = (),
) -> FrozenTrial:
    """A finished trial as Optuna knows it, with the metric after the steps that anyone reads.

    These are the epochs after which the study's pruner was asked, and the last. Of a trial that
    trains several times they are its folds. To Optuna, a trial with several objectives has none.

    Args:
        study: The study it belongs to.
        trial: What the ledger says of it.
        curve: Its epochs.
        known: The study's distributions, where they are at hand.
        more: Other epochs to have the metric after.
    """
    known = known or distributions(study)
    rungs, shown = rung_steps(study), {len(curve), *more}
    several = trial.state is State.COMPLETE and bool(study.search.also)
    metric = curve[:, study.column].tolist() if len(curve) else []
    if study.folds > 1:
        metric = measured(study, trial.folds)
        shown = set(range(len(metric) + 1))
    if study.search.also:
        metric = []
    return FrozenTrial(
        number=trial.number,
        trial_id=trial.number,
        state=TrialState[trial.state],
        value=None if several else trial.value,
        values=values(study, trial, curve) if several else None,
        datetime_start=_local(trial.started),
        datetime_complete=_local(trial.ended or trial.started),
        # One string for each path, and one dict of distributions, for all of a long history.
        params={
            sys.intern(path): outward(study.space[path], value)
            for path, value in trial.params.items()
        },
        distributions=known
        if trial.params.keys() == known.keys()
        else {path: known[path] for path in trial.params},
        user_attrs={},
        system_attrs=dict(trial.rungs),
        intermediate_values={
            step: value
            for step, value in enumerate(metric, start=1)
            if step in rungs or step in shown
        },
    )


def earlier(study: Study, known: dict[str, BaseDistribution]) -> list[FrozenTrial]:
    """The trials of an earlier study that this one is to know of, under numbers below zero."""
    first = -len(study.search.history)
    return [
        FrozenTrial(
            number=number,
            trial_id=number,
            state=TrialState.COMPLETE,
            value=one.value,
            datetime_start=_local(0.0),
            datetime_complete=_local(0.0),
            params={path: outward(study.space[path], value) for path, value in one.values.items()},
            distributions={path: known[path] for path in one.values},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )
        for number, one in enumerate(study.search.history, start=first)
    ]


def outward(open_: Range | Choices, value: Value) -> Any:
    """Optuna's categories are scalars, and those that are equal are one to it.

    A list goes out as its JSON; of choices that would be equal, such as 1 and true, all do.
    """
    if not isinstance(open_, Choices):
        return value
    plain = [dumps(choice) if isinstance(choice, list) else choice for choice in open_.choices]
    alike = len(set(plain)) < len(plain)
    return dumps(value) if alike or isinstance(value, list) else value


def inward(open_: Range | Choices, value: Any) -> Value:
    if isinstance(open_, Choices):
        return next(choice for choice in open_.choices if outward(open_, choice) == value)
    return int(value) if isinstance(open_.low, int) else float(value)


def _local(seconds: float) -> datetime:
    """Optuna's times are naive and local."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().replace(tzinfo=None)
