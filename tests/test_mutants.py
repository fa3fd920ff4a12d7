"""Mutations, which say whether the tests would notice wrong code."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import mutants, reached
from tests.reached import Reached


@pytest.mark.parametrize("module", ["net/losses.py", "hpsearch/search/view.py"])
def test_every_mutation_is_another_module(module: str) -> None:
    """Each of them parses, and differs from the module and from the others."""
    source = (mutants.ROOT / module).read_text()
    written = {ast.dump(ast.parse(found.source)) for found in mutants.mutations(source)}
    assert len(written) == len(mutants.mutations(source)) > 20
    assert ast.dump(ast.parse(source)) not in written


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", ["a <= b"]),
        ("a is b == c", ["a is not b == c", "a is b != c"]),
        ("a and b", ["a or b"]),
        ("a + b * c", ["a - b * c", "a + b / c"]),
        ("not a", ["a"]),
        ("1", ["2", "0"]),
        ("True", ["False"]),
        ("x = max(a)", ["x = min(a)"]),
        ("x = np.minimum(a, b)", ["x = np.maximum(a, b)"]),
        ("x = f(a, b=c)", ["x = f(a)"]),
        ("x = zip(a + b, c, strict=False)", ["x = zip(a - b, c, strict=False)"]),
        ("f(a)", ["pass"]),
        ("if a:\n    x = b\nelse:\n    x = c", ["if not a:\n    x = b\nelse:\n    x = c"]),
        ("x = [a for a in b if c]", ["x = [a for a in b if not c]"]),
        ("x = a if b else c", ["x = c if b else a"]),
        ("x = [a for a in b if not a]", ["x = [a for a in b if a]"]),
        ("def f():\n    return a", ["def f():\n    return None"]),
        (
            "def f() -> bool:\n    return a",
            ["def f() -> bool:\n    return True", "def f() -> bool:\n    return False"],
        ),
    ],
)
def test_kinds(source: str, expected: list[str]) -> None:
    """Each kind of change is made."""
    assert expected == [found.source for found in mutants.mutations(source)]


@pytest.mark.parametrize(
    "source",
    [
        '"""Of 3."""',
        "x: Literal[1] = a",
        "def f(x: Literal[1]) -> Literal[2]: ...",
        "if TYPE_CHECKING:\n    f()",
        "class A(Protocol):\n    x = 1",
        "@dataclass(frozen=True)\nclass A: ...",
        "raise A(f'{1}', 2)",
        "log.info(1)",
        "assert a is not None",
        "x = zip(a, b, strict=True)",
    ],
)
def test_words_and_types_are_left(source: str) -> None:
    """Nothing is changed that is for readers and tools alone."""
    assert mutants.mutations(source) == []


def test_the_sample_is_drawn_alike() -> None:
    """The same seed draws the same changes, so that those which survived are looked at again."""
    first, again = (mutants.sample(mutants.ROOT / "net", 5, seed=3) for _ in range(2))
    assert [(p, str(m)) for p, m in first] == [(p, str(m)) for p, m in again]


def test_the_function_is_found() -> None:
    """A change knows where the function begins that it is in; outside of any there is none."""
    source = "a = 1\n\n@f\ndef g():\n    h(2)\n    def i():\n        h(3)"
    found = {str(one): one.function for one in mutants.mutations(source)}
    assert {"1: 1 -> 2": None, "5: 2 -> 3": 3, "7: 3 -> 4": 6}.items() <= found.items()


def test_only_tests_that_may_notice_are_run() -> None:
    """Those that run the function, the quickest first, and for a minute; all of them for what is in
    no function."""
    seen = {
        "slow": Reached(9.0, [("a.py", 1), ("a.py", 5)]),
        "quick": Reached(1.0, [("a.py", 5)]),
        "other": Reached(0.1, [("b.py", 5)]),
        "slower": Reached(50.0, [("a.py", 1), ("b.py", 5)]),
        "slowest": Reached(50.5, [("a.py", 1), ("b.py", 5)]),
    }
    assert mutants.noticing(seen, "a.py", 5) == ["quick", "slow"]
    assert mutants.noticing(seen, "a.py", 1) == ["slow", "slower"]
    assert mutants.noticing(seen, "b.py", 5) == ["other", "slower"]
    assert mutants.noticing(seen, "a.py", None) == ["other", "quick", "slow"]


def test_what_tests_run_is_seen(tmp_path: Path) -> None:
    """Each test with its functions, also on threads; those chosen are run in the given order."""
    (tmp_path / "test_it.py").write_text(
        "import threading\n"
        "def f(): ...\n"
        "def test_a(): f()\n"
        "def test_b():\n"
        "    thread = threading.Thread(target=f)\n"
        "    thread.start()\n"
        "    thread.join()\n"
        "def test_c(): ...\n"
    )
    file, chosen = tmp_path / "reached.json", tmp_path / "chosen.json"

    def run(*options: str) -> None:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.reached", *options]
        command += ["-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(tmp_path)]
        subprocess.run(command, cwd=mutants.ROOT, check=True, stdout=subprocess.DEVNULL)

    run(f"--reached={file}")
    seen = reached.read(file)
    found = {
        test.partition("::")[2]: ("test_it.py", 2) in one.functions for test, one in seen.items()
    }
    assert found == {"test_a": True, "test_b": True, "test_c": False}
    chosen.write_text(json.dumps(["test_it.py::test_c", "test_it.py::test_a"]))
    run(f"--reached={file}", f"--chosen={chosen}")
    assert list(reached.read(file)) == ["test_it.py::test_c", "test_it.py::test_a"]


def test_a_changed_module_is_put_back(tmp_path: Path) -> None:
    """The copy is as it was after each change."""
    path = tmp_path / "a.py"
    path.write_text("a = 1  # one\n")
    with mutants.changed(path, "a = 2"):
        assert path.read_text() == "a = 2"
    assert path.read_text() == "a = 1  # one\n"
