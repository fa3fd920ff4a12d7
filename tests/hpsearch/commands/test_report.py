"""A report follows a study that runs, and is whole whenever a browser reads it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpsearch.commands import report
from hpsearch.ledger.records import State
from tests.hpsearch.command_line import Call
from tests.hpsearch.workspace import MLFLOWS_WARNINGS, Workspace

pytestmark = MLFLOWS_WARNINGS
Step = Callable[[], None]


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Step]], list[float]]:
    """Has steps taken instead of each pause; gives how long the pauses were to be."""

    def take(steps: list[Step]) -> list[float]:
        waited: list[float] = []

        def sleep(seconds: float) -> None:
            waited.append(seconds)
            steps.pop(0)()

        monkeypatch.setattr(report.time, "sleep", sleep)
        return waited

    return take


def test_page_follows_the_study_until_it_is_done(
    book: Workspace, call: Call, home: Path, paused: Any
) -> None:
    """It reloads itself as long as the study runs; the last one does not, and has figures."""
    pages: list[str] = []
    page = home / "reports" / "small.html"

    def look() -> None:
        pages.append(page.read_text())

    def ends() -> None:
        look()
        book.complete()

    steps = [lambda: book.run(*[State.COMPLETE] * 2), look, lambda: book.run(State.FAIL), ends]
    waited = paused(steps)
    outcome = call("report", "small", "--watch")
    assert (outcome.code, steps) == (0, []), outcome.err
    assert f"{page} follows the study; to end this, press Ctrl-C" in outcome.err
    assert waited[0] == waited[2] == report.LOOK
    assert waited[1] > 0
    for text in pages:
        assert '<meta http-equiv="refresh" content="5">' in text
        assert "The study is running." in text
    assert [text.split("</footer>")[0].count("Failed trials") for text in pages] == [0, 1]
    last = page.read_text()
    assert "refresh" not in last
    assert "The study is running." not in last
    assert {path.suffix for path in page.parent.iterdir()} == {".html", ".png"}


@pytest.mark.parametrize("drawn", [0, 2])
def test_ctrl_c_ends_it_quietly(
    book: Workspace, call: Call, home: Path, paused: Any, drawn: int
) -> None:
    """With the exit code of an interruption, whether there is a page yet or not."""
    book.run(*[State.COMPLETE] * drawn)
    paused([lambda: os.kill(os.getpid(), signal.SIGINT)])
    outcome = call("report", "small", "--watch")
    assert outcome.code == 130
    said = outcome.err.splitlines()
    assert len(said) == (1 if drawn else 0), said
    assert (home / "reports" / "small.html").exists() == bool(drawn)
