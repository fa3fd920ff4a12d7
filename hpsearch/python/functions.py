"""How is a Python function named in a study, and can a worker's process import it?"""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.study.objective import LOCAL


@dataclass(frozen=True, slots=True)
class Named:
    """A function as a study file names it."""

    name: str
    """``module:function``, or ``__main__:function`` where no other process can import it."""
    folder: Path | None
    """The folder that its module is imported from, unless it is installed."""

    @property
    def local(self) -> bool:
        """Whether it can be called in this process alone."""
        return self.name.startswith(LOCAL)


def named(function: Callable[..., Any]) -> Named:
    """The name of a function: of its module if that gives it to others, too."""
    module = getattr(function, "__module__", None) or "__main__"
    path = getattr(function, "__qualname__", type(function).__name__)
    file = _file(module)
    if module == "__main__" or file is None or _found(module, path) is not function:
        return Named(LOCAL + _spelt(path), None)
    parts = module.split(".")
    root = file.parents[len(parts) - (file.name != "__init__.py")]
    expected = root.joinpath(*parts)
    if file not in (expected.with_name(f"{parts[-1]}.py"), expected / "__init__.py"):
        return Named(LOCAL + _spelt(path), None)  # loaded from a file of another name
    return Named(f"{module}:{path}", None if root in _installed() else root)


def _file(module: str) -> Path | None:
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file).absolute() if file and file.endswith(".py") else None


def _found(module: str, path: str) -> object:
    found: object = sys.modules[module]
    for part in path.split("."):
        found = getattr(found, part, None)
    return found


def _spelt(path: str) -> str:
    """A function's path as a name: ``f.<locals>.<lambda>`` as ``f.lambda``."""
    name = re.sub(r"[^\w.]", "", path.replace("<locals>.", ""))
    return name if re.fullmatch(r"[A-Za-z_][\w.]*", name) else "function"


def _installed() -> set[Path]:
    """The folders that every process of this Python looks in."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return {Path(sysconfig.get_path(name)).absolute() for name in names}
