"""Did the study end where its file says, if it ended before it had all its trials?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hpsearch.study.rounds import round_of
from hpsearch.verify.ledger_reading import Ledger
from hpsearch.verify.look import Look

KEYS = ("target", "patience", "gain", "max_epochs", "max_time")


def ended(seen: Look) -> Iterator[str]:
    """A key of the study file ended it, with its next trial, and the trials say so, too."""
    ledger = seen.ledger
    if not ledger.ended:
        return
    by, at = ledger.ended.get("by"), ledger.ended.get("at")
    said = f"the study ended at trial {at} by {by}"
    search: Mapping[str, Any] = ledger.definition["search"]
    if by not in KEYS or at != ledger.next_number:
        yield f"{said}, but its next trial is {ledger.next_number}"
    elif by not in search:
        yield f"{said}, which the study file does not have"
    elif not _holds(ledger, str(by), search):
        yield f"{said}, but its trials do not say so"


def _holds(ledger: Ledger, by: str, search: Mapping[str, Any]) -> bool:
    """Whether the trials that count say that the next one is not to be."""
    counted = [trial for _, trial in sorted(ledger.trials.items()) if not trial.hidden]
    last = ledger.next_number - search["lag"]
    old = [trial for trial in counted if trial.number <= last and trial.state == "COMPLETE"]
    up = 1.0 if search["direction"] == "maximize" else -1.0
    values = [up * trial.value for trial in old if trial.value is not None]
    best = max(values, default=-math.inf)
    if by == "target":
        return bool(best >= up * search["target"])
    if by == "patience":
        first = next((t.number for t in old if t.value == up * best), -1)
        return bool(last - first >= search["patience"])
    if by == "gain":
        return len(values) >= 20 and best - _of_half(values) < _asked(ledger, search, best)
    if by == "max_epochs":
        return bool(
            sum(t.epochs - t.before for t in counted) + _next(ledger) > search["max_epochs"]
        )
    return True  # only the clock knows


def _of_half(values: Sequence[float]) -> float:
    """The expected best of half of the values, drawn without replacement."""
    many, half = len(values), (len(values) + 1) // 2
    every = math.comb(many, half)
    return math.fsum(
        value * (math.comb(place, half - 1) / every) for place, value in enumerate(sorted(values))
    )


def _asked(ledger: Ledger, search: Mapping[str, Any], best: float) -> float:
    if search["gain"] != "noise":
        return float(search["gain"]) * (1 + 1e-9)
    data = ledger.definition["data"]
    every = "folds" in data and "fold" not in data
    part = 1.0 if every else data["validation"]
    examples = part if isinstance(part, int) else max(round(data["train"] * part), 1)
    return math.sqrt(best * (1 - best) / examples) * (1 + 1e-9)


def _next(ledger: Ledger) -> int:
    """The epochs that the next trial might have taken, all its folds together."""
    said = ledger.objective or ledger.definition["training"]
    epochs = said["epochs"]
    if isinstance(epochs, list):
        epochs = epochs[round_of(ledger.rounds, ledger.next_number)]
    if isinstance(epochs, dict):
        epochs = max(epochs.get("choices", []), default=epochs.get("high", 0))
    return int(epochs) * ledger.trainings
