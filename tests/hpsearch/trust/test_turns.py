"""Every trial has its turn to be trained again, a share at a time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from hpsearch.trust.turns import Turns


@pytest.mark.parametrize("share", [Fraction(1, 5), Fraction(2, 5), Fraction(1, 12), Fraction(1)])
def test_a_round_has_every_trial_once(tmp_path: Path, share: Fraction) -> None:
    """No trial comes twice before all have come, and then they come again."""
    turns = Turns(tmp_path / "turns" / "it.json", range(12), 0)
    seen: list[int] = []
    while len(seen) < 12:
        chosen = turns.next(share)
        assert chosen == sorted(chosen)
        assert 0 < len(chosen) <= -(-12 * share // 1)
        seen += chosen
        assert turns.mark(chosen) == len(seen)
    assert sorted(seen) == list(range(12))
    again = turns.next(share)
    assert turns.mark(again) == len(again)


def test_who_was_not_marked_comes_again(tmp_path: Path) -> None:
    """An interrupted look is no turn; another order has another seed."""
    turns = Turns(tmp_path / "it.json", range(50), 0)
    assert turns.next(Fraction(1, 5)) == turns.next(Fraction(1, 5))
    assert Turns(tmp_path / "it.json", range(50), 1).next(Fraction(1, 5)) != turns.next(
        Fraction(1, 5)
    )


@pytest.mark.parametrize("content", ["", "{", "{}", '["x", [1], 99]', "[" * 100_000])
def test_a_file_that_is_none_begins_a_round(tmp_path: Path, content: str) -> None:
    """It is a cache, and may hold anything."""
    file = tmp_path / "it.json"
    file.write_text(content)
    turns = Turns(file, range(4), 0)
    assert turns.next(Fraction(1)) == [0, 1, 2, 3]
    assert turns.mark([1]) == 1
    assert turns.next(Fraction(1)) == [0, 2, 3]


def test_trials_that_came_since_have_their_turn(tmp_path: Path) -> None:
    """A round grows with the study."""
    file = tmp_path / "it.json"
    Turns(file, range(4), 0).mark([0, 1, 2])
    assert Turns(file, range(6), 0).next(Fraction(1)) == [3, 4, 5]
