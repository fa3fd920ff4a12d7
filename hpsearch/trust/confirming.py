"""What did new seeds say of a study's best trials, and how much of its best value was luck?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from hpsearch.errors import UnknownStudyError, UsageError
from hpsearch.ledger.records import Outcomes, State, StudyRecord, Trial
from hpsearch.ledger.store import Store
from hpsearch.settings import program
from hpsearch.study.given import GivenConfig
from hpsearch.study.metrics import bounds
from hpsearch.study.section import Params
from hpsearch.text import word
from hpsearch.trust.confirmation import Confirmed, Scores, confirmed
from hpsearch.trust.selection import Estimate


@dataclass(frozen=True, slots=True)
class Contender:
    """One of the configurations."""

    trial: int | None
    """Its trial in the search; None of the baseline."""
    values: Params
    searched: float | None
    """The value that it had in the search."""
    seeds: int
    """New seeds that it was trained with to the end."""
    mean: float | None
    """Over these seeds; None without one."""
    estimate: Estimate | None
    """What to expect of it; None with fewer than two seeds. Of those that cannot be told apart the
    values are drawn towards each other: see ``confirmation.confirmed``."""
    best: float
    """The probability that it is the best of all; 0 of one that dropped out."""
    out: str | None
    """Why it was not trained with all seeds; None if it was."""

    @property
    def name(self) -> str:
        """What a sentence calls it."""
        return "the baseline" if self.trial is None else f"trial {self.trial}"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What came out."""

    name: str
    """The confirmation's, as a study."""
    of: str
    metric: str
    seeds: int
    resplit: bool
    """Whether each seed saw another draw of the training and validation part."""
    contenders: Sequence[Contender]
    winner: Contender
    """Of those that were trained with all seeds, the one with the highest probability."""
    alike: Sequence[Contender]
    """Those that cannot be told from the winner, the winner among them."""
    luck: float | None
    """How much better the search's best value is than the mean of the same configuration over the
    new seeds; None where it had none."""
    newer: bool
    """Whether the study has a better trial since, which was not confirmed."""


def find(store: Store, name: str) -> StudyRecord | None:
    """The study of that name, if there is one."""
    with suppress(UnknownStudyError):
        return store.study(name)
    return None


def require_ended(store: Store, record: StudyRecord, part: str) -> None:
    """Refuse to do without a study's refit or confirmation where one has begun and not ended.

    Args:
        store: The ledger.
        record: The study.
        part: ``refit`` or ``confirm``.

    Raises:
        UsageError: If it has not ended.
    """
    own = find(store, f"{record.name}/{part}")
    if own is None or (counts := store.counts(own.id)).done:
        return
    raise UsageError(
        f"{own.name!r} has {counts.finished} of {counts.budget} trainings; finish it: "
        f"{program()} {part} {word(record.name)}; or delete it: {program()} delete "
        f"{word(own.name)}"
    )


def confirmation(store: Store, record: StudyRecord) -> Confirmation | None:
    """What the confirmation of a study came to; None as long as there is none that has ended.

    It is computed from the confirmation's trials each time: seeded, so that it is always the same.
    """
    own = find(store, f"{record.name}/confirm")
    if own is None or own.study.given is None or not store.counts(own.id).done:
        return None
    given, search = own.study.given, own.study.search
    maximize = search.direction == "maximize"
    trials = store.trials(own.id)
    contenders, found = compared(own, trials, store.outcomes(own.id))
    if found is None:
        return None
    searched = {trial.number: trial.value for trial in store.trials(record.id, [State.COMPLETE])}
    contenders = [_with_search(each, searched) for each in contenders]
    whole = [each for each in contenders if each.out is None]
    first = contenders[0]
    luck = None
    if first.searched is not None and first.mean is not None:
        luck = (first.searched - first.mean) * (1 if maximize else -1)
    best = store.best(record)
    return Confirmation(
        name=own.name,
        of=record.name,
        metric=search.metric,
        seeds=len(given.seeds),
        resplit=given.draws is not None,
        contenders=contenders,
        winner=whole[found.leader],
        alike=[whole[place] for place in found.alike],
        luck=luck,
        newer=best is not None and first.trial is not None and _better(best, first, maximize),
    )


def compared(
    own: StudyRecord, trials: Sequence[Trial], outcomes: Mapping[int, Outcomes]
) -> tuple[list[Contender], Confirmed | None]:
    """The configurations of a study whose trials are given, and those with all seeds compared.

    Args:
        own: The study.
        trials: Its trials.
        outcomes: What each example scored, by the trials' numbers.

    Returns:
        All of them, with ``searched`` left open; and what is said of those with all seeds, in
        their order. None where there is none, or one seed alone.
    """
    given, search = own.study.given, own.study.search
    assert given is not None
    many, maximize = len(given.configurations), search.direction == "maximize"
    scores = _scores(given, trials, outcomes)
    least, most = bounds(search.metric) if own.study.data is not None else (-inf, inf)
    whole = [place for place in range(many) if len(scores[place]) == len(given.seeds)]
    found = None
    if whole and len(given.seeds) > 1:
        table = np.stack([scores[place] for place in whole])
        found = confirmed(table, maximize=maximize, seed=search.seed)
    reasons = {place: _out(trials[place::many]) for place in range(many)}
    contenders = []
    for place, one in enumerate(given.configurations):
        estimate, best = None, 0.0
        if found is not None and place in whole:
            estimate = found.estimates[whole.index(place)]
            best = found.best[whole.index(place)]
        elif len(scores[place]) > 1:
            alone = confirmed(scores[place][None], maximize=maximize, seed=search.seed)
            estimate = alone.estimates[0]
        contenders.append(
            Contender(
                trial=one.trial,
                values=one.values,
                searched=None,
                seeds=len(scores[place]),
                mean=float(scores[place].mean()) if len(scores[place]) else None,
                estimate=estimate and estimate.within(least, most),
                best=best,
                out=None if place in whole else reasons[place],
            )
        )
    return contenders, found


def _scores(
    given: GivenConfig, trials: Sequence[Trial], outcomes: Mapping[int, Outcomes]
) -> list[Scores]:
    """What each configuration scored: (seeds, examples), or (seeds, 1) of values alone.

    Examples are compared where all trainings were scored on the same ones.
    """
    complete = [trial for trial in trials if trial.state is State.COMPLETE]
    kinds = {(o.dtype.str, len(o)) for o in outcomes.values()}
    by_example = (
        given.draws is None
        and len(kinds) == 1
        and all(trial.number in outcomes for trial in complete)
    )
    found = []
    for place in range(len(given.configurations)):
        own = [trial for trial in complete if given.cell(trial.number)[0] == place]
        rows = [outcomes[t.number] if by_example else np.array([t.value]) for t in own]
        width = len(rows[0]) if rows else 1
        found.append(np.array(rows, dtype=np.float64).reshape(len(rows), width))
    return found


def _out(trials: Sequence[Trial]) -> str:
    """Why a configuration has not all its seeds."""
    reasons = [trial.reason for trial in trials if trial.state is State.PRUNED]
    if "diverged" in reasons:
        return "diverged"
    if "race" in reasons:
        return "clearly behind"
    return "failed" if any(trial.state is State.FAIL for trial in trials) else "not run"


def _with_search(each: Contender, searched: Mapping[int, float | None]) -> Contender:
    return replace(each, searched=None if each.trial is None else searched.get(each.trial))


def _better(best: Trial, first: Contender, maximize: bool) -> bool:
    if best.value is None or first.searched is None:
        return False
    return best.value > first.searched if maximize else best.value < first.searched
