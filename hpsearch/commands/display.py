"""How does a running study look? Live on a terminal, a line for each trial elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence

from hpsearch.commands.printing import fit, say
from hpsearch.commands.sparkline import sparkline
from hpsearch.ledger.records import StudyRecord, Trial
from hpsearch.ledger.store import Store
from hpsearch.report import views, words
from hpsearch.work.launch import Launch, Progress
from hpsearch.work.news import News
from hpsearch.work.running import Now, Rate, Running

_EVERY = 30.0  # seconds without a trial's end, after which a line says how it stands
_BAR = 16  # cells of the bar where there is room,
_NAME = 20  # and of a study's name before the bar takes any
_CURVE = 16  # cells of a running trial's curve
_TRIALS = 8  # running trials that are shown, at most
_EPOCHS = "training.epochs"


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
        live(launch.watch(), record, Running(store, record))
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


def at_work(
    progress: Progress, now: Now, record: StudyRecord, *, most: int, ascii_only: bool
) -> list[str]:
    """What stands below the state: the counts, the best trial's values, and who trains what.

    Args:
        progress: How far the study is.
        now: What the workers are at.
        record: The study.
        most: Trials that are shown, at most.
        ascii_only: Whether the terminal knows ASCII alone.
    """
    rate = now.epochs_a_second
    speed = "" if not rate else f", {rate:.2g} epochs/s" if rate < 10 else f", {rate:.0f} epochs/s"
    lines = [f"  {views.counted(progress.counts)}{speed}"]
    if progress.best is not None and progress.best.params:
        lines.append(f"  best: {views.params(progress.best.params)}")
    for trial in now.trials[:most]:
        curve = sparkline(trial.values, _CURVE, ascii_only=ascii_only)
        lines.append(
            f"  trial {trial.number} {curve:{_CURVE}} {views.value_(trial.values[-1]):>7} "
            f"epoch {_epoch(len(trial.values), record)}  {views.params(trial.params)}"
        )
    if len(now.trials) > most:
        lines.append(f"  and {len(now.trials) - most} more")
    return lines


def _epoch(epochs: int, record: StudyRecord) -> str:
    """The epoch, and of how many, where that is the same for all trials."""
    total = record.study.epochs
    return f"{epochs}" if total is None or _EPOCHS in record.study.space else f"{epochs}/{total}"


def live(
    watched: Iterable[Progress], record: StudyRecord, running: Callable[[], Now] = Now
) -> None:
    """A bar that moves, and below it what the workers are at.

    A terminal that becomes narrower folds the lines that were drawn before; all its rows are
    cleared before the next ones are drawn, and that is done only where something has changed. No
    thread of Rich's draws, so that none does so in between.

    Args:
        watched: How far the study is, again and again.
        record: The study.
        running: Tells what the workers are at.
    """
    from rich.console import Console, RenderableType
    from rich.control import Control
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.segment import ControlType
    from rich.text import Text

    class Bar(Progress):
        below: Sequence[str] = ()

        def get_renderables(self) -> Iterable[RenderableType]:
            yield from super().get_renderables()
            for each in self.below:
                yield Text(each, no_wrap=True, overflow="crop")

    console = Console(stderr=True)
    name, drawn = TextColumn("{task.description}", markup=False), BarColumn(_BAR)
    columns = (name, drawn, TextColumn("{task.fields[state]}", markup=False))
    rate, shown, used = Rate(), None, list[int]()
    with Bar(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", total=record.study.search.trials, state="starting")
        for progress in watched:
            width, height = console.size
            counts = progress.counts
            # The metric's name stays out: all is to have room on 80 columns.
            state = line(progress, "", rate.update(counts.finished))
            named, cells = beside(fit(record.name, sys.stderr), state, width)
            below = [
                fit(each, sys.stderr)
                for each in at_work(
                    progress,
                    running(),
                    record,
                    most=max(min(_TRIALS, height - 5), 0),
                    ascii_only=console.options.ascii_only,
                )
            ]
            # It never becomes lower: what is below it would jump with every trial that ends.
            below += [""] * (len(bar.below) - len(below))
            now = (named, state, cells, below, width)
            if now == shown and not progress.messages:
                continue
            up = ((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1))
            console.control(Control(*up * sum(folded(each, width) for each in used)))
            for message in progress.messages:
                text = fit(f"hpsearch: {message}", sys.stderr)
                console.print(text, markup=False, highlight=False)
            shown, bar.below, drawn.bar_width = now, below, cells
            bar.update(
                task,
                completed=counts.finished,
                total=counts.budget,
                description=named,
                state=state,
                refresh=True,
            )
            # What does not fit is cut, not folded.
            first = words.cells(named) + cells + words.cells(state) + 2
            used = [min(each, width) for each in (first, *map(words.cells, below))]
