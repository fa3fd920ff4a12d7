"""Did a study that was run again come out the same, trial by trial?"""

from __future__ import annotations

from dataclasses import dataclass

from hpsearch.ledger.records import NO_STEPS, Curve, Steps, StudyRecord, Trial, encode
from hpsearch.ledger.store import Store
from hpsearch.trust import environment
from hpsearch.trust.reproduce import first_difference


@dataclass(frozen=True, slots=True)
class Difference:
    """A trial that came out otherwise."""

    number: int
    what: str
    """The first thing in it that differs."""
    rounds_alike: bool
    """Whether both environments must give the same bits."""


Run = tuple[Store, StudyRecord]
"""A study in a ledger."""


def differences(recorded: Run, again: Run) -> list[Difference]:
    """What differs between two runs of one study, the first thing of each trial.

    Numbers, states, reasons, values, params, seeds, curves (every bit), losses by step and weight
    digests are compared; times, attempts and workers are not.
    """
    olds, news = _trials(recorded), _trials(again)
    metrics = recorded[1].metrics
    found = []
    for number in sorted(olds.keys() | news.keys()):
        old, new = olds.get(number), news.get(number)
        what: str | None
        if old is None or new is None:
            what = "it was not recorded" if old is None else "it was not run"
        else:
            what = _difference(metrics, old, new)
        if what is not None:
            alike = old is None or new is None or _rounds_alike(recorded, again, old[0], new[0])
            found.append(Difference(number, what, alike))
    return found


_Whole = tuple[Trial, Curve, Steps]


def _trials(run: Run) -> dict[int, _Whole]:
    store, record = run
    steps = store.steps(record.id)
    return {
        trial.number: (trial, rows, steps.get(trial.number, NO_STEPS))
        for trial, rows in store.finished(record.id)
    }


def _difference(metrics: tuple[str, ...], old: _Whole, new: _Whole) -> str | None:
    for name in ("params", "seed", "state", "reason"):
        was, is_ = getattr(old[0], name), getattr(new[0], name)
        if was != is_:
            return f"{name} {was!s} recorded, {is_!s} now"
    told = first_difference(metrics, old[1], new[1])
    if told is not None:
        return told
    if encode(old[2]) != encode(new[2]):
        return "the losses by step"
    for name in ("value", "weights_sha256"):
        was, is_ = getattr(old[0], name), getattr(new[0], name)
        if was != is_:
            return f"{name} {was!r} recorded, {is_!r} now"
    return None


def _rounds_alike(recorded: Run, again: Run, old: Trial, new: Trial) -> bool:
    if old.environment is None or new.environment is None:
        return True
    there, here = recorded[0].environment(old.environment), again[0].environment(new.environment)
    return environment.rounds_alike(there, here)
