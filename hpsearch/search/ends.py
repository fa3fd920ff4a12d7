"""Does trial *n* exist, or has the study come to its end before?

A pure function of the study and its trials, so that it ends with the same trial whoever runs it.
What the values say is judged as samplers judge: trial *n* exists if trials 0 … n - lag leave
something to look for. What epochs are left is known of all trials before it: a trial begins when it
fits, however long those take that are still running, and waits for them when that is not known yet.
A trial that ever failed counts for nothing, even when a retry has completed it since.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hpsearch.ledger.endings import Seen
from hpsearch.ledger.leases import Idle
from hpsearch.study.budgets import NOISE, by_values, most_epochs
from hpsearch.study.config import Study

FEWEST = 20
"""COMPLETE trials, below which nothing is said of what more are worth."""


def verdict(
    study: Study, number: int, finished: Sequence[Seen], unfinished: Sequence[int]
) -> str | Idle | None:
    """What keeps trial ``number`` from being begun.

    Args:
        study: The study.
        number: The trial that would be next.
        finished: Those that have ended, in the order of their numbers.
        unfinished: The numbers of those that have not.

    Returns:
        The key of ``[search]`` that ends the study before it; or that it is to wait; or None.
    """
    search = study.search
    last = number - search.lag
    if by_values(search):
        if any(each <= last for each in unfinished):
            return Idle.WAIT
        old = [trial for trial in finished if trial.number <= last]
        for key, over in _RULES.items():
            if getattr(search, key) is not None and over(study, old, last):
                return key
    if search.max_epochs is not None:
        spent = sum(trial.epochs for trial in finished)
        left = search.max_epochs - spent - most_epochs(study, number)
        if left < 0:
            return "max_epochs"
        if left < sum(most_epochs(study, each) for each in unfinished):
            return Idle.WAIT
    return None


def _reached(study: Study, trials: Sequence[Seen], last: int) -> bool:
    """Whether a value is as good as the target."""
    sign, target = _sign(study), study.search.target
    assert target is not None
    return any(sign * value >= sign * target for _, value in _valued(trials))


def _stalled(study: Study, trials: Sequence[Seen], last: int) -> bool:
    """Whether the best is older than patience."""
    sign, patience = _sign(study), study.search.patience
    assert patience is not None
    ranked = [(-sign * value, number) for number, value in _valued(trials)]
    best = min(ranked)[1] if ranked else -1
    return last - best >= patience


def _saturated(study: Study, trials: Sequence[Seen], last: int) -> bool:
    """Whether the later half of the trials was worth less than the gain that is asked for."""
    sign, gain = _sign(study), study.search.gain
    values = [sign * value for _, value in _valued(trials)]
    if len(values) < FEWEST:
        return False
    asked = _noise(study, max(values)) if gain == NOISE else float(gain or 0.0)
    return max(values) - expected_best(values, (len(values) + 1) // 2) < asked


def expected_best(values: Sequence[float], k: int) -> float:
    """The expected largest of k of the n values, drawn without replacement.

    Of n ordered values the i-th is the largest of a subset in C(i - 1, k - 1) of C(n, k) cases:
    ``trust.tuning_curve`` has all k. The sum is exact, so that any machine comes to the same bits.
    """
    ordered, n = sorted(values), len(values)
    i = np.arange(n, 1, -1)  # C(i - 1, k) / C(i, k) = (i - k) / i
    within = np.cumprod(np.concatenate([[1.0], np.maximum(i - k, 0) / i]))  # the i lowest; i falls
    shares = np.diff(within[::-1], prepend=0.0).tolist()
    return math.fsum(share * value for share, value in zip(shares, ordered, strict=True))


def _noise(study: Study, accuracy: float) -> float:
    """The standard error of an accuracy on the validation part, or on all folds'."""
    data = study.data
    assert data is not None
    part = 1.0 if data.parts > 1 else data.validation
    examples = max(round(data.train * part), 1) if isinstance(part, float) else part
    return math.sqrt(max(accuracy * (1 - accuracy), 0.0) / examples)


def _sign(study: Study) -> float:
    return 1.0 if study.search.direction == "maximize" else -1.0


def _valued(trials: Sequence[Seen]) -> list[tuple[int, float]]:
    return [(trial.number, trial.value) for trial in trials if trial.value is not None]


_RULES: Mapping[str, Callable[[Study, Sequence[Seen], int], bool]] = {
    "target": _reached,
    "patience": _stalled,
    "gain": _saturated,
}
"""Of the keys that look at values, whether the study is over by them; the first one is named."""
