"""Which ranges do the rounds of a study in the ledger search, as far as that is known?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hpsearch.ledger.records import StudyRecord, Trial
from hpsearch.ledger.store import Store
from hpsearch.search.rounds import complete, next_ranges, ranges
from hpsearch.study.config import Choices, Range, Space, Study
from hpsearch.study.rounds import EPOCHS, round_of, starts


@dataclass(frozen=True, slots=True)
class Round:
    """One round whose ranges are known."""

    number: int
    """From 1 on."""
    first: int
    """The number of its first trial."""
    end: int | None
    """That of the first trial after it; None of the last round."""
    epochs: int | None
    """Its trials' epochs, where a study lists them by round."""
    space: Space

    def among(self, trials: Iterable[Trial]) -> list[Trial]:
        """Those of its trials."""
        return [trial for trial in trials if self.has(trial.number)]

    def has(self, number: int) -> bool:
        """Whether it is the round of this trial."""
        return self.first <= number and (self.end is None or number < self.end)

    def planned(self, budget: int) -> int:
        """How many trials it is to have, of a study with this budget."""
        return (budget if self.end is None else min(self.end, budget)) - self.first


def rounds_of(store: Store, record: StudyRecord) -> list[Round]:
    """The rounds that have begun or may begin, in order; none of a study without rounds."""
    study = record.study
    if not study.search.rounds:
        return []
    trials = store.trials(record.id)
    firsts = starts(study.search.rounds)
    done = all(trial.state.finished for trial in trials)
    known = sum(first < len(trials) or (done and first == len(trials)) for first in firsts)
    tried = complete(trial for trial, _ in store.history(record.id, -1, firsts[known - 1] - 1))
    spaces = ranges(study, tried, known)
    ends = [*firsts[1:], None]
    return [
        Round(
            number=place + 1,
            first=firsts[place],
            end=ends[place],
            epochs=study.epochs_by_round[place] if study.epochs_by_round else None,
            space={path: open_ for path, open_ in space.items() if not _given(study, path)},
        )
        for place, space in enumerate(spaces)
    ]


def narrowed(store: Store, record: StudyRecord) -> Space:
    """The ranges that follow from all trials of a study, or of its last round."""
    study = record.study
    tried = complete(trial for trial, _ in store.history(record.id, -1, record.study.search.trials))
    if not study.search.rounds:
        return next_ranges(study, study.space, tried)
    last = rounds_of(store, record)[-1]
    space = dict(last.space)
    if last.epochs is not None:
        space[EPOCHS] = Choices((last.epochs,))
    found = next_ranges(study, space, tried)
    return {path: open_ for path, open_ in found.items() if not _given(study, path)}


def widened(store: Store, record: StudyRecord) -> StudyRecord:
    """The study as it is shown: with the space of all its rounds, which may have grown."""
    rounds = rounds_of(store, record)
    if not rounds:
        return record
    return replace(record, study=replace(record.study, space=hull(record.study, rounds)))


def hull(study: Study, rounds: Sequence[Round]) -> Space:
    """What all rounds together search: from the lowest end to the highest, and all choices."""
    found = dict(study.space)
    for path, open_ in study.space.items():
        spaces = [each.space[path] for each in rounds if path in each.space]
        own = [each for each in spaces if isinstance(each, Range)]
        if isinstance(open_, Range) and own:
            low, high = min(each.low for each in own), max(each.high for each in own)
            found[path] = Range(low, high, open_.log, open_.step, open_.when)
    return found


def space_of(study: Study, rounds: Sequence[Round], number: int) -> Space:
    """The ranges that a trial was drawn from, with all choices that the study has.

    Optuna's storage refuses a study in which the choices of a parameter change.
    """
    if not rounds:
        return study.space
    own = rounds[min(round_of(study.search.rounds, number), len(rounds) - 1)].space
    return {
        path: own.get(path, open_) if isinstance(open_, Range) else open_
        for path, open_ in study.space.items()
    }


def _given(study: Study, path: str) -> bool:
    return bool(study.epochs_by_round) and path == EPOCHS
