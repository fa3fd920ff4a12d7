"""Which paused trial does trial *n* continue, if it begins none of its own?

Asynchronous successive halving (L. Li and others, "A system for massively parallel hyperparameter
tuning", MLSys 2020, algorithm 2): from the highest rung down, the best trial among the best 1/η
that came to a rung goes on to the next one, unless it has; where there is none, a new configuration
begins. Here each step of that is a trial: it stops at the next rung, and a later trial continues
it. See docs/decisions/0022-a-continuation-is-a-trial.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from optuna.trial import FrozenTrial, TrialState

from hpsearch.ledger.records import BEFORE, CONTINUES
from hpsearch.search.history import History, continued_by
from hpsearch.search.rungs import rung_steps
from hpsearch.search.seeds import training_seed
from hpsearch.study.config import Study

ANEW = "a training of your own cannot be paused: a trial that continues trains from the start"

_KNOWN: WeakKeyDictionary[History, list[FrozenTrial | None]] = WeakKeyDictionary()
"""By history, what each trial from its first on continues: it depends on none that it cannot see.
"""


@dataclass(frozen=True, slots=True)
class Continued:
    """The trial that another one continues."""

    number: int
    step: int
    """After which it was paused."""
    epochs: int
    """For which it had trained by then."""


def continued(study: Study, history: History, number: int) -> Continued | None:
    """What trial ``number`` continues; None of one that begins."""
    trial = _plan(study, history, number)[-1]
    if trial is None:
        return None
    return Continued(trial.number, _last_step(trial), history.epochs(trial.number))


class Pausing:
    """What stops one trial: the next rung after the one that it goes on from."""

    def __init__(self, study: Study, history: History, number: int) -> None:
        self._rungs = rung_steps(study)
        self.continues = continued(study, history, number)
        self._saves = study.saves

    def stops(self, step: int, metric: float) -> bool:
        """Whether the trial is paused after this step, unless it ends there anyhow."""
        return step in self._rungs and step > (self.continues.step if self.continues else 0)

    @property
    def rungs(self) -> dict[str, float]:
        """What later trials must know: which one it continues, and how much of that it keeps."""
        if self.continues is None:
            return {}
        before = self.continues.epochs if self._saves else 0
        return {CONTINUES: self.continues.number, BEFORE: before}


def place(study: Study, history: History, number: int) -> int:
    """A trial's place among those that begin, which is its number where none goes on."""
    return number - sum(trial is not None for trial in _plan(study, history, number))


def seed_of(study: Study, history: History, number: int) -> int:
    """The seed that a trial trains with: that of the trial which began what it continues."""
    trial = _plan(study, history, number)[-1]
    while trial is not None:
        number = trial.number
        trial = history.trial(trial.system_attrs.get(CONTINUES, -1))
    return training_seed(study, number)


def _plan(study: Study, history: History, number: int) -> list[FrozenTrial | None]:
    """What each trial up to ``number`` continues. No two continue the same one."""
    if not study.search.pauses:
        return [None]
    plan = _KNOWN.setdefault(history, [])
    taken = {trial.number for trial in plan if trial is not None}
    for each in range(history.first + len(plan), number + 1):
        trial = _promoted(study, history.before(each), taken)
        plan.append(trial)
        taken |= set() if trial is None else {trial.number}
    return plan[: number + 1 - history.first]


def _promoted(study: Study, trials: list[FrozenTrial], taken: set[int]) -> FrozenTrial | None:
    """The trial that goes on: the first one of the highest rung that has any."""
    sign = -1.0 if study.search.direction == "maximize" else 1.0
    gone = taken | continued_by(trials)
    for step in reversed(rung_steps(study)):
        came = sorted(
            _came_to(step, trials),
            key=lambda trial: (sign * trial.intermediate_values[step], trial.number),
        )
        for trial in came[: len(came) // study.search.reduction_factor]:
            paused = trial.state is TrialState.PRUNED and _last_step(trial) == step
            if paused and trial.number not in gone:
                return trial
    return None


def _last_step(trial: FrozenTrial) -> int:
    return max(trial.intermediate_values, default=0)


def _came_to(step: int, trials: list[FrozenTrial]) -> Iterable[FrozenTrial]:
    """The trials that came to a rung themselves: those that continue them have its value, too."""
    there = {trial.number: trial for trial in trials if step in trial.intermediate_values}
    return (trial for trial in there.values() if not continued_by([trial]) & there.keys())
