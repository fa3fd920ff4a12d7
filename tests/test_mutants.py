"""Mutations, which say whether the tests would notice wrong code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests import mutants


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
    ],
)
def test_words_and_types_are_left(source: str) -> None:
    """Nothing is changed that is for readers and tools alone."""
    assert mutants.mutations(source) == []


def test_the_sample_is_drawn_alike() -> None:
    """The same seed draws the same changes, so that those which survived are looked at again."""
    first, again = (mutants.sample(mutants.ROOT / "net", 5, seed=3) for _ in range(2))
    assert [(p, str(m)) for p, m in first] == [(p, str(m)) for p, m in again]


def test_tests_are_in_order(tmp_path: Path) -> None:
    """The module's own come first, then those that name it, then the others; quick ones first."""
    texts = {
        "tests/test_slow.py": "",
        "tests/test_quick.py": "of another",
        "tests/test_names_it.py": "from hpsearch.ledger import module",
        "tests/test_module.py": "",
    }
    (tmp_path / "tests").mkdir()
    for file, text in texts.items():
        (tmp_path / file).write_text(text)
    taken = {file: 9.0 - place for place, file in enumerate(texts)}
    found = mutants.in_order(tmp_path, taken | {"tests/test_module.py": 99.0}, "module")
    assert found == [
        "tests/test_module.py",
        "tests/test_names_it.py",
        "tests/test_quick.py",
        "tests/test_slow.py",
    ]


def test_seconds_by_file() -> None:
    """They are added up over a file's tests."""
    report = (
        '<testsuites><testsuite><testcase classname="tests.net.test_a" name="x" time="1.5"/>'
        '<testcase classname="tests.net.test_a" name="y" time="0.25"/></testsuite></testsuites>'
    )
    assert mutants.seconds_by_file(report) == {"tests/net/test_a.py": 1.75}


def test_a_changed_module_is_put_back(tmp_path: Path) -> None:
    """The copy is as it was after each change."""
    path = tmp_path / "a.py"
    path.write_text("a = 1  # one\n")
    with mutants.changed(path, "a = 2"):
        assert path.read_text() == "a = 2"
    assert path.read_text() == "a = 1  # one\n"
