"""Which epochs of a trial's curve count? Those that its trainings ended with, and kept."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hpsearch.verify.ledger_reading import Ledger, TrialRow

_Rows = NDArray[np.float64]
"""(epochs, metrics)."""


def pieces(ledger: Ledger, trial: TrialRow, rows: _Rows) -> list[_Rows]:
    """The epochs of each training that has ended; all of them where it is one alone."""
    if ledger.trainings == 1:
        return [rows]
    ends = np.cumsum([epochs for epochs, _, _ in trial.folds or ()], dtype=np.int64)
    return [rows[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def counts(ledger: Ledger, trial: TrialRow, rows: _Rows) -> int:
    """The place of the epoch whose weights a training has kept: the last, or the best."""
    if ledger.setting(trial, "patience") is None or "val_loss" not in ledger.metrics:
        return len(rows) - 1
    return int(rows[:, ledger.metrics.index("val_loss")].argmin())


def best(ledger: Ledger) -> TrialRow | None:
    """The COMPLETE trial with the best value.

    Of several with that value, it is the one with the lowest validation loss, where there is one
    and the search does not look at it; and then the first.
    """
    complete = [t for t in ledger.trials.values() if t.state == "COMPLETE" and t.value is not None]
    if not complete:
        return None
    values = [trial.value for trial in complete if trial.value is not None]
    top = max(values) if ledger.definition["search"]["direction"] == "maximize" else min(values)
    tied = [trial for trial in complete if trial.value == top]
    return min(tied, key=lambda trial: (_loss(ledger, trial), trial.number))


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
