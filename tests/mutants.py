"""Would the tests of a room notice that its code is wrong?

``python -m tests.mutants search --count 30 --seed 1`` changes one thing at a time in a copy of the
tree, runs the room's own tests on it until one fails, and prints each change that they let pass.
Only those tests are run that run the changed function in their own process (tests/reached.py), the
quick ones first, and no more of them than a minute of the CPU is enough for. Which they are is kept
in a file with ``--seen FILE``, for the next time that the code is the same. ``--only 4 7`` looks at
those changes again. A change that makes the tests hang is noticed, too: they have MUTANTS_SECONDS
(120), which a busy machine needs more of.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeGuard

import pytest

from tests import reached
from tests.reached import Reached

ROOT = Path(__file__).resolve().parents[1]
_LEFT_OUT = (".git", ".venv", "__pycache__", ".hpsearch", ".hypothesis", "*_cache")

_MINUTE = 60.0
"""What a person waits for: tests that notice a change later than that are no help."""

_SLOW_TO_IMPORT = ("alembic", "mlflow", "optuna", "pandas", "scipy.stats", "typer")
"""Imported once, and not for each mutation."""

_PAIRS = (
    (ast.Lt, ast.LtE),
    (ast.Gt, ast.GtE),
    (ast.Eq, ast.NotEq),
    (ast.Is, ast.IsNot),
    (ast.In, ast.NotIn),
    (ast.And, ast.Or),
    (ast.Add, ast.Sub),
    (ast.Mult, ast.Div),
)
_OPERATORS: dict[Any, Any] = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}
_NAMES = {"min": "max", "any": "all", "minimum": "maximum", "argmin": "argmax"}
_NAMES |= {other: name for name, other in _NAMES.items()}

# Messages, types and decorators: what they say is for people and tools.
_NOT_BEHAVIOUR = (ast.JoinedStr, ast.Raise, ast.Assert, ast.Import, ast.ImportFrom)
_NOT_BEHAVIOUR_FIELDS = ("annotation", "returns", "decorator_list", "bases")
_LOGS = ("log", "logger", "logging", "warnings")


@dataclass(frozen=True)
class Mutation:
    """One node of a module's tree, and what stands there instead."""

    tree: ast.Module
    old: ast.AST
    new: ast.AST
    function: int | None
    """The first line of the function that it is in, decorators included."""

    @property
    def line(self) -> int:
        """Where it is, from 1 on."""
        return int(getattr(self.old, "lineno", 1))

    @property
    def source(self) -> str:
        """The whole module with the change; comments and layout are not kept."""
        _Replace(self.old, self.new).visit(self.tree)
        try:
            return ast.unparse(self.tree)
        finally:
            _Replace(self.new, self.old).visit(self.tree)

    def __str__(self) -> str:
        before, after = (" ".join(ast.unparse(node).split()) for node in (self.old, self.new))
        return f"{self.line}: {before} -> {after}"


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else self.generic_visit(node)


def mutations(source: str) -> list[Mutation]:
    """All changes that can be made to a module, from its first line to its last."""
    tree = ast.parse(source)
    return [Mutation(tree, old, new, function) for old, new, function in _sites(tree, None)]


def _sites(
    node: ast.AST, about: ast.FunctionDef | None
) -> Iterator[tuple[ast.AST, ast.AST, int | None]]:
    """A node, its replacement, and where the function ``about`` it begins."""
    if _is_for_readers(node):
        return
    if _is_a_strict_zip(node):  # which raises where the program itself is wrong, as an assertion
        node = ast.Tuple(node.args)
    if isinstance(node, ast.FunctionDef):
        about = node
    line = about and min(part.lineno for part in (about, *about.decorator_list))
    for old, new in (*_returns(node, about), *_changes(node)):
        yield old, new, line
    for field, value in ast.iter_fields(node):
        if field not in _NOT_BEHAVIOUR_FIELDS:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _sites(child, about)


def _returns(node: ast.AST, about: ast.FunctionDef | None) -> Iterator[tuple[ast.AST, ast.AST]]:
    """What else a function may return."""
    if isinstance(node, ast.Return) and not isinstance(node.value, ast.Constant | None):
        returned = about and about.returns
        boolean = isinstance(returned, ast.Name) and returned.id == "bool"
        for value in (True, False) if boolean else (None,):
            yield node, ast.Return(ast.Constant(value))


