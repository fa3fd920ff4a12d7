"""How are studies and trials shown? The JSON shapes that scripts read, and lines for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isnan
from typing import TYPE_CHECKING, Any

from hpsearch.ledger.records import Counts, Curve, Trial
from hpsearch.study.config import Choices, Params, Range, Study
from hpsearch.study.file import inline

if TYPE_CHECKING:  # what shows them does not load what makes them
    from hpsearch.ledger.front import Placed
    from hpsearch.search.edges import Edge
    from hpsearch.search.known import Round
    from hpsearch.trust.estimate import Correction
    from hpsearch.trust.reproduce import Reproduction
    from hpsearch.trust.selection import Estimate
    from hpsearch.verify.findings import Findings


def trial(trial: Trial) -> dict[str, Any]:
    """A trial as ``trials --json`` gives it; with its ``folds`` and what it ``continues``."""
    folds = [{"epochs": fold.epochs, "value": fold.value} for fold in trial.folds]
    more = {"folds": folds, "continues": trial.continues}
    return {
        "number": trial.number,
        "state": str(trial.state),
        "value": trial.value,
        "params": dict(trial.params),
        "epochs": trial.epochs,
        "seed": trial.seed,
        "attempts": trial.attempts,
        "started": iso(trial.started),
        "ended": None if trial.ended is None else iso(trial.ended),
        "weights_sha256": trial.weights_sha256,
        "mlflow_run_id": trial.mlflow_run_id,
        "reason": trial.reason,
    } | {key: value for key, value in more.items() if value not in ([], None)}


def curve(
    number: int, rows: Curve, metrics: tuple[str, ...], folds: Sequence[int] = ()
) -> dict[str, Any]:
    """A trial's epochs as ``curve --json`` gives them, each with its fold where there are some.

    JSON knows no NaN: what was not measured, or is no number, is null.
    """
    told = [{"fold": fold} for fold in folds] or [{}] * len(rows)
    known = [[None if isnan(each) else each for each in row] for row in rows.tolist()]
    epochs = [
        {"epoch": epoch, **fold, **dict(zip(metrics, row, strict=True))}
        for epoch, (fold, row) in enumerate(zip(told, known, strict=True), start=1)
    ]
    return {"number": number, "epochs": epochs}


def folds(study: Study, trial: Trial, epochs: int) -> list[int]:
    """To which fold or repeat each of its epochs belongs, from 1; empty where there are none.

    Those after the last that ended are of the next.
    """
    if study.folds == 1:
        return []
    found = [k for k, fold in enumerate(trial.folds, start=1) for _ in range(fold.epochs)]
    return found + [len(trial.folds) + 1] * (epochs - len(found))


def status(name: str, counts: Counts) -> dict[str, Any]:
    """A study's counts as ``status --json`` gives them."""
    return {
        "study": name,
        "budget": counts.budget,
        "complete": counts.complete,
        "pruned": counts.pruned,
        "failed": counts.failed,
        "running": counts.running,
        "waiting": counts.waiting,
        "unprojected": counts.unprojected,
    }


def reproduction(outcome: Reproduction) -> dict[str, Any]:
    """A comparison as ``reproduce --json`` gives it."""
    return {
        "identical": outcome.identical,
        "within_tolerance": outcome.within_tolerance,
        "number": outcome.number,
        "weights_sha256": outcome.weights_sha256,
        "recorded_sha256": outcome.recorded_sha256,
        "first_difference": outcome.first_difference,
        "environment_differences": outcome.environment_differences,
        "epochs": outcome.epochs,
        "rounds_alike": outcome.rounds_alike,
        "gaps": {name: gap if gap < float("inf") else None for name, gap in outcome.gaps.items()},
        "elsewhere": outcome.elsewhere,
    }


def findings(found: Findings) -> dict[str, Any]:
    """What was found as ``verify --json`` gives it."""
    violations = [{"invariant": v.invariant, "detail": v.detail} for v in found.violations]
    return {"ok": found.ok, "violations": violations, "checked": found.checked}


def dumps(document: Any) -> str:
    """One JSON document."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def iso(seconds: float) -> str:
    """A time in ISO 8601, UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def params(values: Params, digits: int = 4) -> str:
    """Values on one line, short: ``lr=0.00312  dropout=0.1``."""
    return "  ".join(f"{path.partition('.')[2]}={value_(v, digits)}" for path, v in values.items())


def value_(value: Any, digits: int = 4) -> str:
    """A value as a person reads it."""
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return "-" if value is None else str(value)


