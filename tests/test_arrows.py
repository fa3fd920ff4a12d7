"""The house: which module may know which, read off the imports themselves."""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FLOORS = """
    errors settings seams redact text reporting threads garbage
    tied study data
    ledger
    search training estimator
    trust
    verify
    projections
    work report ui
    commands
    cli python
    early
"""
"""From the ground up: a room imports from the floors below it, and from none beside or above."""

LEVEL = {name: level for level, line in enumerate(FLOORS.split("\n")) for name in line.split()}
MODULES = sorted(
    path
    for path in (ROOT / "hpsearch").rglob("*.py")
    if path.stem not in ("__init__", "__main__") and "migrations" not in path.parts
)
NET = sorted((ROOT / "net").glob("*.py"))
LONGEST = 400
"""Lines of a module."""


def imported(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it, as a dotted name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def module(path: Path) -> str:
    """A module's name below ``hpsearch``, such as ``ledger.store``."""
    return ".".join(path.relative_to(ROOT / "hpsearch").with_suffix("").parts)


def room(name: str) -> str:
    """The room that a module stands in: its folder, or itself at the top."""
    return name.partition(".")[0]


NAMES = {module(path) for path in MODULES}


def inside(path: Path) -> set[str]:
    """The project's own modules that a file imports."""
    names = {name.removeprefix("hpsearch.") for name in imported(path) if "hpsearch." in name}
    return names & NAMES


def roots(path: Path) -> set[str]:
    """The top-level packages that a file imports."""
    return {name.partition(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", MODULES, ids=module)
def test_arrows_go_down(path: Path) -> None:
    """A module imports only from its own room and from lower floors."""
    own = room(module(path))
    assert own in LEVEL, "a new room needs its place in the house"
    others = {room(name) for name in inside(path)} - {own}
    assert set() == {name for name in others if LEVEL[name] >= LEVEL[own]}


def test_no_circles() -> None:
    """No modules import each other in a circle, inside a room either."""
    TopologicalSorter({module(path): inside(path) for path in MODULES}).prepare()


def test_every_room_is_there() -> None:
    """The drawing of the house names no room that is gone."""
    assert set() == set(LEVEL) - {room(name) for name in NAMES}


@pytest.mark.parametrize("path", [*MODULES, *NET], ids=str)
def test_modules_stay_short(path: Path) -> None:
    """A module that answers one question needs no more than 400 lines."""
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in (ROOT / "hpsearch").glob("*/__init__.py")), ids=str
)
def test_rooms_answer_a_question(folder: Path) -> None:
    """A room's package says in one sentence what it answers, and exports nothing."""
    tree = ast.parse((folder / "__init__.py").read_text())
    assert "?" in (ast.get_docstring(tree) or "")
    assert len(tree.body) == 1


@pytest.mark.parametrize("path", NET, ids=lambda path: path.stem)
def test_network_imports_numpy_alone(path: Path) -> None:
    """``net`` knows NumPy, itself and the standard library."""
    assert set() == roots(path) - {"net", "numpy"} - set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("net", {"training", "estimator"}),
        ("mlflow", {"projections", "ui"}),
        ("uvicorn", {"ui"}),
        ("graphql", {"ui"}),
        ("matplotlib", {"report"}),
        ("typer", {"cli", "commands"}),
        ("rich", {"commands"}),
    ],
)
def test_package_stays_in_its_rooms(package: str, rooms: set[str]) -> None:
    """What comes from outside is known in one place."""
    assert rooms >= {room(module(path)) for path in MODULES if package in roots(path)}


def test_one_place_prints() -> None:
    """No module but one writes to the terminal, so that nothing gets there as it came."""
    printing = {
        module(path) if path in MODULES else path.stem
        for path in [*MODULES, *NET]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and node.id == "print"
    }
    assert {"commands.printing"} == printing
