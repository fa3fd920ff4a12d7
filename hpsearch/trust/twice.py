"""Does a training of one's own give the same twice? Asked early, not at the end of a night."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hpsearch.errors import HpsearchError
from hpsearch.ledger.records import State, StudyRecord
from hpsearch.ledger.store import Store
from hpsearch.settings import Settings
from hpsearch.training.seam import Trainer
from hpsearch.trust.reproduce import reproduce

_LOOK = 0.5  # seconds between two looks for a COMPLETE trial


def watch_first(
    store: Store,
    record: StudyRecord,
    trainer: Callable[[], Trainer],
    places: Settings,
    stop: threading.Event,
    say: Callable[[str], None],
) -> None:
    """Wait for a study's first COMPLETE trial, train it a second time, and say if it differs.

    Args:
        store: The ledger.
        record: The study.
        trainer: Gives what trains it, for this alone.
        places: The workspace.
        stop: Set when nobody waits for that any more.
        say: Is told, in a line.
    """
    try:
        while not (found := store.trials(record.id, [State.COMPLETE])):
            if stop.wait(_LOOK):
                return
        outcome = reproduce(store, record, found[0], trainer(), places)
    except HpsearchError:  # the store is away, or the study deleted: others say so
        return
    except (OSError, ValueError):  # this process is ending, and has closed what the training needs
        if stop.is_set():
            return
        raise
    if not outcome.agrees and outcome.rounds_alike:
        say(
            f"trial {outcome.number}, trained a second time, does NOT reproduce: "
            f"{outcome.first_difference}; make everything random in it depend on its seed"
        )
