"""Is a function that no file holds still the same? A digest of what it would do."""

from __future__ import annotations

import dis
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType, MethodType
from typing import Any

_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis))


def fingerprint(function: Callable[..., Any]) -> str:
    """SHA-256 of a function's code and of what it reads: as far as that can be told.

    It covers its bytecode, which another version of Python may write otherwise, its defaults, and
    what its closure and the globals that it names hold: plain values, and functions of the same
    module in the same way. Of all other objects it covers what they are called.
    """
    told = _Teller(getattr(function, "__module__", None))
    return hashlib.sha256(json.dumps(told(function)).encode()).hexdigest()


class _Teller:
    """Tells of an object in what JSON can hold.

    Args:
        module: The module whose functions are looked into.
    """

    def __init__(self, module: str | None) -> None:
        self._module = module
        self._seen: list[object] = []

    def __call__(self, value: object) -> object:
        if isinstance(value, _PLAIN):
            return [type(value).__name__, repr(value)]
        if isinstance(value, tuple | list):
            return [type(value).__name__, *map(self, value)]
        if isinstance(value, set | frozenset):
            return [type(value).__name__, *sorted(json.dumps(self(entry)) for entry in value)]
        if isinstance(value, Mapping):
            return [type(value).__name__, *([self(key), self(value[key])] for key in value)]
        if isinstance(value, CodeType):
            consts = [self(const) for const in value.co_consts]
            return [value.co_code.hex(), value.co_names, value.co_varnames, consts]
        if any(value is seen for seen in self._seen):
            return "itself"
        self._seen.append(value)
        if isinstance(value, functools.partial):
            return [self(value.func), self(value.args), self(value.keywords)]
        if isinstance(value, MethodType):
            return [self(value.__func__), self(vars(value.__self__))]
        if isinstance(value, FunctionType) and value.__module__ == self._module:
            return self._function(value)
        return getattr(value, "__qualname__", type(value).__qualname__)

    def _function(self, function: FunctionType) -> object:
        held = function.__closure__ or ()
        cells = dict(zip(function.__code__.co_freevars, held, strict=True))
        reads = sorted(_globals(function.__code__) & function.__globals__.keys())
        return [
            self(function.__code__),
            self(function.__defaults__),
            self(function.__kwdefaults__),
            [[name, self(_content(cell))] for name, cell in cells.items()],
            [[name, self(function.__globals__[name])] for name in reads],
        ]


def _globals(code: CodeType) -> set[str]:
    """The names of the globals that code reads, and the code within it."""
    names = {str(i.argval) for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}
    inner = [const for const in code.co_consts if isinstance(const, CodeType)]
    return names.union(*map(_globals, inner))


def _content(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty yet
        return None