def counted(counts: Counts) -> str:
    """Counts on one line, without what is zero."""
    parts: Mapping[str, int] = {
        "complete": counts.complete,
        "pruned": counts.pruned,
        "failed": counts.failed,
        "running": counts.running,
        "waiting": counts.waiting,
    }
    return ", ".join(f"{number} {name}" for name, number in parts.items() if number) or "none yet"


def correction(corrected: Correction) -> dict[str, Any] | None:
    """A corrected value as ``best --json`` gives it."""
    if corrected.estimate is None:
        return None
    return {
        "value": corrected.estimate.value,
        "low": corrected.estimate.low,
        "high": corrected.estimate.high,
        "chosen_from": corrected.chosen_from,
    }


def corrected(study: Study, corrected: Correction) -> str:
    """What is to be expected of the best trial's weights on other examples, in one sentence."""
    if corrected.estimate is None:
        return f"no corrected value: {corrected.reason}"
    said = (
        f"corrected for choosing the best of {corrected.chosen_from}: "
        f"{study.search.metric} {estimate(corrected.estimate)} with the same seed"
    )
    if corrected.led:
        said += "; the search itself used these examples, which this does not correct"
    return said


def estimate(found: Estimate | None, digits: int = 3) -> str:
    """A value with its 95 % interval: ``0.71 (0.66 to 0.75)``."""
    if found is None:
        return "-"
    value, low, high = (value_(each, digits) for each in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})"


def chance(probability: float) -> str:
    """A probability as draws tell it: never that something is certain."""
    if probability < 0.005 or probability >= 0.995:
        return "<0.01" if probability < 0.5 else ">0.99"
    return f"{probability:.2f}"


def edge(found: Edge) -> str:
    """That a value lies at the end of its range, and the range to try, in one sentence."""
    end = "low" if found.low else "high"
    return (
        f"{found.path} = {value_(found.value)} lies at the {end} end of its range, "
        f"{value_(found.searched.low)} to {value_(found.searched.high)}; a range to try: "
        f"{inline(found.wider.table())}"
    )


def rounds(known: Sequence[Round], trials: Sequence[Trial], budget: int) -> list[dict[str, Any]]:
    """A study's rounds as ``status --json`` gives them."""
    return [
        {
            "round": each.number,
            "trials": each.planned(budget),
            "finished": sum(trial.state.finished for trial in each.among(trials)),
            "epochs": each.epochs,
            "ranges": {path: open_.table() for path, open_ in each.space.items()},
        }
        for each in known
    ]


def size_of_front(members: Sequence[Placed]) -> str:
    """How many trials are on the front, and which the first is."""
    if len(members) == 1:
        return f"Pareto front: trial {members[0].trial.number} alone"
    return f"Pareto front: {len(members)} trials, none of which surpasses another"


def table_of_front(study: Study, members: Sequence[Placed]) -> tuple[list[str], list[list[str]]]:
    """The front for people: a head, and a row a trial."""
    keys = [path.partition(".")[2] for path in study.space]
    rows = [
        [
            str(one.trial.number),
            *map(value_, one.values),
            *(value_(one.trial.params.get(path)) for path in study.space),
        ]
        for one in members
    ]
    return ["trial", study.search.metric, *study.search.also, *keys], rows


def front(study: Study, members: Sequence[Placed]) -> list[dict[str, Any]]:
    """The trials that no other surpasses, as ``best --json`` gives them."""
    names = (study.search.metric, *study.search.also)
    return [
        {
            "number": one.trial.number,
            "values": dict(zip(names, one.values, strict=True)),
            "params": dict(one.trial.params),
        }
        for one in members
    ]


def searched(open_: Range | Choices) -> str:
    """A range or choices as a person reads them."""
    if isinstance(open_, Choices):
        return ", ".join(map(str, open_.choices))
    return f"{value_(open_.low, 3)} to {value_(open_.high, 3)}"


def caution(study: Study, counts: Counts, validation: int | None) -> str:
    """What the best value is not (the winner's curse); empty where that is no question.

    The best of several was chosen by the validation part. One that was stopped early was looked at,
    too. A metric of the training part chooses nothing by what is promised to be unseen.
    """
    looked = counts.complete + counts.pruned
    if looked < 2 or not study.search.metric.startswith("val"):
        return ""
    on = "" if validation is None else f" on {validation:,} validation examples"
    other = "more" if study.search.direction == "maximize" else "less"
    return f"the best of {looked}{on} is optimistic: expect no {other} on other examples"


def duration(seconds: float) -> str:
    """A time span as a person reads it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
