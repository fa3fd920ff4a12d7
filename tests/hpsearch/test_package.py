"""``import hpsearch``: which names there are, and what they cost."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hpsearch

NAMES = {
    "Choice",
    "Float",
    "HpsearchError",
    "Int",
    "Study",
    "__version__",
    "import_optuna",
    "load",
    "log",
    "track",
}
HEAVY = {"numpy", "optuna", "mlflow", "sqlalchemy", "pandas", "pydantic", "typer", "typing"}


def child(program: str) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, "-I", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_names() -> None:
    """These names are public, and no others."""
    assert set(hpsearch.__all__) == NAMES
    assert hpsearch.__all__ == sorted(hpsearch.__all__)


@pytest.mark.parametrize("name", sorted(NAMES - {"__version__"}))
def test_each_is_there_and_documented(name: str) -> None:
    """Each can be had, is found by ``dir``, and says what it is for."""
    assert name in dir(hpsearch)
    assert getattr(hpsearch, name).__doc__


def test_unknown_name() -> None:
    """A name that is not there is an AttributeError, as of any module."""
    with pytest.raises(AttributeError, match="has no attribute 'Stduy'"):
        _ = hpsearch.Stduy  # type: ignore[attr-defined]


def test_import_is_light() -> None:
    """``import hpsearch`` imports nothing heavy, nor anything of its own."""
    program = f"""
import sys
before = set(sys.modules)
import hpsearch
print(sorted(name for name in set(sys.modules) - before
             if name.partition(".")[0] in {HEAVY - {"typing"}} or name.startswith("hpsearch.")))
"""
    assert child(program) == "[]"


def test_definition_is_light() -> None:
    """A study is defined, and a study file read, without what only a run needs."""
    program = """
import sys, hpsearch
hpsearch.Study("a", function="m:f", params={"x": hpsearch.Float(0, 1)}, metrics=["loss"]).toml()
print(sorted({"numpy", "optuna", "mlflow", "sqlalchemy", "pandas"} & set(sys.modules)))
"""
    assert child(program) == "[]"
