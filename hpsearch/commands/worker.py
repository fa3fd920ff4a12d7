"""What does ``worker`` do? It joins a study, on this host or another, until that has ended."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch import settings
from hpsearch.commands.printing import say
from hpsearch.commands.wiring import MOST, Name, open_store, signals, unchanged_trainer
from hpsearch.errors import HpsearchError, StoreAwayError

if TYPE_CHECKING:
    from hpsearch.ledger.records import StudyRecord
    from hpsearch.ledger.store import Store
    from hpsearch.work.limits import Limits

HEALTH = 60.0  # seconds between two lines in which a worker says how far its study is

app = typer.Typer()


@app.command(epilog="Example: hpsearch worker book")
def worker(
    name: Name,
    max_trials: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="End after this many trials.")
    ] = None,
    max_time: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="Begin no trial after this many seconds."),
    ] = None,
    idle_exit: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="End after waiting this long for a trial while other workers run theirs.",
        ),
    ] = None,
    held: Annotated[str | None, typer.Option("--held", metavar="CODE_SHA256", hidden=True)] = None,
    tied: Annotated[str | None, typer.Option("--tied", metavar="CODE_SHA256", hidden=True)] = None,
) -> None:
    """Work on a study that was started elsewhere."""
    from hpsearch.work.limits import Limits

    limits = Limits(max_trials, max_time, idle_exit)
    if tied is not None:
        _work(name, tied, limits)
        return
    from hpsearch.ledger.leases import stopped
    from hpsearch.tied import tie
    from hpsearch.work.launch import Launch
    from hpsearch.work.session import why_stopped

    if held is not None:
        _refuse_other_code(held)
    store = open_store()
    record = store.study(name)
    unchanged_trainer(record)
    store.touch(record.id)
    # In a process of its own, so that this one is left to count whom a trial takes down.
    launch = Launch(store, record, settings.read(), workers=1, projector=None, limits=limits)
    before = launch.counts
    say(f"hpsearch: working on {name}: {_standing(store, record)}")
    if held is not None:  # by whoever started it, on a scheduler's behalf
        tie(launch.stop)
    healthy = time.monotonic()
    with signals(launch.stop, launch.kill) as received:
        for progress in launch.watch():
            for message in progress.messages:
                say(f"hpsearch: {message}")
            if time.monotonic() - healthy >= HEALTH:
                healthy = time.monotonic()
                with suppress(StoreAwayError):
                    say(f"hpsearch: {_standing(store, record)}")
    if launch.stopped:
        say("hpsearch: stopped; run the same command to resume")
        raise typer.Exit(128 + (received or [signal.SIGTERM])[0])
    if launch.failure is not None:
        raise launch.failure
    after = store.counts(record.id)
    since = after.finished - before.finished
    say(f"hpsearch: {_standing(store, record)}, {since} of them since this worker started")
    if not after.done and stopped(store.database, record.id):
        raise HpsearchError(why_stopped(store, record))


def _standing(store: Store, record: StudyRecord) -> str:
    counts = store.counts(record.id)
    return f"{counts.finished} of {counts.budget} trials have finished"


def _refuse_other_code(code: str) -> None:
    from hpsearch.trust import environment

    if environment.code() != code:
        raise HpsearchError(
            f"the code in {environment.ROOT} has changed since this run started; run the same "
            f"command to resume with the new code"
        )


def _work(name: str, code: str, limits: Limits) -> None:
    """What a process does that a launcher with that code has started and tied to itself."""
    from hpsearch.ledger.owner import Owner
    from hpsearch.tied import tie
    from hpsearch.work.shelf import shelf
    from hpsearch.work.worker import Worker, patiently

    _refuse_other_code(code)
    stop, owner = threading.Event(), Owner.of(launcher=os.getppid())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's is for the launcher, who says so
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    tie()
    # One that takes another's place during an outage waits for its end, as the others do.
    store = patiently(stop, open_store)
    record = patiently(stop, lambda: store.study(name))
    paused = shelf(settings.read(), record)
    Worker(store, record, unchanged_trainer(record), owner, paused).run(stop, limits)
    if stop.is_set():
        raise typer.Exit(128 + signal.SIGTERM)
