"""What does a call of a user's function get, and what may it report?"""

from __future__ import annotations

import inspect
import random
import sys
import traceback
from collections.abc import Callable, Container, Generator, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

State = dict[str, NDArray[Any]]

PACKAGES = {
    "jax": "jax",
    "lightgbm": "lightgbm",
    "numba": "numba",
    "pandas": "pandas",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "tensorflow": "tensorflow",
    "torch": "torch",
    "xgboost": "xgboost",
}
"""Modules on whose version a training depends, beside NumPy, and what they are installed as."""


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
                f"outcomes have type {array.dtype} and shape {array.shape}; expected "
                "one row of numbers"
            )
        self.scores = array if array.dtype == np.bool_ else array.astype("<f4")

    def log(self, text: str) -> None:
        """Add a line to the trial's log, beside all that is printed."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def takes_trial(function: Callable[..., Any]) -> bool:
    """Whether a function has a third parameter, for the ``Trial``."""
    return len(inspect.signature(function).parameters) > 2


def frozen(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameters as a function gets them: nobody can change them."""
    return MappingProxyType({name: _frozen(value) for name, value in params.items()})


def packages(imported: Container[str]) -> list[str]:
    """Those of ``PACKAGES`` that are imported, by the names they are installed as."""
    return [name for module, name in PACKAGES.items() if module in imported]


def seed_all(seed: int) -> None:
    """Seed what a user may draw from without having thought of it."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def epochs(result: Any) -> Generator[Any, None, State]:
    """What a call has reported, such that JSON takes it: an epoch each; and then its state.

    Of one mapping it is known that it is the only epoch.

    Args:
        result: What the call returned: a generator of mappings, or one mapping.

    Raises:
        TypeError: If it is neither, or the state is no mapping of arrays.
    """
    if isinstance(result, Mapping):
        if "epochs" not in result:
            yield {"epochs": 1}
        yield _plain(result)
        return {}
    if not isinstance(result, Iterator):
        raise TypeError(
            f"the function returned {type(result).__name__}; expected a dict, or a "
            "generator of dicts"
        )
    try:
        while True:
            try:
                row = next(result)
            except StopIteration as end:
                return _state(end.value)
            yield _plain(row)
    finally:
        if inspect.isgenerator(result):
            result.close()


def _state(value: Any) -> State:
    if value is not None and not isinstance(value, Mapping):
        raise TypeError(
            f"the function returned {type(value).__name__} as its state; expected a "
            "mapping of arrays, or nothing"
        )
    return {str(name): _array(name, array) for name, array in (value or {}).items()}


def _array(name: object, value: Any) -> Any:
    if hasattr(value, "detach"):  # a tensor of PyTorch's
        value = value.detach().cpu().numpy()
    array = np.ascontiguousarray(value)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"state {name!r} has type {array.dtype}; expected an array of numbers")
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


def said(error: BaseException, folder: str) -> str:
    """What went wrong, and at which line of the user's, on one line."""
    message = " ".join(str(error).split())
    words = f"{type(error).__name__}: {message}" if message else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{words[:1000]}"
    frames = traceback.extract_tb(error.__traceback__)
    ours = [
        f
        for f in frames
        if Path(f.filename).parent != Path(__file__).parent and "importlib" not in f.filename
    ]
    mine = [f for f in ours if Path(f.filename).is_relative_to(folder)] or ours
    if not mine:
        return words[:1000]
    last = mine[-1]
    file = Path(last.filename)
    name = file.relative_to(folder) if file.is_relative_to(folder) else file.name
    return f"{words[:1000]} ({name}:{last.lineno} in {last.name})"
