"""What does a study's own run say of it? How far it is, its best trial, and what that is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from hpsearch.ledger.environments import of_study
from hpsearch.ledger.front import front
from hpsearch.ledger.ranking import tie
from hpsearch.ledger.records import Counts, Opening, StudyRecord, Trial
from hpsearch.ledger.store import Store
from hpsearch.projections.round_summary import RoundSummary, round_summaries
from hpsearch.search.known import rounds_of
from hpsearch.study import file as study_file
from hpsearch.study.config import Value, dumps
from hpsearch.trust.confirming import Confirmation, confirmation, find
from hpsearch.trust.estimate import correction


@dataclass(frozen=True, slots=True)
class Summary:
    """What the parent run says of the study."""

    status: str
    end: int | None
    note: str
    metrics: Mapping[str, float]
    step: int
    """Trials finished; where in ``metrics`` this one stands."""
    reproduced: bool | None
    ended: str | None
    """What ended it: ``trials``, or another key of ``[search]``; ``-`` as long as it goes on.

    None where nobody says.
    """
    definition: str | None
    """The study file; None of a study that has none."""
    environments: Sequence[str]
    """Digests of those that its trials were trained in."""
    above: str | None
    """The run of the study whose configurations these are; None of any other study."""
    rounds: tuple[RoundSummary, ...] = ()
    """Those that have begun."""
    front: str = ""
    """With several objectives, the numbers of the trials that no other surpasses."""

    def text(self) -> str:
        """One text for one summary."""
        return dumps(asdict(self))


def reproduction_of(record: StudyRecord, best: Trial) -> bool | None:
    """Whether the best trial gave the same bits when trained again; None if it was not."""
    known = record.reproduced or {}
    if (known.get("number"), known.get("recorded_sha256")) != (best.number, best.weights_sha256):
        return None
    return bool(known.get("identical"))


def _digits(value: Value) -> str:
    """A number as a person writes it; its params have all digits."""
    return f"{value:.4g}" if isinstance(value, float) else dumps(value)


def summary_of(
    store: Store, record: StudyRecord, best: Trial | None, page: str | None, *, live: bool
) -> Summary:
    """What is to be said.

    Args:
        store: The ledger.
        record: The study.
        best: Its best trial.
        page: That trial's page in MLflow's UI, once it is there.
        live: Whether somebody works on the study, or looks after it.
    """
    counts = store.counts(record.id)
    ended = store.ended(record.id) if counts.done else None
    metrics: dict[str, float] = {
        "complete": counts.complete,
        "pruned": counts.pruned,
        "failed": counts.failed,
    }
    lines = [_counted(counts)]
    if record.ended is not None:
        lines.append(f"It {record.ending}.")
    given = record.study.given
    above = find(store, given.study) if given is not None else None
    searched = record if given is None else above
    confirmed = confirmation(store, searched) if counts.done and searched else None
    if confirmed is not None and confirmed.name in (record.name, f"{record.name}/confirm"):
        metrics |= _confirmed(confirmed)
        lines.append(_winner(confirmed))
    if record.openings:
        metrics["test_openings"] = len(record.openings)
        lines.append(_tested(record.openings))
        first = record.openings[0].result
        for key in ("value", "low", "high"):
            if (end := getattr(first, key, None)) is not None:
                metrics[f"test_{key}"] = end
    reproduced = None
    numbers = _front(store, record)
    if numbers:
        lines.append(f"Pareto front: trials {', '.join(numbers)}.")
    if given is None and best is not None and best.value is not None:  # no single one of given
        metrics["best_value"] = best.value
        lines.append(_best(record, best, page))
        if told := tie(record.study, len(store.tied(record))):
            lines.append(f"{told}.")
        if counts.done:
            metrics |= _corrected(store, record, lines)
        reproduced = reproduction_of(record, best)
        if reproduced is not None:
            said = "gave the same bits" if reproduced else "DIFFERED"
            difference = (record.reproduced or {}).get("first_difference")
            lines.append(f"Trained again it {said}{f': {difference}' if difference else ''}.")
    return Summary(
        status="FINISHED" if counts.done else "RUNNING" if live else "KILLED",
        end=None if ended is None else round(ended * 1000),
        note="\n\n".join(lines)[:8000],
        metrics=metrics,
        step=counts.finished,
        reproduced=reproduced,
        ended=(record.ended.by if record.ended else "trials") if counts.done else "-",
        definition=study_file.toml(record.study),
        environments=of_study(store.database, record.id),
        above=None if above is None else above.mlflow_run_id,
        rounds=_rounds(store, record, live=live),
        front=" ".join(numbers),
    )


def _front(store: Store, record: StudyRecord) -> list[str]:
    if not record.study.search.also:
        return []
    return [str(one.trial.number) for one in front(record.study, store.finished(record.id))]


def _tested(openings: Sequence[Opening]) -> str:
    many = len(openings)
    times = "once" if many == 1 else f"{many} times; this is what the first one showed"
    first = openings[0].result
    if first is None:
        return f"The test part was opened {times}; that is not at its end."
    if first.value is None or first.low is None or first.high is None:
        return f"The test part was opened {times}: no value ({first.out})."
    return (
        f"The test part was opened {times}: {first.metric} {_digits(first.value)} "
        f"({_digits(first.low)} to {_digits(first.high)}) on {first.examples} examples."
    )


def _rounds(store: Store, record: StudyRecord, *, live: bool) -> tuple[RoundSummary, ...]:
    rounds = rounds_of(store, record)
    return round_summaries(store, record, rounds, live=live) if rounds else ()


def _counted(counts: Counts) -> str:
    return (
        f"{counts.finished} of {counts.budget} trials finished: {counts.complete} complete, "
        f"{counts.pruned} pruned, {counts.failed} failed."
    )


def _best(record: StudyRecord, best: Trial, page: str | None) -> str:
    values = ", ".join(f"{path} = {_digits(value)}" for path, value in best.params.items())
    named = f"[trial {best.number}]({page})" if page else f"trial {best.number}"
    shown = f"{record.study.search.metric} {_digits(best.value or 0.0)}"
    return f"Best: {named}, {shown}{f' ({values})' if values else ''}."


def _corrected(store: Store, record: StudyRecord, lines: list[str]) -> dict[str, float]:
    honest = correction(store, record)
    if honest.estimate is None:
        return {}
    value, low, high = honest.estimate.value, honest.estimate.low, honest.estimate.high
    lines.append(
        f"Corrected for choosing among {honest.chosen_from}: {_digits(value)} "
        f"({_digits(low)} to {_digits(high)})."
    )
    return {"corrected_value": value, "corrected_low": low, "corrected_high": high}


def _confirmed(found: Confirmation) -> dict[str, float]:
    estimate = found.winner.estimate
    assert estimate is not None
    return {
        "confirmed_value": estimate.value,
        "confirmed_low": estimate.low,
        "confirmed_high": estimate.high,
    }


def _winner(found: Confirmation) -> str:
    estimate = found.winner.estimate
    assert estimate is not None
    return (
        f"Confirmed over {found.seeds} new seeds: {found.winner.name}, {found.metric} "
        f"{_digits(estimate.value)} ({_digits(estimate.low)} to {_digits(estimate.high)})."
    )
