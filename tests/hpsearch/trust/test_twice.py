"""The first COMPLETE trial, trained a second time while others run."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from hpsearch.trust import twice

STORE: Any = type("Store", (), {"trials": lambda *_: ["a trial"]})()
RECORD: Any = type("Record", (), {"id": 1})()


def watched(stop: threading.Event) -> list[str]:
    """What is said."""
    said: list[str] = []
    nothing = cast("Any", None)
    twice.watch_first(STORE, RECORD, lambda: nothing, nothing, stop, said.append)
    return said


@pytest.mark.parametrize("error", [OSError(9, "Bad file descriptor"), ValueError("negative")])
def test_a_run_that_ends_first(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Its connection is closed under it then, and nobody waits for its outcome: nothing is said."""

    def closed(*_: object) -> None:
        raise error

    monkeypatch.setattr(twice, "reproduce", closed)
    stop = threading.Event()
    with pytest.raises(type(error)):
        watched(stop)
    stop.set()
    assert watched(stop) == []
