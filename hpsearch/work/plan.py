"""What would a run of a study do, and how long would it take on this machine?"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import mean
from typing import Any

import numpy as np

from hpsearch.errors import HpsearchError
from hpsearch.ledger.records import Fold, State, Trial, curve
from hpsearch.search.history import History
from hpsearch.search.pruning import pruning
from hpsearch.search.rounds import of_round
from hpsearch.search.rungs import most_steps, own_epochs, own_steps, rung_steps
from hpsearch.search.seeds import training_seed
from hpsearch.search.suggest import suggest
from hpsearch.study import folds
from hpsearch.study.config import Choices, Params, Study
from hpsearch.study.rounds import EPOCHS, starts
from hpsearch.training.seam import Trainer, TrainingFailed
from hpsearch.trust import environment

START = 2.2
"""What a run takes beside its trials, in units of its imports, which take longer where the machine
is slower or busy: its processes, the stores, and from the last trial to the last line."""
TRIAL = 0.004
"""What the ledger, Optuna's storage and MLflow take for a trial, in the same unit."""
PORTABLE = 1.6
"""How much longer an epoch takes with portable bits."""
SECONDS = 3.0
"""How long trials are timed, at most; one epoch at least."""
clock = time.perf_counter
_DRAWN = 32  # trials whose epochs are counted, where epochs are searched
_TIMED, _EPOCHS = 24, 5  # trials that are timed at most, and epochs of each
_MADE_UP, _LONGEST = 200, 1000  # trials, and their epochs, that a pruner is asked about


@dataclass(frozen=True, slots=True)
class Leg:
    """The trials of a round, or of the whole study."""

    trials: int
    most: float
    """Epochs of a trial, in the mean and over all its folds, if none is pruned."""
    expected: float
    """Epochs of a trial, in the mean, as the pruner would have it."""


@dataclass(frozen=True, slots=True)
class Timed:
    """How long a trial takes here."""

    setup: float
    """Seconds of a trial beside its epochs: before the first one of each training."""
    epoch: float
    """Seconds of an epoch."""
    trial: float
    """Seconds that the stores take for a trial."""
    start: float
    """Seconds of a run in which nothing is trained."""


def legs(study: Study) -> list[Leg] | None:
    """A study's rounds, or all of it as one; None where the number of epochs is not known.

    Trials for which no epochs are left (``search.max_epochs``) are not counted.
    """
    if study.epochs is None:
        return None
    found, left = list[Leg](), study.search.max_epochs
    for each, trials in _rounds(study):
        most, expected = _epochs(each, trials)
        if left is not None and expected:
            trials = min(trials, int(left / expected))
            left -= round(trials * expected)
        if trials > 0:
            found.append(Leg(trials, most, expected))
    return found


def imports() -> float:
    """Seconds until a process has imported what workers and the projector need."""
    began = clock()
    command = [sys.executable, "-P", "-c", "import hpsearch.work.worker, mlflow.tracking"]
    subprocess.run(command, check=False, capture_output=True, cwd=environment.ROOT)
    return clock() - began


def timed(study: Study, trainer: Trainer, seconds: float = SECONDS) -> Timed:
    """Train the first epochs of the study's first trials, and throw them away.

    Raises:
        HpsearchError: If no trial comes to its first epoch.
    """
    setups, epochs = list[float](), list[float]()
    began, failure = clock(), "no epochs"
    with environment.single_thread():
        for number in range(min(study.search.trials, _TIMED)):
            if setups and clock() - began > seconds:
                break
            resolved = study.resolve(_drawn(study, number), training_seed(study, number))
            config = folds.each(resolved)[0]
            marks = [clock()]
            try:
                with closing(trainer.train(config, number)) as training:
                    for _ in training:
                        marks.append(clock())
                        if len(marks) > _EPOCHS or marks[-1] - began > seconds:
                            break
            except TrainingFailed as error:
                failure = str(error)
                continue
            if len(marks) < 2:
                continue
            spans = [after - before for before, after in pairwise(marks[1:])]
            epochs.append(mean(spans) if spans else marks[1] - marks[0])
            setups.append(max(marks[1] - marks[0] - epochs[-1], 0.0))
    if not setups:
        raise HpsearchError(f"{study.name!r}: no trial could be timed: {failure}")
    slower = 1.0 if study.compute is None else PORTABLE
    unit = imports()
    return Timed(
        setup=study.folds * mean(setups),
        epoch=slower * mean(epochs),
        trial=TRIAL * unit,
        start=START * unit,
    )


