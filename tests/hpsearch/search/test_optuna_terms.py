"""What Optuna warns of is kept quiet, whatever other threads do."""

from __future__ import annotations

import threading
import warnings

import pytest

from hpsearch.search.optuna_terms import without_warnings


def test_one_thread_does_not_end_anothers_silence() -> None:
    """Filters are the process's: the first to leave would restore what the second still hides."""
    before = list(warnings.filters)
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with without_warnings():
            inside.set()
            leave.wait()

    def second() -> None:
        with without_warnings(), without_warnings():
            warnings.warn("nobody is to hear of it", FutureWarning, stacklevel=1)

    threads = [threading.Thread(target=work, daemon=True) for work in (first, second)]
    for thread in threads:
        thread.start()
        inside.wait()
    threads[1].join(0.1)
    assert threads[1].is_alive()
    leave.set()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before
    with pytest.raises(FutureWarning):
        warnings.warn("an error again", FutureWarning, stacklevel=1)
