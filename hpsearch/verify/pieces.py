"""Which epochs of a trial's curve count? Those that its trainings ended with, and kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hpsearch.verify.ledger_reading import Ledger
from hpsearch.verify.trial_row import TrialRow

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
