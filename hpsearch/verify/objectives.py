"""What did each trial come to, and which one is the best? With several objectives: which are?"""

from __future__ import annotations

import math

from hpsearch.verify.ledger_reading import Ledger
from hpsearch.verify.pieces import counts, pieces
from hpsearch.verify.trial_row import TrialRow


def best(ledger: Ledger) -> TrialRow | None:
    """The COMPLETE trial with the best value.

    Of several with that value, it is the best by the second objective, and so on. Then it is the
    one with the lowest validation loss, if that is no objective anyhow, and then the first.
    """
    return min(_complete(ledger), key=lambda trial: _order(ledger, trial), default=None)


def front(ledger: Ledger) -> str:
    """The trials that no other surpasses, from the best by the first objective on.

    Their numbers, with spaces between; none of a study with one objective.
    """
    if not _others(ledger):
        return ""
    every = sorted(_complete(ledger), key=lambda trial: _order(ledger, trial))
    losses = [_losses(ledger, trial) for trial in every]
    kept = [
        str(trial.number)
        for mine, trial in zip(losses, every, strict=True)
        if not any(
            its != mine and all(one <= other for one, other in zip(its, mine, strict=False))
            for its in losses
        )
    ]
    return " ".join(kept)


def values(ledger: Ledger, trial: TrialRow) -> tuple[float, ...]:
    """By each objective: what the ledger has, and the mean of what its curve has for the others."""
    others = [ledger.metrics.index(name) for name in _others(ledger)]
    curve = ledger.curves.get(trial.number)
    own = pieces(ledger, trial, curve.rows) if curve is not None and others else []
    weights = [weight for _, weight, _ in trial.folds or ()] or [1]
    if trial.value is None or not own or not all(map(len, own)) or not sum(weights):
        return () if trial.value is None else (trial.value,)
    rows = [piece[counts(ledger, trial, piece)] for piece in own]
    return (
        trial.value,
        *(
            math.fsum(w * row[column] for w, row in zip(weights, rows, strict=False)) / sum(weights)
            for column in others
        ),
    )


def _losses(ledger: Ledger, trial: TrialRow) -> tuple[float, ...]:
    """The values, where less is better."""
    ways = [ledger.definition["search"]["direction"], *_others(ledger).values()]
    signs = (-1.0 if way == "maximize" else 1.0 for way in ways)
    pairs = zip(signs, values(ledger, trial), strict=False)  # a curve may be missing
    return tuple(sign * value for sign, value in pairs)


def _complete(ledger: Ledger) -> list[TrialRow]:
    trials = ledger.trials.values()
    return [t for t in trials if t.state == "COMPLETE" and t.value is not None]


def _others(ledger: Ledger) -> dict[str, str]:
    """The objectives beside the first, by metric with their directions."""
    return dict(ledger.definition["search"].get("also", {}))


def _order(ledger: Ledger, trial: TrialRow) -> tuple[object, ...]:
    return _losses(ledger, trial), _loss(ledger, trial), trial.number


def _loss(ledger: Ledger, trial: TrialRow) -> float:
    if "val_loss" not in ledger.metrics or ledger.definition["search"]["metric"] == "val_loss":
        return 0.0
    column, curve = ledger.metrics.index("val_loss"), ledger.curves.get(trial.number)
    own = [] if curve is None else pieces(ledger, trial, curve.rows)
    if not own or not all(map(len, own)):
        return math.inf
    ends = [float(rows[counts(ledger, trial, rows), column]) for rows in own]
    if ledger.trainings == 1:
        return math.inf if math.isnan(ends[0]) else ends[0]
    weights = [weight for _, weight, _ in trial.folds or ()]
    products = [weight * end for weight, end in zip(weights, ends, strict=True)]
    return math.fsum(products) / sum(weights)
