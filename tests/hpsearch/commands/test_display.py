"""The line that shows how far a study is."""

from __future__ import annotations

import pytest

from hpsearch.commands.display import beside
from hpsearch.report.words import cells

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
