"""What Optuna warns of is kept quiet, whatever other threads do."""

from __future__ import annotations

import subprocess
import sys
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


FORK = """
import faulthandler, os, threading, warnings
from hpsearch.search.optuna_terms import without_warnings

before = list(warnings.filters)
inside = threading.Event()

def silent():
    with without_warnings():
        inside.set()
        threading.Event().wait(0.2)

threading.Thread(target=silent).start()
inside.wait()
child = os.fork()
if not child:
    faulthandler.dump_traceback_later(60, exit=True)
    with without_warnings():
        pass
    os._exit(0 if warnings.filters == before else 2)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_fork_has_neither_the_silence_nor_the_lock_of_another_thread() -> None:
    """Nobody in it would ever end the one or give back the other."""
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, check=True
    )
    assert told.stdout == "0\n", told.stderr
