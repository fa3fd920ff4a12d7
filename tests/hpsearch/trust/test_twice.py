"""The first COMPLETE trial, trained a second time while others run."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from hpsearch.errors import UnknownStudyError
from hpsearch.trust import twice

STORE: Any = type("Store", (), {"trials": lambda *_: ["a trial"]})()
EMPTY: Any = type("Store", (), {"trials": lambda *_: []})()
RECORD: Any = type("Record", (), {"id": 1})()


def watched(stop: threading.Event, store: Any = STORE) -> list[str]:
    """What is said."""
    said: list[str] = []
    nothing = cast("Any", None)
    twice.watch_first(store, RECORD, lambda: nothing, nothing, stop, said.append)
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


@pytest.mark.parametrize(
    ("agrees", "rounds_alike", "many"), [(False, True, 1), (True, True, 0), (False, False, 0)]
)
def test_what_is_said(
    monkeypatch: pytest.MonkeyPatch, agrees: bool, rounds_alike: bool, many: int
) -> None:
    """One line of a difference, where the bits have to be the same; else nothing."""
    told = {"agrees": agrees, "rounds_alike": rounds_alike, "number": 3, "first_difference": "x 1"}
    monkeypatch.setattr(twice, "reproduce", lambda *_: type("Outcome", (), told))
    said = watched(threading.Event())
    assert len(said) == many
    if many:
        assert said[0].startswith("trial 3, trained a second time, does NOT reproduce: x 1; make")


def test_what_others_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """A study that was deleted meanwhile, or a trial that cannot be compared, is not its affair."""

    def gone(*_: object) -> None:
        raise UnknownStudyError("gone")

    monkeypatch.setattr(twice, "reproduce", gone)
    assert watched(threading.Event()) == []


def test_nothing_to_train_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for a trial as long as the run lasts, and no longer."""
    monkeypatch.setattr(twice, "_LOOK", 0.001)
    looks = iter([[], [], ["a trial"]])
    store: Any = type("Store", (), {"trials": lambda *_: next(looks)})()
    trained: list[object] = []

    def reproduced(_: object, __: object, trial: object, *___: object) -> Any:
        trained.append(trial)
        return type("Outcome", (), {"agrees": True, "rounds_alike": True})

    monkeypatch.setattr(twice, "reproduce", reproduced)
    assert watched(threading.Event(), store) == []
    assert trained == ["a trial"]
    stop = threading.Event()
    stop.set()
    assert (watched(stop, EMPTY), trained) == ([], ["a trial"])
