"""How is a study looked at that is in no store here? In a store that is gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.errors import NotComparableError, StoreError, UsageError

if TYPE_CHECKING:
    from hpsearch.ledger.database import Database
    from hpsearch.ledger.records import StudyRecord
    from hpsearch.ledger.store import Store
    from hpsearch.ledger.transfer import Taken
    from hpsearch.settings import Settings


@contextmanager
def opened(taken: Taken, where: str, places: Settings) -> Iterator[tuple[Store, StudyRecord]]:
    """A study in the store of a workspace.

    Args:
        taken: The study.
        where: Where it comes from.
        places: The workspace.

    Raises:
        UsageError: If it is none.
    """
    from hpsearch.ledger.database import Database
    from hpsearch.ledger.store import Store

    database = Database(places.storage)
    try:
        enter(database, taken, where)
        store = Store(database)
        yield store, store.study(taken.name)
    finally:
        database.engine.dispose()


def enter(database: Database, taken: Taken, where: str) -> None:
    """Enter a study from elsewhere; what is none is the fault of where it comes from.

    Raises:
        UsageError: If it is none, or its name is taken.
    """
    from hpsearch.ledger.transfer import put

    try:
        put(database, taken, where)
    except StoreError as error:
        raise UsageError(str(error)) from error


def with_data(taken: Taken, places: Settings) -> Taken:
    """The same with the name that its data has here.

    Raises:
        UsageError: If it trains by a program of its own, which is somebody else's.
        NotComparableError: If its data is neither under its name nor below the current folder.
    """
    from hpsearch.data.again import found

    data = taken.definition.get("data")
    if data is None:
        raise UsageError(
            f"{taken.name!r} runs a training of its own, and nobody else's code is run from here; "
            f"use `hpsearch reproduce {taken.name}` in a workspace that has the study (`hpsearch "
            f"import` enters an exported one), after a look at `hpsearch config`"
        )
    digest = str(taken.data.get("dataset", ""))
    task = data.get("task", "classification")
    spec = found(data["dataset"], digest, Path.cwd(), cache=places.cache, task=task)
    if spec is None:
        raise NotComparableError(
            f"the data {data['dataset']} with sha256 {digest[:12]} is neither at its place nor "
            f"below the current folder; change to a folder that has it"
        )
    return replace(taken, definition={**taken.definition, "data": {**data, "dataset": spec}})