def _changes(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Pairs of a node, or of a test in it, and its replacement."""
    match node:
        case ast.Constant(value=bool(flag)):
            yield node, ast.Constant(not flag)
        case ast.Constant(value=int(number) | float(number)):
            yield node, ast.Constant(number + 1)
            yield node, ast.Constant(number - 1)
        case ast.Compare(left=left, ops=operators, comparators=comparators):
            for at, operator in enumerate(operators):
                changed = [*operators[:at], _OPERATORS[type(operator)](), *operators[at + 1 :]]
                yield node, ast.Compare(left, changed, comparators)
        case ast.BoolOp(op=connective, values=values):
            yield node, ast.BoolOp(_OPERATORS[type(connective)](), values)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
            yield node, ast.BinOp(left, _OPERATORS[type(sign)](), right)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield node, operand
        case ast.If(test=test):
            yield from _negated(test)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield node, ast.IfExp(test, orelse, body)
        case ast.comprehension(ifs=tests):
            for test in tests:
                yield from _negated(test)
        case ast.Expr(value=ast.Call()):
            yield node, ast.Pass()
        case ast.Call(func=function, args=arguments, keywords=keywords):
            for at, _ in enumerate(keywords):
                yield node, ast.Call(function, arguments, keywords[:at] + keywords[at + 1 :])
        case ast.Name(id=name) if name in _NAMES:
            yield node, ast.Name(_NAMES[name])
        case ast.Attribute(value=owner, attr=name) if name in _NAMES:
            yield node, ast.Attribute(owner, _NAMES[name])


def _negated(test: ast.expr) -> Iterator[tuple[ast.AST, ast.AST]]:
    if not isinstance(test, ast.UnaryOp | ast.Compare):  # these are changed by themselves
        yield test, ast.UnaryOp(ast.Not(), test)


def _is_for_readers(node: ast.AST) -> bool:
    """Whether types or logs alone depend on it."""
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.ClassDef(bases=bases):
            return any("Protocol" in ast.unparse(base) for base in bases)
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
            return name in _LOGS
    return isinstance(node, _NOT_BEHAVIOUR)


def _is_a_strict_zip(node: ast.AST) -> TypeGuard[ast.Call]:
    match node:
        case ast.Call(func=ast.Name(id="zip"), keywords=[ast.keyword(arg="strict")]):
            return True
    return False


def sample(folder: Path, count: int, seed: int) -> list[tuple[Path, Mutation]]:
    """``count`` changes of a folder's modules, drawn alike each time."""
    found = [
        (path, mutation)
        for path in sorted(folder.rglob("*.py"))
        for mutation in mutations(path.read_text())
    ]
    return random.Random(seed).sample(found, min(count, len(found)))


def passes(tree: Path, tests: list[str], seconds: float, *options: str) -> bool:
    """Whether the tests pass in ``tree``, and in time."""
    words = ["-x", "-q", "-p", "no:cacheprovider", "-p", "tests.reached", *options, *tests]
    words += ["-W", "ignore:Module already imported", "--hypothesis-profile=mutants"]
    words += [f"--basetemp={tree.parent / 'tmp'}"]
    process = multiprocessing.get_context("fork").Process(target=_test, args=(tree, words))
    process.start()
    assert process.pid is not None
    process.join(seconds)
    if process.is_alive():
        os.kill(process.pid, signal.SIGINT)  # fixtures stop what they started
        process.join(10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.join()
    return process.exitcode == 0


def _test(tree: Path, words: list[str]) -> None:
    """Be a process that has imported nothing of this project yet, and run pytest in the tree."""
    os.setsid()
    os.chdir(tree)
    for name in list(sys.modules):
        if name.partition(".")[0] in ("hpsearch", "net", "tests"):
            del sys.modules[name]
    sys.path.insert(0, str(tree))
    os.environ["PYTHONPATH"] = str(tree)
    with _said(tree).open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.exit(pytest.main(words))


def _said(tree: Path) -> Path:
    """What pytest said the last time."""
    return tree.parent / "said"


def noticing(seen: dict[str, Reached], file: str, function: int | None) -> list[str]:
    """The tests that may notice a change of a function, or of a module itself: the quick ones."""
    able = [t for t, one in seen.items() if function is None or (file, function) in one.functions]
    able.sort(key=lambda test: seen[test].seconds)
    until = accumulate(seen[test].seconds for test in able)
    return [test for test, end in zip(able, until, strict=True) if end <= _MINUTE]


@contextmanager
def changed(path: Path, source: str) -> Iterator[None]:
    """``source`` stands at ``path``, and then what stood there before; no old bytecode does."""
    before = path.read_text()
    bytecode = Path(importlib.util.cache_from_source(str(path)))
    try:
        bytecode.unlink(missing_ok=True)
        path.write_text(source)
        yield
    finally:
        path.write_text(before)
        bytecode.unlink(missing_ok=True)


def main() -> None:
    """Read the words, and try the sample."""
    for name in _SLOW_TO_IMPORT:
        importlib.import_module(name)
    parser = argparse.ArgumentParser("python -m tests.mutants", description="Try wrong code.")
    parser.add_argument("room", help="a folder of hpsearch/, or net")
    parser.add_argument("--count", type=int, default=20, help="how many changes (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="which ones (default: 0)")
    parser.add_argument("--only", type=int, nargs="*", help="their numbers in the sample")
    parser.add_argument("--seen", type=Path, help="a file for what each test runs")
    words = parser.parse_args()
    seconds = float(os.environ.get("MUTANTS_SECONDS", "120"))
    room = "net" if words.room == "net" else f"hpsearch/{words.room}"
    with tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        drawn = list(enumerate(sample(tree / room, words.count, words.seed)))
        tried = [(at, one) for at, one in drawn if words.only is None or at in words.only]
        if not tried:
            sys.exit(f"{room}: there is nothing to change")
        report = words.seen.absolute() if words.seen else Path(folder) / "reached.json"
        chosen = Path(folder) / "chosen.json"
        if not report.exists():
            begun = time.monotonic()
            passed = passes(tree, [f"tests/{room}"], seconds, f"--reached={report}")
            print(f"tests/{room}: {time.monotonic() - begun:.0f} s as it is", flush=True)
            if not passed:
                print(*_said(tree).read_text().splitlines()[-20:], sep="\n")
                report.unlink(missing_ok=True)
                sys.exit(f"it fails, or needs more than {seconds:.0f} s: set MUTANTS_SECONDS")
        seen = reached.read(report)
        survivors = 0
        for at, (path, mutation) in tried:
            file = str(path.relative_to(tree))
            tests = noticing(seen, file, mutation.function)
            chosen.write_text(json.dumps(tests))
            with changed(path, mutation.source):
                files = sorted({test.partition("::")[0] for test in tests})
                if not tests or passes(tree, files, seconds, f"--chosen={chosen}"):
                    survivors += 1
                    print(f"[{at}] {file}:{mutation} ({len(tests)} tests)", flush=True)
        noticed = len(tried) - survivors
        print(f"{room}: {noticed} of {len(tried)} noticed ({noticed / len(tried):.0%})")


if __name__ == "__main__":
    main()
