"""How does a running study look? Live on a terminal, a line for each trial elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Iterable

from hpsearch.commands.printing import fit, say
from hpsearch.ledger.records import StudyRecord, Trial
from hpsearch.ledger.store import Store
from hpsearch.report import views, words
from hpsearch.work.launch import Launch, Progress
from hpsearch.work.news import News

_EVERY = 30.0  # seconds without a trial's end, after which a line says how it stands
_WINDOW = 10.0  # seconds over which the current rate is measured, or longer:
_ENOUGH = 10  # as many trials are counted, so that slow ones do not make it jump
_BAR = 16  # cells of the bar where there is room,
_NAME = 20  # and of a study's name before the bar takes any


class Rate:
    """Trials a second, of late."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def update(self, finished: int) -> float | None:
        """The rate now; None while too little is known."""
        now = time.monotonic()
        if not self._seen or finished > self._seen[-1][1]:
            self._seen.append((now, finished))
        while len(self._seen) > 1 and self._enough(now, finished, *self._seen[1]):
            self._seen.popleft()
        (before, first) = self._seen[0]
        return (finished - first) / (now - before) if finished > first else None

    @staticmethod
    def _enough(now: float, finished: int, before: float, first: int) -> bool:
        return now - before >= _WINDOW and finished - first >= _ENOUGH


def line(progress: Progress, metric: str, rate: float | None) -> str:
    """The state of a study on one line."""
    counts, best = progress.counts, progress.best
    parts = [f"{counts.finished}/{counts.budget} trials"]
    if best is not None:
        parts.append(f"best {metric}{views.value_(best.value)} (trial {best.number})")
    if rate:
        parts.append(f"{rate:.2g}/s" if rate < 10 else f"{rate:.0f}/s")
        left = counts.budget - counts.finished
        parts.append(f"{views.duration(left / rate)} left" if left else "finishing")
    return ", ".join(parts)


def beside(name: str, state: str, width: int) -> tuple[str, int]:
    """What stands before the state on a line of ``width`` cells, so that the state is never cut.

    Returns:
        The name, shortened if it must be, and how wide the bar is. The bar is the first to shrink.
    """
    room = max(width - words.cells(state) - 2, 1)  # beside two gaps
    shown = words.shorten(name, max(room - _BAR, min(room, _NAME)))
    return shown, max(min(_BAR, room - words.cells(shown)), 0)


def watch(launch: Launch, record: StudyRecord, store: Store, how: str = "") -> None:
    """Show the progress on standard error: live on a terminal, a line for each trial elsewhere.

    Args:
        launch: What runs the study.
        record: The study.
        store: The ledger.
        how: ``quiet`` for no more than what must be told; ``json`` for a JSON object a line.
    """
    if how == "quiet":
        for progress in launch.watch():
            _messages(progress)
    elif how == "json":
        documents(launch.watch(), News(store, record))
    elif sys.stderr.isatty():
        live(launch.watch(), record)
    else:
        plain(launch.watch(), record, News(store, record))


def plain(watched: Iterable[Progress], record: StudyRecord, news: News) -> None:
    """Lines for a log: one for each trial that ends, and one now and then where none does."""
    metric = f"{record.study.search.metric} "
    rate, last = Rate(), time.monotonic()
    for progress in watched:
        _messages(progress)
        state = line(progress, metric, rate.update(progress.counts.finished))
        ended = news()
        for trial in ended:
            say(f"{record.name}: {told(trial, record)}; {state}")
        if ended:
            last = time.monotonic()
        elif time.monotonic() - last > _EVERY:
            say(f"{record.name}: {state}")
            last = time.monotonic()


def documents(watched: Iterable[Progress], news: News) -> None:
    """The same as JSON, an object a line: ``event`` is ``trial`` or ``message``."""
    for progress in watched:
        for message in progress.messages:
            say(json.dumps({"event": "message", "text": message}))
        for trial in news():
            say(json.dumps({"event": "trial", **views.trial(trial)}))


def told(trial: Trial, record: StudyRecord) -> str:
    """A trial that has ended, on one line."""
    ended = f"trial {trial.number} {trial.state}"
    if trial.value is not None:
        ended += f" {record.study.search.metric}={views.value_(trial.value)}"
    elif trial.reason:
        ended += f" ({words.shorten(trial.reason, 60)})"
    values = views.params(trial.params)
    return f"{ended} epochs={trial.epochs}" + (f" {values}" if values else "")


def _messages(progress: Progress) -> None:
    for message in progress.messages:
        say(f"hpsearch: {message}")


def folded(cells: int, width: int) -> int:
    """Rows that a line takes beyond its first where a terminal has become ``width`` wide."""
    return max(-(-cells // max(width, 1)) - 1, 0)


def live(watched: Iterable[Progress], record: StudyRecord) -> None:
    """A bar that moves.

    A terminal that becomes narrower folds the line that was drawn before; all its rows are cleared
    before the next line is drawn. No thread of Rich's draws, so that none does so in between.
    """
    from rich.console import Console
    from rich.control import Control
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.segment import ControlType

    console = Console(stderr=True)
    name, drawn = TextColumn("{task.description}", markup=False), BarColumn(_BAR)
    columns = (name, drawn, TextColumn("{task.fields[state]}", markup=False))
    rate, used = Rate(), 0
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", total=record.study.search.trials, state="starting")
        for progress in watched:
            up = ((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1))
            width = console.width
            console.control(Control(*up * folded(used, width)))
            for message in progress.messages:
                text = fit(f"hpsearch: {message}", sys.stderr)
                console.print(text, markup=False, highlight=False)
            counts = progress.counts
            # The metric's name stays out: all is to have room on 80 columns.
            state = line(progress, "", rate.update(counts.finished))
            named, cells = beside(fit(record.name, sys.stderr), state, width)
            drawn.bar_width = cells
            bar.update(
                task,
                completed=counts.finished,
                total=counts.budget,
                description=named,
                state=state,
                refresh=True,
            )
            # What does not fit is cut, not folded.
            used = min(words.cells(named) + cells + words.cells(state) + 2, width)
