"""Where could a process die? At these places the tests plug in what kills it; nothing else does."""

from __future__ import annotations

from collections.abc import Callable

SEAMS = (
    "claimed",  # a worker holds a trial, and has done nothing for it
    "shown",  # it has entered what the trial tries
    "training",  # it is half way, after the first epoch
    "trained",  # it has the result, and has not entered it
    "finished",  # it has entered it
    "run-created",  # the projector has begun an MLflow run
    "run-logged",  # and written everything into it
    "run-ended",  # and ended it, and has not marked it in the ledger
    "syncing",  # it has compared MLflow with the ledger, and has not written what is missing
)


plug: Callable[[str], None] | None = None
"""What happens at a seam: nothing, unless a test has put something here."""


def seam(name: str) -> None:
    """Come to a place where a process could die."""
    if plug is not None:
        plug(name)
