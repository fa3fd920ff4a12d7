"""What does the ledger promise of a trial that trains several times? And of one that does so once.

Its folds say which epochs of its curve belong to which training; its value is their mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from hpsearch.verify.ledger_reading import Ledger
from hpsearch.verify.look import Look
from hpsearch.verify.pieces import counts, pieces
from hpsearch.verify.trial_row import TrialRow


def folds(seen: Look) -> Iterator[str]:
    """A trial has a fold for each training that ended, with its epochs and its value."""
    ledger = seen.ledger
    for trial in ledger.trials.values():
        said = f"trial {trial.number}"
        if trial.folds is None:
            yield f"the folds of {said} are not a list of epochs, weights and values"
            continue
        if ledger.trainings == 1 or not trial.finished:
            if trial.folds:
                yield f"{said} is {trial.state}, but has {len(trial.folds)} folds"
            continue
        rows = seen.rows(trial)
        epochs = sum(each for each, _, _ in trial.folds)
        whole = trial.state == "COMPLETE" or (
            trial.state == "PRUNED" and trial.reason not in ("diverged", "race")
        )
        if epochs > len(rows) or (whole and epochs < len(rows)):
            yield f"{said} ran {len(rows)} epochs, but its folds have {epochs}"
            continue
        if trial.state == "COMPLETE" and len(trial.folds) != ledger.trainings:
            yield f"{said} is COMPLETE, but has {len(trial.folds)} of {ledger.trainings} folds"
        own = pieces(ledger, trial, rows)
        for place, ((_, _, value), piece) in enumerate(zip(trial.folds, own, strict=True), 1):
            if len(piece) and float(piece[counts(ledger, trial, piece), ledger.metric]) != value:
                yield f"fold {place} of {said} has value {value!r}, but its curve says otherwise"
        yield from _mean(ledger, trial)


def _mean(ledger: Ledger, trial: TrialRow) -> Iterator[str]:
    """A COMPLETE trial's value is the mean, in which each validation example counts once."""
    if trial.state != "COMPLETE" or trial.value is None or not trial.folds:
        return
    weights = [weight for _, weight, _ in trial.folds]
    total = sum(weights)
    mean = sum(weight * value for _, weight, value in trial.folds) / max(total, 1)
    if not math.isclose(mean, trial.value, rel_tol=1e-12, abs_tol=1e-300):
        said = f"trial {trial.number} has value {trial.value!r}"
        yield f"{said}, but the mean of its folds is {mean!r}"
    data = ledger.definition.get("data", {})
    examples = data.get("train") if "folds" in data else len(weights)
    if total != examples and "duplicates" not in data:
        yield f"the folds of trial {trial.number} count {total} examples, not {examples}"
