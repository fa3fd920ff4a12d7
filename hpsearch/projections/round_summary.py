"""What does the run of a study's round in MLflow say of it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpsearch.ledger.records import State, StudyRecord, Trial
from hpsearch.ledger.store import Store
from hpsearch.projections.run_content import text
from hpsearch.search.known import Round
from hpsearch.study.config import dumps
from hpsearch.study.rounds import EPOCHS


@dataclass(frozen=True, slots=True)
class RoundSummary:
    """What a round's run says."""

    number: int
    name: str
    status: str
    start: int
    end: int | None
    note: str
    params: Mapping[str, str]
    """Its ranges, by path."""
    metrics: Mapping[str, float]
    step: int
    """Its trials that have finished; where in ``metrics`` this one stands."""


def params(of: Round) -> dict[str, str]:
    """What its run has as params: its ranges by path, and the epochs of its trials."""
    told = {path: text(dumps(open_.table())) for path, open_ in of.space.items()}
    return told if of.epochs is None else {**told, EPOCHS: dumps(of.epochs)}


def round_summaries(
    store: Store, record: StudyRecord, rounds: Sequence[Round], *, live: bool
) -> tuple[RoundSummary, ...]:
    """What the runs of the rounds that have begun say now."""
    trials = store.trials(record.id)
    return tuple(
        _round(store, record, each, own, live=live)
        for each in rounds
        if (own := each.among(trials))
    )


def _round(
    store: Store, record: StudyRecord, of: Round, trials: Sequence[Trial], *, live: bool
) -> RoundSummary:
    study, planned = record.study, of.planned(record.budget)
    rounds = len(study.search.rounds)
    finished = [trial for trial in trials if trial.state.finished]
    counted = {
        name: sum(trial.state is state for trial in finished)
        for name, state in (
            ("complete", State.COMPLETE),
            ("pruned", State.PRUNED),
            ("failed", State.FAIL),
        )
    }
    metrics: dict[str, float] = dict(counted)
    said = f"{len(finished)} of {planned} trials finished: " + ", ".join(
        f"{number} {name}" for name, number in counted.items()
    )
    lines = [f"{said}."]
    best = next(iter(store.ranked(record, finished)), None)
    if best is not None and best.value is not None:
        metrics["best_value"] = best.value
        lines.append(f"Best: trial {best.number}, {study.search.metric} {best.value:.4g}.")
    done = len(finished) == len(trials) >= planned
    status = "FINISHED" if done else "RUNNING" if live else "KILLED"
    ended = [t.ended for t in finished if t.ended is not None]
    return RoundSummary(
        number=of.number,
        name=f"round {of.number} of {rounds}",
        status=status,
        start=round(trials[0].started * 1000),
        end=None if status == "RUNNING" else round(max(ended, default=trials[0].started) * 1000),
        note="\n\n".join(lines),
        params=params(of),
        metrics=metrics,
        step=len(finished),
    )
