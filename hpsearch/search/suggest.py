"""What does trial *n* try, and when is it stopped?

Both are pure functions of the study, the number and the finished trials 0 … n - lag. Optuna's
samplers and pruners decide; they are asked over a view that shows them just those trials and the
one that is running, under its real number, with a sampler, a pruner and a seed of its own.
"""

from __future__ import annotations

import copy
import sys
import warnings
from bisect import bisect_right, insort
from collections.abc import Container, Iterable
from datetime import UTC, datetime
from enum import IntEnum
from itertools import islice
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from hpsearch.ledger.records import CURVES, Curve, Trial
from hpsearch.study.config import Choices, Params, Range, Study, Value, dumps, grid

optuna.logging.set_verbosity(optuna.logging.WARNING)

_NAME = "hpsearch"
"""One name for all views: Hyperband hashes it, and decisions must not depend on a study's name."""


WINDOW = 512
"""Trials that a sampler is shown at most; see docs/decisions/0005-a-window-for-tpe.md."""
BEST = 25
"""The best trials, which are always among them: as many as TPE ever calls good."""


class Purpose(IntEnum):
    """What a stream of random numbers is drawn for; part of every seed."""

    SAMPLER = 0
    TRAINING = 1


def seed(study: Study, number: int, purpose: Purpose) -> int:
    """The seed of one trial for one purpose, below 2**53 so that any reader of JSON keeps it.

    ``numpy.random.SeedSequence(search.seed, spawn_key=(number, purpose))``.
    """
    sequence = np.random.SeedSequence(study.search.seed, spawn_key=(number, purpose))
    return int(sequence.generate_state(1, np.uint64)[0]) >> 11


def training_seed(study: Study, number: int) -> int:
    """The seed that a trial trains with: the study file's own, where it names one."""
    own = study.fixed["training"].get("seed")
    return seed(study, number, Purpose.TRAINING) if own is None else int(own)


class History:
    """The outcomes that trials may look at, kept in Optuna's form as they come in."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._distributions = _distributions(study)
        self._sign = -1.0 if study.search.direction == "maximize" else 1.0
        self._trials: dict[int, FrozenTrial] = {}
        self._numbers: list[int] = []  # in order
        self._ranked: list[tuple[float, int]] = []  # COMPLETE trials, from the best to the worst

    def __contains__(self, number: int) -> bool:
        return number in self._trials

    def add(self, finished: Iterable[tuple[Trial, Curve]]) -> None:
        """Take in COMPLETE and PRUNED trials with their curves, in any order."""
        for trial, curve in finished:
            self._trials[trial.number] = frozen(self._study, trial, curve, self._distributions)
            insort(self._numbers, trial.number)
            if trial.value is not None:
                insort(self._ranked, (self._sign * trial.value, trial.number))

    def before(self, number: int) -> list[FrozenTrial]:
        """The trials that trial ``number`` may look at, in the order of their numbers."""
        return [self._trials[n] for n in self._eligible(number)]

    def window(self, number: int) -> list[FrozenTrial]:
        """Those that its sampler is shown: at most ``WINDOW``, the best and the newest of them."""
        numbers = self._eligible(number)
        if len(numbers) > WINDOW:
            last = numbers[-1]
            best = islice((n for _, n in self._ranked if n <= last), BEST)
            newest = numbers[BEST - WINDOW :]
            numbers = sorted({*best, *newest})
        return [self._trials[n] for n in numbers]

    def _eligible(self, number: int) -> list[int]:
        return self._numbers[: bisect_right(self._numbers, number - self._study.search.lag)]


def suggest(study: Study, history: History, number: int) -> Params:
    """Fill in what the study leaves open, for trial ``number``."""
    view = _View(study, history.window(number), number, _enqueued(study, number))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # steps that do not divide a range, experimental features
        asker = optuna.Study(_NAME, view, _sampler(study, number), _pruner(study))
        trial = asker.ask(_distributions(study))
    return {path: _inward(study.space[path], trial.params[path]) for path in study.space}


class Pruning:
    """The pruner of one trial, shown its metric epoch by epoch."""

    def __init__(self, study: Study, history: History, number: int, params: Params) -> None:
        self._rungs = _rung_epochs(study)
        if not self._rungs:
            return
        self._view = _View(study, history.before(number), number)
        self._view.running.params = {
            path: _outward(study.space[path], value) for path, value in params.items()
        }
        self._pruner = _pruner(study)
        self._asker = optuna.Study(_NAME, self._view, pruner=self._pruner)

    def stops(self, epoch: int, metric: float) -> bool:
        """Whether the trial ends after this epoch."""
        if not self._rungs:
            return False
        self._view.running.intermediate_values[epoch] = metric
        return epoch in self._rungs and self._pruner.prune(self._asker, self._view.running)

    @property
    def rungs(self) -> dict[str, float]:
        """What later trials must know of this one's rungs."""
        return dict(self._view.running.system_attrs) if self._rungs else {}


def distribution(open_: Range | Choices) -> BaseDistribution:
    """The range as Optuna knows it."""
    if isinstance(open_, Choices):
        return CategoricalDistribution([_outward(open_, choice) for choice in open_.choices])
    if isinstance(open_.low, int) and isinstance(open_.high, int):
        return IntDistribution(open_.low, open_.high, log=open_.log, step=int(open_.step or 1))
    return FloatDistribution(open_.low, open_.high, log=open_.log, step=open_.step)


