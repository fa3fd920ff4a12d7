"""What does each round of a study search, and what may its trials look at?

The book's procedure (6.5.2): sample, look at the best, narrow the ranges, and again. The ranges of
a round are a pure function of the trials of the rounds before it, so its first trial waits for
their last one. A round searches as a study of its own, whose history begins with the earlier trials
that lie inside its ranges and were trained for as many epochs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hpsearch.errors import StudyFileError
from hpsearch.ledger.records import Curve, State, Trial
from hpsearch.search.history import History
from hpsearch.search.narrowing import Tried, narrowed
from hpsearch.study import file as study_file
from hpsearch.study.conditions import needed
from hpsearch.study.config import Choices, Params, Range, Space, Study
from hpsearch.study.rounds import EPOCHS, round_of, starts


class Rounds:
    """A study's rounds as their trials come in; one round of a study that has none."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._finished: list[tuple[Trial, Curve]] = []
        self._known: dict[int, tuple[Study, History]] = {}
        if not study.search.rounds:
            self._known[0] = study, History(study)

    def add(self, finished: Iterable[tuple[Trial, Curve]]) -> None:
        """Take in COMPLETE and PRUNED trials with their curves, in any order."""
        pairs = list(finished)
        if self._study.search.rounds:
            self._finished += pairs
        for study, history in self._known.values():
            history.add(pairs if study is self._study else _inside(study, pairs))

    def at(self, number: int) -> tuple[Study, History]:
        """The study that a trial's round searches, and its history.

        All trials that it ``sees`` have been added.
        """
        place = round_of(self._study.search.rounds, number)
        if place not in self._known:
            tried = complete(trial for trial, _ in self._finished)
            study = of_round(self._study, ranges(self._study, tried, place + 1)[place])
            history = History(study, starts(self._study.search.rounds)[place])
            history.add(_inside(study, self._finished))
            self._known[place] = study, history
        return self._known[place]


def ranges(study: Study, tried: Mapping[int, Tried], rounds: int) -> list[Space]:
    """What each of the first rounds searches.

    Args:
        study: The study.
        tried: The COMPLETE trials that never failed, by number; all of the earlier rounds.
        rounds: How many rounds are asked for.
    """
    spaces: list[Space] = [_with_epochs(study, study.space, 0)]
    grown = limits(study) if rounds > 1 else {}
    for place, first in enumerate(starts(study.search.rounds)[1:rounds], start=1):
        before = {number: each for number, each in tried.items() if number < first}
        spaces.append(_with_epochs(study, next_ranges(study, spaces[-1], before, grown), place))
    return spaces


def next_ranges(
    study: Study,
    space: Space,
    tried: Mapping[int, Tried],
    grown: Mapping[str, Range] | None = None,
) -> Space:
    """The ranges that follow from those of a round and the trials that lie inside them."""
    return narrowed(
        space,
        [tried[number] for number in sorted(tried) if inside(space, tried[number][0])],
        maximize=study.search.direction == "maximize",
        limits=limits(study) if grown is None else grown,
    )


def of_round(study: Study, space: Space) -> Study:
    """The study that a round is for itself: with its ranges and without rounds."""
    earlier = [one for one in study.search.history if inside(space, one.values)]
    update = {"rounds": [], "limits": {}, "history": earlier, "repeat": True}
    search = study.search.model_copy(update=update)
    return replace(study, space=space, search=search, epochs_by_round=())


def complete(trials: Iterable[Trial]) -> dict[int, Tried]:
    """What the COMPLETE ones among trials tried, and their values, by number."""
    return {
        trial.number: (trial.params, trial.value)
        for trial in trials
        if trial.state is State.COMPLETE and trial.value is not None
    }


def inside(space: Space, params: Params) -> bool:
    """Whether a trial has values for what is searched, all of them inside the ranges."""
    return params.keys() == needed(space, params) and all(
        params[path] in space[path] for path in params
    )


def limits(study: Study) -> dict[str, Range]:
    """How far each range may grow.

    That is what ``[search.limits]`` says. Without that, a range with ``log`` may grow by a decade
    on each side where that makes valid trials, and others stay as they are.
    """
    found: dict[str, Range] = {}
    for path, open_ in study.space.items():
        if not isinstance(open_, Range):
            continue
        if path in study.search.limits:
            ends = study.search.limits[path]
            found[path] = replace(open_, low=ends["low"], high=ends["high"])
        elif open_.log and path not in (EPOCHS, "training.seed"):
            low, high = decade(open_)
            low = low if valid(study, path, replace(open_, low=low)) else open_.low
            high = high if valid(study, path, replace(open_, high=high)) else open_.high
            found[path] = replace(open_, low=low, high=high)
    return found


def decade(open_: Range) -> tuple[int | float, int | float]:
    """The ends of a range that is a decade wider on each side."""
    if isinstance(open_.low, int):
        return max(1, open_.low // 10), round(open_.high * 10)
    return open_.low / 10, open_.high * 10


def valid(study: Study, path: str, open_: Range) -> bool:
    """Whether the study would be valid with this range."""
    try:
        study_file.parse(replace(study, space={**study.space, path: open_}).definition())
    except StudyFileError:
        return False
    return True


def _with_epochs(study: Study, space: Space, place: int) -> Space:
    """A round's ranges with the epochs that its trials have."""
    if not study.epochs_by_round:
        return dict(space)
    return {**space, EPOCHS: Choices((study.epochs_by_round[place],))}


def _inside(study: Study, pairs: Iterable[tuple[Trial, Curve]]) -> list[tuple[Trial, Curve]]:
    return [pair for pair in pairs if inside(study.space, pair[0].params)]
