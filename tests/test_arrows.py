"""The house: which module may know which, read off the imports themselves."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FLOORS = """
    errors
    settings config seams
    records tables owner environment datasets study_file plots
    data database
    store ledger_reading tracking_reading backup
    leases objective search look estimator
    reproduce tracking optuna_copy ledger_invariants tracking_invariants
    runs verify
    worker projector
    launch views
    display report
    cli
"""
"""From the ground up: a module imports from the floors below it, and from none beside or above."""

LEVEL = {name: level for level, line in enumerate(FLOORS.split("\n")) for name in line.split()}
MODULES = sorted((ROOT / "hpsearch").glob("*.py"))
NET = sorted((ROOT / "net").glob("*.py"))


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


def inside(path: Path) -> set[str]:
    """The project's own modules that a file imports."""
    parts = [name.split(".") for name in imported(path)]
    return {p[1] for p in parts if p[0] == "hpsearch" and len(p) > 1 and p[1] in LEVEL}


def roots(path: Path) -> set[str]:
    """The top-level packages that a file imports."""
    return {name.partition(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_arrows_go_down(path: Path) -> None:
    """A module imports only from lower floors."""
    if path.stem in ("__init__", "__main__"):
        return
    assert path.stem in LEVEL, "a new module needs its place in the house"
    above = {name for name in inside(path) if LEVEL[name] >= LEVEL[path.stem]}
    assert set() == above


def test_every_room_is_there() -> None:
    """The drawing of the house names no module that is gone."""
    assert set() == set(LEVEL) - {path.stem for path in MODULES}


@pytest.mark.parametrize("path", NET, ids=lambda path: path.stem)
def test_network_imports_numpy_alone(path: Path) -> None:
    """``net`` knows NumPy, itself and the standard library."""
    assert set() == roots(path) - {"net", "numpy"} - set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("net", {"objective", "estimator"}),
        ("mlflow", {"tracking"}),
        ("matplotlib", {"plots", "report"}),
        ("typer", {"cli"}),
        ("rich", {"cli", "display"}),
    ],
)
def test_package_stays_in_its_rooms(package: str, rooms: set[str]) -> None:
    """What comes from outside is known in one place."""
    assert rooms >= {path.stem for path in MODULES if package in roots(path)}


def test_only_the_rim_prints() -> None:
    """No module but the command line and its display writes to the terminal."""
    printing = {
        path.stem
        for path in [*MODULES, *NET]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and node.id == "print"
    }
    assert {"cli", "display"} >= printing