def seconds(found: Sequence[Leg], took: Timed, workers: int) -> float:
    """How long a run takes with so many workers, each on a core of its own."""
    trial = [leg.trials * (took.trial + took.setup + leg.expected * took.epoch) for leg in found]
    again = took.setup + max(leg.most for leg in found) * took.epoch  # the best, once more
    return took.start + sum(trial) / workers + again


def _rounds(study: Study) -> Iterator[tuple[Study, int]]:
    rounds, trials = study.search.rounds, study.search.trials
    if not rounds:
        yield study, trials
        return
    firsts = starts(rounds)
    for place, (first, end) in enumerate(zip(firsts, [*firsts[1:], trials], strict=True)):
        space = dict(study.space)
        if study.epochs_by_round:
            space[EPOCHS] = Choices((study.epochs_by_round[place],))
        yield of_round(study, space), min(end, trials) - first


def _epochs(study: Study, trials: int) -> tuple[float, float]:
    """The epochs of a trial in the mean: if none is pruned, and as the pruner would have it.

    The pruner is asked over made-up trials, each as good after every epoch as after any other. Of
    one that continues another only its own epochs count.
    """
    many = _DRAWN if EPOCHS in study.space else 1
    most = study.folds * mean(own_epochs(study, _drawn(study, number)) for number in range(many))
    if not study.search.looks_back or not rung_steps(study) or most_steps(study) > _LONGEST:
        return most, most
    history, ran, tried = History(study), list[int](), list[tuple[Params, float]]()
    rng = np.random.default_rng(study.search.seed)
    for number in range(min(trials, _MADE_UP)):
        params, value = _drawn(study, number), rng.random()
        stopper = pruning(study, history, number, params)
        origin = stopper.continues
        if origin is not None:
            params, value = tried[origin.number]
        tried.append((params, value))
        end = own_steps(study, params)
        rungs = [step for step in rung_steps(study)[:_LONGEST] if step < end]
        stopped = next((step for step in [*rungs, end] if stopper.stops(step, value)), end)
        ran.append(stopped - (origin.step if origin is not None and study.saves else 0))
        rows = curve([[value] * len(study.metrics)] * stopped)
        trial = _made_up(number, params, value, stopped < end, stopper.rungs)
        history.add([(replace(trial, folds=(Fold(1, 1, value),) * stopped), rows)])
    whole = [own_steps(study, _drawn(study, number)) for number in range(len(ran))]
    return most, most * sum(ran) / sum(whole)


def _made_up(
    number: int, params: Params, value: float, pruned: bool, rungs: Mapping[str, float]
) -> Trial:
    return Trial(
        number=number,
        state=State.PRUNED if pruned else State.COMPLETE,
        value=None if pruned else value,
        params=params,
        epochs=0,
        seed=0,
        attempts=1,
        started=0.0,
        ended=1.0,
        weights_sha256=None,
        mlflow_run_id=None,
        reason=None,
        rungs=rungs,
        environment=None,
        in_optuna=False,
        in_mlflow=False,
    )


def _drawn(study: Study, number: int) -> Params:
    """What a trial tries that knows of no other."""
    if study.given is None and study.search.sampler != "grid":
        update: dict[str, Any] = {
            "sampler": "random",
            "pruner": "none",
            "startup": None,
            "history": [],
        }
        study = replace(study, search=study.search.model_copy(update=update))
    return suggest(study, History(study), number)
