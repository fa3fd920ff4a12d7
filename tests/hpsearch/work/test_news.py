"""Each trial that ends is told once, whoever trained it and in whatever order they end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hpsearch.errors import StoreAwayError
from hpsearch.work.news import News


class Ledger:
    """A store in which trials end one after another."""

    def __init__(self) -> None:
        self.ended: list[int] = [0]
        self.read: list[int] = []
        self.away = False

    def trials(self, study_id: int, states: Any, above: int) -> list[Any]:
        """Those that have ended, above a number."""
        if self.away:
            raise StoreAwayError("away")
        found = [SimpleNamespace(number=number) for number in sorted(self.ended) if number > above]
        self.read.append(len(found))
        return found


def test_each_trial_once() -> None:
    """What had ended before is no news; a trial that ends after later ones is."""
    ledger = Ledger()
    news = News(ledger, SimpleNamespace(id=1))

    def told() -> list[int]:
        return [trial.number for trial in news()]

    assert told() == []
    ledger.ended += [2]
    assert told() == [2]
    ledger.ended += [3, 1]
    ledger.away = True
    assert told() == []
    ledger.away = False
    assert told() == [1, 3]
    assert told() == []
    ledger.ended += [4]
    assert told() == [4]
    assert ledger.read[-1] == 1, "what was told in a row is not read again"
