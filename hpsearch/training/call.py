"""How is a user's function called? In a process of its own, trial after trial.

This is that process. The study's folder comes last on the path, after all of ours is imported, so
that a ``json.py`` in it breaks nothing. Whatever the function does to its process, it does not do
to the worker's.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

from hpsearch.training.calling import (
    State,
    Trial,
    epochs,
    frozen,
    packages,
    said,
    seed_all,
    takes_trial,
)
from hpsearch.training.wire import receive, send


def main() -> None:
    """Serve until the other end is gone."""
    mine, channel = os.getpid(), socket.socket(fileno=os.dup(0))
    os.register_at_fork(after_in_child=channel.close)  # what a function forks does not report
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    folder, name = sys.argv[1:]
    sys.path.append(folder)
    try:
        function = _function(name)
        third = takes_trial(function)
    except BaseException as error:
        if os.getpid() != mine:
            _leave(error)
        send(channel, {"wrong": said(error, folder)})
        return
    send(channel, {"trial": third, "packages": packages(sys.modules)})
    while True:
        try:
            request = receive(channel)
        except EOFError:
            return
        try:
            seed_all(request["seed"])
            trial = Trial(request["number"], request["folder"])
            more = [trial] if third else []
            result = function(frozen(request["params"]), request["seed"], *more)
            _train(channel, result, trial, ahead=request["ahead"])
        except BaseException as error:
            if os.getpid() != mine:
                _leave(error)
            send(channel, {"failed": said(error, folder), "busy": _busy()})
        sys.stdout.flush()


def _leave(error: BaseException) -> NoReturn:
    """End a process that the function has forked, and that came back here."""
    code = error.code if isinstance(error, SystemExit) else 1
    sys.stdout.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _busy() -> bool:
    """Whether something that the function has started is still there."""
    if threading.active_count() > 1:
        return True
    try:
        return any(file.read_text() for file in Path("/proc/self/task").glob("*/children"))
    except OSError:  # a thread that has ended meanwhile
        return True


def _function(name: str) -> Callable[..., Any]:
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    if not callable(found):
        raise TypeError(f"{name} is not a function; its type is {type(found).__name__}")
    return found  # type: ignore[no-any-return]


def _train(channel: socket.socket, result: Any, trial: Trial, *, ahead: bool) -> None:
    """Send what a training reports; unless it may go ahead, it is told after each row to go on."""
    with closing(epochs(result)) as rows:
        while True:
            try:
                row = next(rows)
            except StopIteration as end:
                state: State = end.value
                break
            send(channel, {"row": row})
            if not ahead and not receive(channel)["go"]:
                rows.close()
                send(channel, {"closed": True})
                return
    heads = [[name, array.dtype.str, list(array.shape)] for name, array in state.items()]
    blobs = [array.tobytes() for array in state.values()]
    scores = trial.scores
    known = None if scores is None else [scores.dtype.str, len(scores)]
    if scores is not None:
        blobs.append(scores.tobytes())
    send(channel, {"state": heads, "outcomes": known}, *blobs)


if __name__ == "__main__":
    main()
