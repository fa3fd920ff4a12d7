"""A function that no file holds is known by what it would do."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from hpsearch.training.fingerprint import fingerprint

BASE = (
    "def f(params, seed):\n    return g(params) * SCALE\ndef g(x):\n    return x + 1\nSCALE = 2\n"
)


def made(source: str, name: str = "f") -> Callable[..., Any]:
    """A function of a module of its own."""
    module: dict[str, Any] = {"__name__": "notebook"}
    exec(source, module)
    function: Callable[..., Any] = module[name]
    return function


@pytest.mark.parametrize(
    "source",
    [BASE, f"\n\n# moved, and with a remark\n{BASE}", BASE + "unrelated = 3\n"],
)
def test_the_same(source: str) -> None:
    """Its place, its remarks and what it does not read make no difference."""
    assert fingerprint(made(BASE)) == fingerprint(made(source))


@pytest.mark.parametrize(
    "source",
    [
        BASE.replace("* SCALE", "+ SCALE"),
        BASE.replace("SCALE = 2", "SCALE = 3"),
        BASE.replace("SCALE = 2", "SCALE = 2.0"),
        BASE.replace("x + 1", "x + 2"),
        BASE.replace("seed):", "seed=3):"),
        BASE.replace("g(params)", "(lambda x: g(x))(params)"),
    ],
)
def test_another(source: str) -> None:
    """Its code, its defaults, and the functions and values that it reads do."""
    assert fingerprint(made(BASE)) != fingerprint(made(source))


def test_closure_and_partial() -> None:
    """So does what it has enclosed, and what is given to it beforehand."""

    def scaled(by: Any) -> Callable[..., Any]:
        return lambda params, seed: params * by

    assert fingerprint(scaled(2)) == fingerprint(scaled(2))
    assert fingerprint(scaled(2)) != fingerprint(scaled(3))
    two, three = (functools.partial(made(BASE), by) for by in (2, 3))
    assert fingerprint(two) != fingerprint(three)


def test_sets_in_any_order() -> None:
    """A set that is written otherwise is the same set; a function may name itself."""
    one = "def f(x):\n    return f(x) if x in {'a', 'b', 'c'} else 0"
    assert fingerprint(made(one)) == fingerprint(made(one.replace("'a', 'b'", "'b', 'a'")))
