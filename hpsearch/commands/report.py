"""Which command draws a study? Once, or again and again while it runs."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch import settings
from hpsearch.commands.printing import out, say
from hpsearch.commands.wiring import Name, open_store, unchanged_trainer
from hpsearch.errors import TrackingError
from hpsearch.text import word

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpsearch.ledger.records import StudyRecord
    from hpsearch.ledger.store import Store
    from hpsearch.training.seam import Trainer

app = typer.Typer()

LOOK = 0.5
"""Seconds between two looks at the store."""
SHARE = 3.0
"""How many times as long as the page took to draw, it is left as it is: others need the cores."""


@app.command(epilog="Example: hpsearch report book --out figures")
def report(
    name: Name,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="The folder to write to. Default: reports in HPSEARCH_HOME.",
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Write the page again and again until the study is done."),
    ] = False,
) -> None:
    """Write a report: one HTML page, and figures as PNG. The study's MLflow run gets them, too."""
    from hpsearch.report import figures as reports
    from hpsearch.report import page as pages

    places = settings.read()
    store = open_store()
    record = store.study(name)
    place = folder or places.home / "reports"

    @cache
    def trainer() -> Trainer:
        return unchanged_trainer(record)

    if watch:
        _follow(store, record, trainer, place)
        record = store.study(name)
    text = pages.html(store, record, trainer)
    figures = reports.draw(store, record, trainer)
    files = [pages.write(text, name, place), *reports.write(figures, place)]
    for file in files:
        out(file)
    try:
        if not reports.track(places, record, files):
            say(
                f"hpsearch: {name!r} has no MLflow run for this report yet; to create it, run: "
                f"{settings.program()} sync {word(name)}"
            )
    except TrackingError as error:
        say(f"hpsearch: {error}; the report was not added to MLflow")


def _follow(store: Store, record: StudyRecord, trainer: Callable[[], Trainer], place: Path) -> None:
    """Write a page that reloads itself whenever trials have ended, until all have."""
    from hpsearch.report import page as pages

    drawn = 0
    while not (counts := store.counts(record.id)).done:
        if counts.finished == drawn:
            time.sleep(LOOK)
            continue
        began = time.monotonic()
        text = pages.html(store, store.study(record.name), trainer, live=True)
        file = pages.write(text, record.name, place)
        if not drawn:
            say(f"hpsearch: {file} follows the study; to end this, press Ctrl-C")
        drawn = counts.finished
        time.sleep(SHARE * (time.monotonic() - began))
