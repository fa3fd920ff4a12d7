"""What is said of a finished study in numbers? All of it follows from its trials."""

from __future__ import annotations

from typing import Any

from hpsearch.ledger.records import StudyRecord, digest
from hpsearch.ledger.store import Store
from hpsearch.trust.estimate import correction


def numbers(store: Store, record: StudyRecord) -> dict[str, Any]:
    """Counts, digest, the best trial, and its value corrected for the choice."""
    counts = store.counts(record.id)
    best = store.best(record)
    honest = correction(store, record).estimate
    return {
        "complete": counts.complete,
        "pruned": counts.pruned,
        "failed": counts.failed,
        "digest": digest(store.finished(record.id), store.steps(record.id)),
        "best": best
        and {
            "number": best.number,
            "value": best.value,
            "weights_sha256": best.weights_sha256,
        },
        "corrected": honest and [honest.value, honest.low, honest.high],
        "test_opened": len(record.openings),
    }
