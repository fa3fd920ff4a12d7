"""How is a user's function called? In a process of its own, trial after trial.

This is that process. The study's folder comes last on the path, after all of ours is imported, so
that a ``json.py`` in it breaks nothing. Whatever the function does to its process, it does not do
to the worker's.
"""

from __future__ import annotations

import importlib
import inspect
import os
import random
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from hpsearch.training.wire import receive, send


class Trial:
    """What a function gets that has a third parameter."""

    def __init__(self, number: int, folder: str) -> None:
        self.number = number
        self.folder = Path(folder)
        """Its own, empty at first, and gone when the trial has ended."""
        self.scores: Any = None

    def outcomes(self, scores: Any) -> None:
        """Say what each validation example scored at the end.

        Args:
            scores: (examples,), right or wrong as booleans, or a loss or score as numbers. Their
                mean must be the metric that the study searches by; from them the best value is
                corrected for having been chosen.
        """
        array = np.asarray(scores)
        if array.ndim != 1 or array.dtype.kind not in "biuf":
            raise TypeError(
                f"outcomes are {array.dtype} {array.shape}: expected one row of numbers"
            )
        self.scores = array if array.dtype == np.bool_ else array.astype("<f4")

    def log(self, text: str) -> None:
        """Add a line to the trial's log, beside all that is printed."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def main() -> None:
    """Serve until the other end is gone."""
    channel = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    folder, name = sys.argv[1:]
    sys.path.append(folder)
    try:
        function = _function(name)
        takes_trial = len(inspect.signature(function).parameters) > 2
    except BaseException as error:
        send(channel, {"wrong": _said(error, folder)})
        return
    send(channel, {"trial": takes_trial})
    while True:
        try:
            request = receive(channel)
        except EOFError:
            return
        try:
            _seed(request["seed"])
            params = MappingProxyType({k: _frozen(v) for k, v in request["params"].items()})
            trial = Trial(request["number"], request["folder"])
            more = [trial] if takes_trial else []
            result = function(params, request["seed"], *more)
            _train(channel, result, trial, ahead=request["ahead"])
        except BaseException as error:
            send(channel, {"failed": _said(error, folder)})
        sys.stdout.flush()


def _function(name: str) -> Callable[..., Any]:
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    if not callable(found):
        raise TypeError(f"{name} is no function, but {type(found).__name__}")
    return found  # type: ignore[no-any-return]


def _train(channel: socket.socket, result: Any, trial: Trial, *, ahead: bool) -> None:
    """Send what a training reports; unless it may go ahead, it is told after each row to go on."""
    if isinstance(result, Mapping):
        send(channel, {"row": _plain(result)})
        if ahead or receive(channel)["go"]:
            _finish(channel, None, trial)
        return
    if not isinstance(result, Iterator):
        raise TypeError(f"returned {type(result).__name__}: expected a generator of dicts, or one")
    state = None
    while True:
        try:
            row = next(result)
        except StopIteration as end:
            state = end.value
            break
        send(channel, {"row": _plain(row)})
        if not ahead and not receive(channel)["go"]:
            if inspect.isgenerator(result):
                result.close()
            send(channel, {"closed": True})
            return
    _finish(channel, state, trial)


def _finish(channel: socket.socket, state: Any, trial: Trial) -> None:
    if state is not None and not isinstance(state, Mapping):
        raise TypeError(
            f"returned {type(state).__name__}: expected a mapping of arrays, or nothing"
        )
    arrays = {str(name): _array(name, value) for name, value in (state or {}).items()}
    heads = [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()]
    blobs = [array.tobytes() for array in arrays.values()]
    scores = trial.scores
    known = None if scores is None else [scores.dtype.str, len(scores)]
    if scores is not None:
        blobs.append(scores.tobytes())
    send(channel, {"state": heads, "outcomes": known}, *blobs)


def _array(name: object, value: Any) -> Any:
    if hasattr(value, "detach"):  # a tensor of PyTorch's
        value = value.detach().cpu().numpy()
    array = np.ascontiguousarray(value)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"state {name!r} is {array.dtype}: expected an array of numbers")
    return array


def _plain(row: Any) -> Any:
    """What was reported, such that JSON takes it; what is no number is left to be refused."""
    if not isinstance(row, Mapping):
        return repr(row)[:200]
    return {str(name): _number(value) for name, value in row.items()}


def _number(value: Any) -> Any:
    if isinstance(value, bool | str | bytes) or value is None:
        return value if isinstance(value, bool | str) else repr(value)[:200]
    if isinstance(value, int | float):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        return repr(value)[:200]


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def _said(error: BaseException, folder: str) -> str:
    """What went wrong, and at which line of the user's, on one line."""
    message = " ".join(str(error).split())
    said = f"{type(error).__name__}: {message}" if message else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{said[:1000]}"
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if f.filename != __file__ and "importlib" not in f.filename]
    mine = [f for f in ours if Path(f.filename).is_relative_to(folder)] or ours
    if not mine:
        return said[:1000]
    last = mine[-1]
    file = Path(last.filename)
    name = file.relative_to(folder) if file.is_relative_to(folder) else file.name
    return f"{said[:1000]} ({name}:{last.lineno} in {last.name})"


if __name__ == "__main__":
    main()
