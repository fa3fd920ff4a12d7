"""Which finished trials may trial *n* look at?

Those of the study that are old enough; and its sampler, before all of them, at the trials of an
earlier study that the study file lists. These have numbers below zero.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable
from itertools import islice

from optuna.trial import FrozenTrial

from hpsearch.ledger.records import CONTINUES, Curve, Trial
from hpsearch.search.optuna_terms import distributions, earlier, frozen, inward
from hpsearch.search.race import last_seen
from hpsearch.study.config import Params, Study
from hpsearch.study.rounds import first_of

WINDOW = 512
"""Trials that a sampler is shown at most; see docs/decisions/0005-a-window-for-tpe.md."""
BEST = 25
"""The best trials, which are always among them: as many as TPE ever calls good."""


def sees(study: Study) -> Callable[[int], int] | None:
    """Up to which number a trial looks at others, by its own; None if none looks at any."""
    given = study.given
    if given is not None:
        return lambda number: last_seen(given, number)
    search = study.search
    if search.rounds:
        return lambda number: max(
            number - search.lag if search.looks_back else -1, first_of(search.rounds, number) - 1
        )
    return (lambda number: number - search.lag) if search.looks_back else None


class History:
    """The outcomes that trials may look at, kept in Optuna's form as they come in.

    Args:
        study: The study, or one of its rounds.
        first: The number from which on trials wait for the lag alone: those before have ended.
    """

    def __init__(self, study: Study, first: int = 0) -> None:
        self._study = study
        self._sees = sees(study) or (lambda number: number - study.search.lag)
        self.first = first
        self._distributions = distributions(study)
        self._sign = -1.0 if study.search.direction == "maximize" else 1.0
        self._trials: dict[int, FrozenTrial] = {}
        self._epochs: dict[int, int] = {}
        self._numbers: list[int] = []  # in order
        self._ranked: list[tuple[float, int]] = []  # COMPLETE trials, from the best to the worst
        for trial in earlier(study, self._distributions):
            self._take(trial)

    def add(self, finished: Iterable[tuple[Trial, Curve]]) -> None:
        """Take in COMPLETE and PRUNED trials with their curves, in any order."""
        for trial, curve in finished:
            self._epochs[trial.number] = trial.epochs
            self._take(frozen(self._study, trial, curve, self._distributions))

    def _take(self, trial: FrozenTrial) -> None:
        self._trials[trial.number] = trial
        insort(self._numbers, trial.number)
        if trial.values:
            insort(self._ranked, (self._sign * trial.values[0], trial.number))

    def params(self, number: int) -> Params | None:
        """What a trial tried; None of one that is not known."""
        if number not in self._trials:
            return None
        tried = self._trials[number].params
        space = self._study.space
        return {path: inward(space[path], tried[path]) for path in space if path in tried}

    def trial(self, number: int) -> FrozenTrial | None:
        """A trial; None of one that is not known."""
        return self._trials.get(number)

    def epochs(self, number: int) -> int:
        """For how many epochs a known trial trained."""
        return self._epochs[number]

    def before(self, number: int) -> list[FrozenTrial]:
        """The trials that trial ``number`` may look at, in the order of their numbers."""
        return [self._trials[n] for n in self._eligible(number) if n >= 0]

    def values(self, number: int) -> dict[int, float | None]:
        """What the trials that trial ``number`` may look at came to; None of one that did not."""
        return {n: self._trials[n].value for n in self._eligible(number) if n >= 0}

    def window(self, number: int) -> list[FrozenTrial]:
        """Those that its sampler is shown: at most ``WINDOW``, the best and the newest of them.

        A trial that another one continues is not shown beside it. Those of an earlier study come
        first. A pruner is not shown them: they have no epochs.
        By several objectives no few trials are the best, and it is shown all.
        """
        numbers = self._eligible(number)
        if self._study.search.pauses:
            gone = continued_by(self._trials[n] for n in numbers)
            numbers = [n for n in numbers if n not in gone]
        if len(numbers) > WINDOW and not self._study.search.also:
            last = numbers[-1]
            best = islice((n for _, n in self._ranked if n <= last), BEST)
            newest = numbers[BEST - WINDOW :]
            numbers = sorted({*best, *newest})
        return [self._trials[n] for n in numbers]

    def _eligible(self, number: int) -> list[int]:
        last = max(self._sees(number), self.first - 1)
        return self._numbers[: bisect_right(self._numbers, last)]


def continued_by(trials: Iterable[FrozenTrial]) -> set[int]:
    """The trials that these ones continue, by their numbers."""
    return {trial.system_attrs[CONTINUES] for trial in trials if CONTINUES in trial.system_attrs}
