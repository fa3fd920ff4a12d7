"""The line that shows how far a study is."""

from __future__ import annotations

import io
import math
import re
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from hpsearch.commands.display import beside, live
from hpsearch.commands.sparkline import sparkline
from hpsearch.ledger.records import Counts
from hpsearch.report.words import cells
from hpsearch.work.launch import Progress
from hpsearch.work.running import Current, Now, Running
from tests.conftest import study
from tests.hpsearch.workspace import Workspace, rows

STATE = "1234/10000 trials, best 0.9134 (trial 1033), 12/s, 12 min 10 s left"


@pytest.mark.parametrize("name", ["book", "a-name-of-a-study-" * 7, "研究" * 60])
@pytest.mark.parametrize("width", [72, 80, 100, 200])
def test_the_state_is_never_cut(name: str, width: int) -> None:
    """A name of any length leaves room for the time that is left."""
    shown, bar = beside(name, STATE, width)
    assert cells(shown) + 1 + bar + 1 + cells(STATE) <= width
    assert bar >= 0


def test_a_short_name_beside_a_short_state() -> None:
    """Where there is room, the name is whole and the bar has its width."""
    assert beside("book", "3/100 trials", 80) == ("book", 16)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_that_becomes_narrower(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows into which it folds the lines drawn before are cleared once, and no others are.

    What has not changed is not drawn again; two lines take one step up.
    """
    terminal, counts = _Terminal(), Counts(100, 40, 0, 0, 1, 0, 0)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("COLUMNS", raising=False)
    ups = []

    def watched() -> Iterator[Progress]:
        for columns in (90, 90, 30, 30, 30, 90):
            monkeypatch.setenv("COLUMNS", str(columns))
            terminal.truncate(0)
            yield Progress(counts, None)
            ups.append(terminal.getvalue().count("\x1b[1A"))

    live(watched(), SimpleNamespace(name="a-study-with-a-name", study=study()))
    assert ups == [0, 0, 2, 0, 0, 1]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([1.0, 2.0, 4.0, 3.0], "▁▃█▆"),
        (list(map(float, range(80))), "▁▂▃▄▅▆▇█"),
        ([5.0] * 3, "▁▁▁"),
        ([0.0, math.nan, math.inf, 1.0], "▁  █"),
        ([math.nan], " "),
        ([-1e308, 1e308], "▁▁"),
        ([], ""),
    ],
)
def test_sparkline(values: list[float], shown: str) -> None:
    """The lowest value is the lowest block; of many, each cell shows the last of its share."""
    assert shown == sparkline(values, 8)


def test_sparkline_of_an_ascii_terminal() -> None:
    """It has as many levels."""
    assert sparkline([*map(float, range(8))], 8, ascii_only=True) == ".:-=+*#%"


def drawn(
    monkeypatch: pytest.MonkeyPatch, looks: list[Now], *, columns: int = 80, encoding: str = "utf-8"
) -> list[list[str]]:
    """What stands on a terminal after each look, line by line."""
    terminal = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "24")
    best = SimpleNamespace(number=3, value=0.9, params={"training.lr": 0.01})
    screens: list[list[str]] = []
    seen = 0

    def watched() -> Iterator[Progress]:
        nonlocal seen
        for _ in looks:
            yield Progress(Counts(100, 38, 2, 0, 2, 0, 0), best)  # type: ignore[arg-type]
            terminal.flush()
            written = terminal.buffer.getvalue()[seen:].decode(encoding)  # type: ignore[attr-defined]
            seen += len(written.encode(encoding))
            plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
            lines = [text.rpartition("\r")[2] for text in plain.split("\n")]
            begun = next((i for i, text in enumerate(lines) if " trials" in text), len(lines))
            screens.append(lines[begun:])

    at = iter(looks)
    record: Any = SimpleNamespace(name="small", study=study(training__epochs=50))
    live(watched(), record, lambda: next(at))
    return screens


TRIAL = Current(41, {"training.lr": 0.25, "network.dropout": 0.5}, [0.5, 0.6, 0.7])


def test_what_the_workers_are_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the state stand the counts, the best trial's values, and each running trial."""
    ((state, counts, best, trial, *_),) = drawn(monkeypatch, [Now([TRIAL], 123.4)])
    assert "40/100 trials, best 0.9 (trial 3)" in state
    assert counts.strip() == "38 complete, 2 pruned, 2 running, 123 epochs/s"
    assert best.strip() == "best: lr=0.01"
    assert trial.strip() == "trial 41 ▁▅█                  0.7 epoch 3/50  lr=0.25  dropout=0.5"


def test_nothing_is_drawn_where_nothing_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal on which nothing is written does not flicker."""
    screens = drawn(monkeypatch, [Now([TRIAL], 1.0)] * 3)
    assert [bool(lines) for lines in screens] == [True, False, False]


def test_lines_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a trial ends the lines become no fewer, so that nothing jumps."""
    full, fewer = drawn(monkeypatch, [Now([TRIAL, TRIAL], 1.0), Now([], 1.0)])
    assert len(full) == len(fewer) == 5


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_no_line_is_wider_than_the_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: int, encoding: str
) -> None:
    """Nor is there a sign that it cannot show; of many trials, those that have room are shown."""
    trial = Current(41, {f"training.{'x' * 30}": 0.25, "training.研究": 1}, [0.5] * 60)
    (screen,) = drawn(monkeypatch, [Now([trial] * 30, None)], columns=columns, encoding=encoding)
    assert max(map(cells, screen)) <= columns
    assert screen[-1].strip() == "and 22 more"
    assert "\n".join(screen).encode(encoding)


def test_running_trials_and_their_epochs(workspace: Callable[..., Workspace]) -> None:
    """They are the ledger's; epochs a second count those of trials that have ended, too."""
    book = workspace()
    looking = Running(book.store, book.record)
    assert looking() == Now([])
    first = book.claim()
    book.leases.renew(first, rows(first, 3))
    looking._next = 0.0
    (shown,) = looking().trials
    assert (shown.number, shown.params) == (first, book.params(first))
    assert list(shown.values) == rows(first, 3)[:, 3].tolist()
    book.finish(first, epochs=7)
    second = book.claim()
    book.leases.renew(second, rows(second, 2))
    looking._next = 0.0
    now = looking()
    assert [trial.number for trial in now.trials] == [second]
    assert now.epochs_a_second is not None
    assert looking._rate._seen[-1][1] - looking._rate._seen[0][1] == 9
