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
    store backup verify.ledger_reading verify.tracking_reading
    leases objective search estimator verify.look
    reproduce tracking optuna_copy verify.ledger_invariants verify.tracking_invariants
    runs verify.findings
    worker projector
    launch views
    display report
    commands.wiring
    commands.run commands.show commands.trust commands.keep
    cli
"""
"""From the ground up: a module imports from the floors below it, and from none beside or above."""

LEVEL = {name: level for level, line in enumerate(FLOORS.split("\n")) for name in line.split()}
COMMANDS = {name for name in LEVEL if name.startswith("commands.")}
MODULES = sorted(
    path
    for path in (ROOT / "hpsearch").rglob("*.py")
    if path.stem not in ("__init__", "__main__") and "migrations" not in path.parts
)
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


def room(path: Path) -> str:
    """A module's name in the drawing of the house."""
    return ".".join(path.relative_to(ROOT / "hpsearch").with_suffix("").parts)


def inside(path: Path) -> set[str]:
    """The project's own modules that a file imports."""
    names = {name.removeprefix("hpsearch.") for name in imported(path) if "hpsearch." in name}
    return {known for known in LEVEL if known in names}


def roots(path: Path) -> set[str]:
    """The top-level packages that a file imports."""
    return {name.partition(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", MODULES, ids=room)
def test_arrows_go_down(path: Path) -> None:
    """A module imports only from lower floors."""
    assert room(path) in LEVEL, "a new module needs its place in the house"
    above = {name for name in inside(path) if LEVEL[name] >= LEVEL[room(path)]}
    assert set() == above


def test_every_room_is_there() -> None:
    """The drawing of the house names no module that is gone."""
    assert set() == set(LEVEL) - {room(path) for path in MODULES}


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
        ("typer", {"cli", *COMMANDS}),
        ("rich", {"commands.wiring", "display"}),
    ],
)
def test_package_stays_in_its_rooms(package: str, rooms: set[str]) -> None:
    """What comes from outside is known in one place."""
    assert rooms >= {room(path) for path in MODULES if package in roots(path)}


def test_only_the_rim_prints() -> None:
    """No module but the command line and its display writes to the terminal."""
    printing = {
        room(path) if path in MODULES else path.stem
        for path in [*MODULES, *NET]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and node.id == "print"
    }
    assert {"cli", "display", *COMMANDS} >= printing