def frozen(
    study: Study,
    trial: Trial,
    curve: Curve,
    distributions: dict[str, BaseDistribution] | None = None,
) -> FrozenTrial:
    """A finished trial as Optuna knows it, with the metric after the epochs that anyone reads.

    These are the epochs after which the study's pruner was asked, and the last.

    Args:
        study: The study it belongs to.
        trial: What the ledger says of it.
        curve: Its epochs.
        distributions: Those of the study, where they are at hand.
    """
    distributions = distributions or _distributions(study)
    shown = _rung_epochs(study) | {len(curve)}
    metric = curve[:, CURVES.index(study.search.metric)].tolist()
    return FrozenTrial(
        number=trial.number,
        trial_id=trial.number,
        state=TrialState[trial.state],
        value=trial.value,
        datetime_start=_local(trial.started),
        datetime_complete=_local(trial.ended or trial.started),
        # One string for each path, and one dict of distributions, for all of a long history.
        params={
            sys.intern(path): _outward(study.space[path], value)
            for path, value in trial.params.items()
        },
        distributions=distributions
        if trial.params.keys() == distributions.keys()
        else {path: distributions[path] for path in trial.params},
        user_attrs={},
        system_attrs=dict(trial.rungs),
        intermediate_values={
            epoch: value for epoch, value in enumerate(metric, start=1) if epoch in shown
        },
    )


# -- between our values and Optuna's


def _distributions(study: Study) -> dict[str, BaseDistribution]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a step that does not divide its range ends it earlier
        return {path: distribution(open_) for path, open_ in study.space.items()}


def _outward(open_: Range | Choices, value: Value) -> Any:
    """Optuna's categories are scalars: a list goes out as its JSON."""
    return dumps(value) if isinstance(open_, Choices) and isinstance(value, list) else value


def _inward(open_: Range | Choices, value: Any) -> Value:
    if isinstance(open_, Choices):
        return next(choice for choice in open_.choices if _outward(open_, choice) == value)
    return int(value) if isinstance(open_.low, int) else float(value)


def _local(seconds: float) -> datetime:
    """Optuna's times are naive and local."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().replace(tzinfo=None)


def _enqueued(study: Study, number: int) -> dict[str, Any]:
    if number >= len(study.search.enqueue):
        return {}
    point = study.search.enqueue[number]
    return {path: _outward(study.space[path], value) for path, value in point.items()}


def _sampler(study: Study, number: int) -> optuna.samplers.BaseSampler:
    if study.search.sampler == "grid":
        points = {
            path: [_outward(open_, value) for value in grid(path, open_)]
            for path, open_ in study.space.items()
        }
        # One shuffle of the grid for the whole study; the trial's number is its place in it.
        return optuna.samplers.GridSampler(points, seed=study.search.seed % 2**32)
    own = seed(study, number, Purpose.SAMPLER) % 2**32
    if study.search.sampler == "tpe":
        return optuna.samplers.TPESampler(seed=own, warn_independent_sampling=False)
    return optuna.samplers.RandomSampler(seed=own)


def _pruner(study: Study) -> optuna.pruners.BasePruner:
    search = study.search
    if search.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(
            min_resource=min(search.min_epochs, _most_epochs(study)),
            max_resource=_most_epochs(study),
            reduction_factor=search.reduction_factor,
        )
    if search.pruner == "median":
        return optuna.pruners.MedianPruner(n_warmup_steps=search.min_epochs)
    return optuna.pruners.NopPruner()


def _most_epochs(study: Study) -> int:
    open_ = study.space.get("training.epochs")
    ends = open_.ends() if open_ else [study.fixed["training"]["epochs"]]
    return max(int(str(end)) for end in ends)


def _rung_epochs(study: Study) -> frozenset[int]:
    """The epochs after which the pruner may stop a trial; after the last there is no point."""
    search, most = study.search, _most_epochs(study)
    if search.pruner == "median":
        return frozenset(range(search.min_epochs, most))
    if search.pruner == "hyperband":
        epochs, epoch = set(), search.min_epochs
        while epoch < most:
            epochs.add(epoch)
            epoch *= search.reduction_factor
        return frozenset(epochs)
    return frozenset()


class _View(BaseStorage):
    """What one trial may see: the eligible history, and itself running. Nothing is kept."""

    def __init__(
        self,
        study: Study,
        history: list[FrozenTrial],
        number: int,
        enqueued: dict[str, Any] | None = None,
    ) -> None:
        maximize = study.search.direction == "maximize"
        self._direction = StudyDirection.MAXIMIZE if maximize else StudyDirection.MINIMIZE
        self._history = history
        self._asked: Container[TrialState] = ()
        self._chosen: list[FrozenTrial] = []
        self.running = FrozenTrial(
            number=number,
            trial_id=number,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=None,
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs={},
            system_attrs={"fixed_params": enqueued} if enqueued else {},
            intermediate_values={},
        )

    def get_study_id_from_name(self, study_name: str) -> int:
        return 0

    def get_study_name_from_id(self, study_id: int) -> str:
        return _NAME

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return [self._direction]

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return {}

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        return self.running.number

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self.running

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        # A copy, so that a list read before does not change under its reader.
        if states is None:
            return [*self._history, copy.copy(self.running)]
        if states != self._asked:  # a pruner asks for the same at every rung
            self._asked, self._chosen = states, [t for t in self._history if t.state in states]
        running = [copy.copy(self.running)] if self.running.state in states else []
        return self._chosen + running

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: Any
    ) -> None:
        self.running.params[param_name] = distribution.to_external_repr(param_value_internal)
        self.running.distributions[param_name] = distribution

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self.running.system_attrs = {**self.running.system_attrs, key: value}

    def _absent(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("a view is not asked this")

    create_new_study = delete_study = get_all_studies = _absent
    set_study_user_attr = set_study_system_attr = get_study_user_attrs = _absent
    set_trial_state_values = set_trial_intermediate_value = set_trial_user_attr = _absent
