"""Which command shows a study that runs elsewhere?"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from hpsearch.commands.printing import out, say
from hpsearch.commands.wiring import Name, open_store, signals

if TYPE_CHECKING:
    from hpsearch.ledger.records import StudyRecord
    from hpsearch.ledger.store import Store
    from hpsearch.work.launch import Progress

app = typer.Typer()

LOOK = 0.5  # seconds between two looks at the store


@app.command(epilog="Example: hpsearch watch book")
def watch(name: Name) -> None:
    """Show the progress of a study that runs in another shell, or on another host."""
    from hpsearch.commands.display import live, plain
    from hpsearch.report import views
    from hpsearch.work.news import News
    from hpsearch.work.running import Running

    store = open_store()
    record = store.study(name)
    stop = threading.Event()
    with signals(stop.set, stop.set) as received:
        watched = followed(store, record, stop)
        if sys.stderr.isatty():
            live(watched, record, Running(store, record))
        else:
            plain(watched, record, News(store, record))
    if received:
        raise typer.Exit(128 + received[0])
    counts, best = store.counts(record.id), store.best(record)
    out(f"{name}: {counts.finished} of {counts.budget} trials ({views.counted(counts)})")
    if best is not None:
        out(f"best: trial {best.number}, {record.study.search.metric} {views.value_(best.value)}")
        out(f"      {views.params(best.params)}")


def followed(store: Store, record: StudyRecord, stop: threading.Event) -> Iterator[Progress]:
    """How far a study is, until its trials have finished or the event is set."""
    from hpsearch.work.launch import Progress

    idle = False
    while not stop.is_set():
        counts = store.counts(record.id)
        messages = []
        if not counts.done and not counts.running and not idle:
            messages = ["no worker is running this study now; waiting for one"]
        idle = not counts.running
        yield Progress(counts, store.best(record), messages)
        if counts.done:
            return
        stop.wait(LOOK)
    say("hpsearch: no longer watching; the study itself was not stopped")
