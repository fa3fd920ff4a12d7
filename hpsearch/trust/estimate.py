"""What may be said of a study's best value, beside that it is the best?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hpsearch.ledger.records import StudyRecord
from hpsearch.ledger.store import Store
from hpsearch.trust.selection import Estimate, corrected


@dataclass(frozen=True, slots=True)
class Correction:
    """The best value, corrected for having been chosen; or why it is not."""

    estimate: Estimate | None
    chosen_from: int
    """COMPLETE trials."""
    led: bool
    """Whether later trials were led by the values of earlier ones, which it cannot correct for."""
    reason: str | None
    """Why there is no estimate."""


def correction(store: Store, record: StudyRecord) -> Correction:
    """Correct the best value for having been chosen among the COMPLETE trials.

    The draws are seeded by ``search.seed``, so that it is the same number every time.
    """
    search = record.study.search
    complete = store.counts(record.id).complete
    outcomes = store.outcomes(record.id)
    led = search.led
    reason = None
    if search.also:
        reason = "with several objectives, no single value was chosen"
    elif not search.metric.startswith("val_"):
        reason = f"{search.metric} is not measured on a validation part"
    elif complete < 2:
        reason = "there are fewer than two complete trials"
    elif record.study.data is not None and record.study.data.task == "regression":
        reason = "a regression scores no single example"
    elif len(outcomes) < complete:
        reason = "not all trials recorded a score for each example"
    elif len({(scores.dtype.str, len(scores)) for scores in outcomes.values()}) > 1:
        reason = "not all trials were scored on the same examples"
    elif len(next(iter(outcomes.values()))) < 2:
        reason = "it needs at least two validation examples"
    if reason is not None:
        return Correction(None, complete, led, reason)
    maximize = search.direction == "maximize"
    scores = np.stack([outcomes[number] for number in sorted(outcomes)])
    estimate = corrected(scores, maximize=maximize, seed=search.seed)
    return Correction(estimate, complete, led, None)
