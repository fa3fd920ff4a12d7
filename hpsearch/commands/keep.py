"""Which commands keep things? The projections, and copies of the store."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpsearch import settings
from hpsearch.commands import complete, secret_files
from hpsearch.commands.printing import out, say
from hpsearch.commands.wiring import (
    Name,
    ask,
    open_store,
    own_home,
    signals,
    trainer_of,
)
from hpsearch.errors import StoppedError, StoreAwayError, StoreOpenError, UsageError
from hpsearch.threads import begin

if TYPE_CHECKING:
    from hpsearch.ledger.records import StudyRecord, Trial
    from hpsearch.ledger.store import Store
    from hpsearch.trust.reproduce import Reproduction

app = typer.Typer()


@app.command(epilog="Example: hpsearch sync book --follow")
def sync(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A study. Default: all studies.")
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Keep running, and write trials as they finish."),
    ] = False,
) -> None:
    """Write the trials that MLflow and Optuna's storage are missing."""
    from hpsearch.projections.projector import Projector, mend
    from hpsearch.trust.reproduce import confirm

    places = settings.read()
    store = open_store()

    def retrain(record: StudyRecord) -> Callable[[Trial], Reproduction]:
        return lambda trial: confirm(
            store, record, trial, trainer_of(record.study, record.folder), places
        )

    def projector(record: StudyRecord) -> Projector:
        return Projector(store, record.name, places, retrain=retrain(record))

    records = [store.study(name)] if name else store.studies()
    if not follow:
        for record in records:
            written = mend(store, record, places, retrain(record))
            for line in written.removed:
                say(line)
            out(
                f"{record.name}: {written.optuna} trials written to Optuna's storage, "
                f"{written.mlflow} to MLflow"
            )
        return
    stop = threading.Event()
    with signals(stop.set, lambda: os._exit(130)) as received:
        _follow(store, name, projector, stop)
    if received:
        raise typer.Exit(128 + received[0])


def _follow(store: Store, name: str | None, projector: Any, stop: threading.Event) -> None:
    """Follow one study, or every study there is and every one that comes."""
    from hpsearch.ledger.database import load_orm

    load_orm()
    threads: dict[int, threading.Thread] = {}
    away = False
    while not stop.is_set():
        try:
            for record in [store.study(name)] if name else store.studies():
                if record.id not in threads:
                    threads[record.id] = threading.Thread(
                        target=projector(record).follow, args=(stop, say), daemon=True
                    )
                    begin(threads[record.id])
            away = False
        except StoreAwayError as error:
            if not away:
                say(f"hpsearch: {error}; waiting until it is back")
            away = True
        stop.wait(1.0)
    for thread in threads.values():
        thread.join(4.0)


@app.command(epilog="Example: hpsearch backup studies-friday.db")
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Copy the study store to a file. It may be in use."""
    from hpsearch.ledger.backup import backup as copy

    content = copy(open_store().database, file, force=force)
    out(f"{file}: contains {content}")


@app.command(epilog="Example: hpsearch restore studies-friday.db && hpsearch sync")
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `backup` wrote.")],
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace a store that has studies. It is kept."),
    ] = False,
) -> None:
    """Restore a backup; then run `sync` to update MLflow."""
    from hpsearch.ledger.backup import restore as put_back

    places = settings.read()
    own_home(places, create=True)
    stop = threading.Event()
    with signals(stop.set, lambda: None) as received:
        try:
            content, kept = put_back(places.storage, file, force=force, stop=stop.is_set)
        except StoppedError as error:
            say(f"hpsearch: {error}")
            raise typer.Exit(128 + received[0]) from error
    if kept is not None:
        out(f"the old store is kept as {kept}")
    out(f"restored {content}; to update MLflow, run: hpsearch sync")


@app.command(epilog="Example: hpsearch copy --to postgresql+psycopg://me@host/hpsearch")
def copy(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAMES", help="Studies. Default: all.", autocompletion=complete.studies
        ),
    ] = None,
    to: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="The address of the other store, as in HPSEARCH_STORAGE, or a file with it.",
        ),
    ] = "",
) -> None:
    """Copy studies to another store, from SQLite to PostgreSQL or back.

    Numbers, values, curves, leases and digests stay what they are. Go on with one of the two
    stores only. `sync`, run on the other one, writes what its MLflow is missing.
    """
    from hpsearch.ledger.database import Database
    from hpsearch.ledger.moving import move
    from hpsearch.ledger.store import Store

    if not to:
        raise UsageError("copy: name the other store with --to")
    source = open_store()
    chosen = [source.study(name) for name in names or []] or source.studies()
    for record in list(chosen):
        known = {each.name for each in chosen}
        chosen += [each for each in _below(source, record.name) if each.name not in known]
    for record in chosen:
        source.refuse_running(record.id)
    url = secret_files.secret(f"--to {to}", Path(to)) if Path(to).is_file() else to
    try:
        target = Store(Database(url))
    except StoreOpenError as error:
        raise type(error)(str(error).replace("HPSEARCH_STORAGE", "--to")) from error
    for record in chosen:
        digest = move(source, target, record)
        count = source.counts(record.id)
        out(f"{record.name}: {count.finished} of {count.budget} trials, digest {digest}")
    out(
        f"copied to {target.database.where}; set HPSEARCH_STORAGE to it, and to update MLflow, "
        f"run: hpsearch sync"
    )


@app.command(epilog="Example: hpsearch delete book --yes")
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    no_tracking: Annotated[
        bool, typer.Option("--no-tracking", help="Keep its MLflow runs.")
    ] = False,
) -> None:
    """Delete a study, its copy in Optuna's storage and its MLflow runs."""
    from hpsearch.projections import projector
    from hpsearch.work.shelf import shelf

    store = open_store()
    record = store.study(name)
    below = _below(store, name)
    counts = store.counts(record.id)
    if not yes:
        also = f", and {', '.join(other.name for other in below)}" if below else ""
        ask(f"Delete {name!r} with its {counts.finished} trials{also}?")
    for each in (*below, record):
        store.refuse_running(each.id)
    for each in (*below, record):
        _end_opening(store, each)
        projector.delete(store, each, settings.read(), tracking=not no_tracking)
        store.delete(each.id)
        shelf(settings.read(), each).empty()
        out(f"{each.name}: deleted")
    if record.openings:
        say(
            f"hpsearch: the test part of {name!r} has been opened; a new study of this name will "
            f"not know of it"
        )


def _below(store: Store, name: str) -> list[StudyRecord]:
    """The studies that were made of a study's trials: its confirmation, say."""
    given = [(other, other.study.given) for other in store.studies()]
    return [other for other, of in given if of is not None and of.study == name]


def _end_opening(store: Store, record: StudyRecord) -> None:
    """A test part that was opened stays so, though what it showed is not to be known any more."""
    from hpsearch.ledger import openings
    from hpsearch.trust.confirming import find
    from hpsearch.trust.opening import opened

    given = record.study.given
    above = find(store, given.study) if given is not None and given.part == "test" else None
    if above is not None:
        result = replace(
            opened(store, above, record), value=None, low=None, high=None, out="it was deleted"
        )
        openings.close(store.database, above, record.name, result)
