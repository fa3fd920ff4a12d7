"""Which tests run which functions? A plugin of pytest's, for ``tests/mutants.py``.

With ``--reached FILE`` it writes down, test by test, how much of the CPU each took and what it ran;
with ``--chosen FILE`` it runs the tests that are listed there, in that order, and no others.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest


@dataclass
class Reached:
    """What one test did."""

    seconds: float = 0.0
    """Of the CPU, its processes', too: a busy machine makes them no more."""
    functions: list[tuple[str, int]] = field(default_factory=list)
    """Files and first lines of the functions that it called, decorators included."""


class Watch:
    """Looks on while tests run."""

    def __init__(self, root: Path, file: Path) -> None:
        self._root, self._file = f"{root}/", file
        self._found: dict[str, Reached] = {}
        self._called: set[tuple[str, int]] = set()

    def _trace(self, frame: FrameType, event: str, of: Any) -> None:
        self._called.add((frame.f_code.co_filename, frame.f_code.co_firstlineno))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._called.clear()
        begun = _spent()
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
            self._found[item.nodeid] = Reached(
                _spent() - begun,
                sorted(
                    (file.removeprefix(self._root), line)
                    for file, line in self._called
                    if file.startswith(self._root)
                ),
            )

    def pytest_sessionfinish(self) -> None:
        self._file.write_text(json.dumps({test: asdict(one) for test, one in self._found.items()}))


class Choice:
    """Leaves the tests of a list, in its order."""

    def __init__(self, file: Path) -> None:
        self._places = {test: place for place, test in enumerate(json.loads(file.read_text()))}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._places),
            key=lambda item: self._places[item.nodeid],
        )


def _spent() -> float:
    """Seconds of the CPU so far, those of children that have ended, too."""
    return sum(os.times()[:4])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--reached", type=Path, help="write what each test ran")
    parser.addoption("--chosen", type=Path, help="run these tests alone")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("reached"):
        config.pluginmanager.register(Watch(config.rootpath, config.getoption("reached")))
    if config.getoption("chosen"):
        config.pluginmanager.register(Choice(config.getoption("chosen")))


def read(file: Path) -> dict[str, Reached]:
    """What was written with ``--reached``."""
    return {
        test: Reached(one["seconds"], [(f, n) for f, n in one["functions"]])
        for test, one in json.loads(file.read_text()).items()
    }
