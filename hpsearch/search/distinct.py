"""How does a trial avoid a point that was tried already?

Where all is choices and whole numbers, random search and TPE come upon the same point again, and
its training would tell nothing new but what another seed does. What earlier trials try is known
before they have ended, for it follows from the study file and the trials that they look at: so a
trial avoids the points of all earlier ones, and not just of those that it sees.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hpsearch.search.history import History
from hpsearch.search.seeds import Purpose, seed
from hpsearch.study.config import Params, Study, dumps
from hpsearch.study.finite import points

DRAWS = 20
"""How often a sampler is asked again before one of the points that are left is drawn."""

Draw = Callable[[int, int], Params]
"""What a trial's sampler gives, by the trial's number and how often it was asked before."""


class Distinct:
    """The points of a study's trials, each with its own."""

    def __init__(self, study: Study, history: History, draw: Draw) -> None:
        self._study = study
        self._history = history
        self._draw = draw
        self._every = points(study.space) or []
        self._tried: list[Params] = []
        self._taken: set[str] = set()

    def point(self, number: int) -> Params:
        """What a trial tries, which depends on no trial that it does not see."""
        while len(self._tried) <= number:
            params = self._next(len(self._tried))
            self._tried.append(params)
            self._taken.add(_key(params))
        return self._tried[number]

    def _next(self, number: int) -> Params:
        known = self._history.params(number)
        if known is not None:
            return known
        params = self._draw(number, 0)
        if number < len(self._study.search.enqueue) or len(self._taken) >= len(self._every):
            return params
        for again in range(1, DRAWS + 1):
            if _key(params) not in self._taken:
                return params
            params = self._draw(number, again)
        left = [params for params in self._every if _key(params) not in self._taken]
        rng = np.random.default_rng(seed(self._study, number, Purpose.SAMPLER))
        return left[int(rng.integers(len(left)))]


def _key(params: Params) -> str:
    return dumps(dict(params))
