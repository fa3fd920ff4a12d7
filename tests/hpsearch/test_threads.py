"""A thread for which there is no room."""

from __future__ import annotations

import threading

import pytest

from hpsearch.threads import begin


def test_no_room_for_a_thread_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command line says in a line, and no traceback."""

    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    with pytest.raises(MemoryError, match="can't start new thread"):
        begin(threading.Thread())
