"""The line that shows how far a study is."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from hpsearch.commands.display import beside, live
from hpsearch.ledger.records import Counts
from hpsearch.report.words import cells
from hpsearch.work.launch import Progress
from tests.conftest import study

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
    """The rows into which it folds the line drawn before are cleared once, and no others are."""
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
    assert ups == [0, 0, 1, 0, 0, 0]
