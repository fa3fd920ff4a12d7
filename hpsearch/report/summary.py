"""What was searched, and what came out? In words, and what must be said beside the numbers."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hpsearch.data.facts import remarks
from hpsearch.ledger.front import front
from hpsearch.ledger.ranking import tie
from hpsearch.ledger.records import Counts, State, StudyRecord, Trial
from hpsearch.report import trials, views, words
from hpsearch.report.trials import (
    Ending,
    Finished,
    counted,
    maximizes,
    metric_name,
    parts,
)
from hpsearch.search.edges import edges
from hpsearch.study.config import Choices, Study
from hpsearch.study.rounds import EPOCHS
from hpsearch.trust.estimate import Correction
from hpsearch.trust.selection import Estimate
from hpsearch.trust.tuning_curve import tuning_curve

FEWEST = 20
"""Trials, below which half of them say nothing of what more are worth."""

SAMPLERS = {"tpe": "TPE", "qmc": "QMC", "cmaes": "CMA-ES", "gp": "GP", "nsgaii": "NSGA-II"}
"""The names that are written otherwise in a text than in a study file."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What trials of one ending cost."""

    ending: str
    trials: int
    epochs: int
    seconds: float
    """From their first start to their end, summed."""


def paragraph(
    record: StudyRecord, finished: Sequence[Finished], failed: int, best: Finished | None
) -> str:
    """What was searched and what came out, to paste."""
    study = record.study
    said = [_searched(study)]
    on = _trained_on(study)
    if study.space:
        tried = counted(finished, failed)
        sampler = words.capital(SAMPLERS.get(study.search.sampler, study.search.sampler))
        said.append(f"{sampler} search tried {tried} {on}.")
    else:
        said.append(f"It was trained {on}.")
    if record.ended is not None:
        said.append(f"It {record.ending}.")
    if best is not None:
        values = (
            words.listed(
                f"{path.partition('.')[2]} = {words.value(value)}"
                for path, value in best.trial.params.items()
            )
            if best.trial.params
            else "its only configuration"
        )
        said.append(
            f"The best {metric_name(study.search.metric)}, {words.value(best.trial.value)}, was "
            f"reached by trial {best.trial.number}: {values}."
        )
        tied = sum(f.trial.value == best.trial.value for f in finished)
        if told := tie(study, tied):
            said.append(f"{told}.")
        known = record.reproduced or {}
        if known.get("recorded_sha256") == best.trial.weights_sha256 and known.get("identical"):
            said.append("Training it again gave the same bits.")
    else:
        said.append("No trial completed.")
    return " ".join(said)


def cautions(
    record: StudyRecord,
    counts: Counts,
    finished: Sequence[Finished],
    best: Finished | None,
    band: Estimate | None,
    correction: Correction,
) -> Iterator[str]:
    """What the best value is not, a sentence each."""
    study = record.study
    yield from (f"{words.capital(remark)}." for remark in remarks(record.data_facts))
    if best is None:
        return
    metric = study.search.metric
    if len(finished) > 1 and not metric.startswith("train_"):
        measured = parts(study)
        yield f"{words.capital(views.caution(study, counts, measured and measured[1]))}."
        if correction.estimate is not None:
            yield f"{words.capital(views.corrected(study, correction))}."
    if metric.startswith("train_"):
        yield (
            f"The {metric_name(metric)} shows how well the training examples were learned. It says "
            f"nothing about other examples."
        )
    if band is not None:
        _, examples = parts(study) or (0, 0)
        value = best.trial.value or 0.0
        near = sum(
            f.trial.value is not None
            and f is not best
            and abs(f.trial.value - value) <= _half(band)
            for f in finished
        )
        yield (
            f"Measured on {examples:,} examples, an accuracy of {value:.1%} has a 95 % interval of "
            f"{band.low:.1%} to {band.high:.1%}."
            + (f" {words.capital(words.count(near, 'other trial'))} lie within it." if near else "")
        )
    if study.fixed.get("training", {}).get("patience") or "training.patience" in study.space:
        yield (
            "Patience chose the epoch of each value on the validation part, which then ranked the "
            "trials. This makes the values more optimistic."
        )
    yield from worth(study, [f.trial.value for f in finished if f.trial.value is not None])
    pairs = [(f.trial, f.curve) for f in finished]
    members = front(study, pairs) if study.search.also else []
    for edge in edges(study, study.space, best.trial.params, [m.trial.params for m in members]):
        yield f"The best trial's {views.edge(edge)}."


def worth(study: Study, values: Sequence[float]) -> Iterator[str]:
    """What the second half of the trials was worth, where each was drawn for itself."""
    search = study.search
    if search.sampler != "random" or search.led or len(values) < FEWEST:
        return
    curve = tuning_curve(np.array(values, dtype=np.float64), maximize=maximizes(study))
    half = (len(values) + 1) // 2
    yield (
        f"Of {len(values)} trials, {half} would have found {words.value(curve.expected[half - 1])} "
        f"on average. The other half was worth {words.value(curve.doubling)}."
    )


def efforts(finished: Sequence[Finished], failed: Sequence[Trial]) -> list[Effort]:
    """Time and epochs by how the trials ended."""
    groups: dict[str, list[Trial]] = {
        str(ending): [f.trial for f in finished if f.ending is ending] for ending in Ending
    }
    groups["failed"] = list(failed)
    return [
        Effort(name, len(of), sum(t.trained for t in of), sum(map(_seconds, of)))
        for name, of in groups.items()
        if of
    ]


def reasons(failed: Sequence[Trial]) -> Mapping[str, list[int]]:
    """Why trials failed, by reason their numbers."""
    by_reason: dict[str, list[int]] = {}
    for trial in failed:
        assert trial.state is State.FAIL
        by_reason.setdefault(trial.reason or "no recorded reason", []).append(trial.number)
    return by_reason


def _searched(study: Study) -> str:
    if not study.space:
        return f"Study {study.name} trained one configuration."
    told = []
    for path, open_ in study.space.items():
        name = path.partition(".")[2]
        if study.epochs_by_round and path == EPOCHS:
            continue
        if isinstance(open_, Choices):
            choices = words.several([words.value(choice) for choice in open_.choices], 8)
            told.append(f"{name} ({words.listed(choices)})")
        else:
            log = ", log scale" if open_.log else ""
            told.append(f"{name} ({words.value(open_.low)} to {words.value(open_.high)}{log})")
    better = "highest" if maximizes(study) else "lowest"
    kind = metric_name(study.search.metric)
    rounds = ""
    if study.search.rounds:
        rounds = f", in {len(study.search.rounds)} rounds"
    if study.epochs_by_round:
        rounds += f" of {words.listed(map(str, study.epochs_by_round))} epochs"
    over = words.listed(told) if told else "nothing else"
    return f"Study {study.name} searched for the {better} {kind} over {over}{rounds}."


def _trained_on(study: Study) -> str:
    if study.objective is not None:
        return f"with {study.objective.function or shlex.join(study.objective.command or [])}"
    assert study.data is not None
    return f"on {study.data.dataset} ({trials.examples(study)})"


def _half(band: Estimate) -> float:
    return (band.high - band.low) / 2


def _seconds(trial: Trial) -> float:
    return max((trial.ended or trial.started) - trial.started, 0.0)
