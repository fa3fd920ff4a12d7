"""What follows from the code is current: tables of keys, the schema, the commands, the figures."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from docs.make import drawn, pages
from hpsearch.study.file import StudyFileError, parse

ROOT = Path(__file__).parents[2]
STUDIES = [*ROOT.glob("studies/*.toml"), *ROOT.glob("examples/**/*.toml")]


@pytest.fixture(scope="module")
def schema() -> Any:
    """The schema that editors get."""
    return jsonschema.Draft7Validator(json.loads((ROOT / "docs/study.schema.json").read_text()))


def test_written_pages_are_current() -> None:
    """`python -m docs.make` would change none of them."""
    for path, content in pages.written().items():
        assert path.read_text() == content, f"{path.name}: run python -m docs.make"


def test_the_schema_is_one(schema: Any) -> None:
    """Of the draft that editors read."""
    schema.check_schema(schema.schema)


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_editors_accept_studies(schema: Any, file: Path) -> None:
    """All that there are."""
    schema.validate(tomllib.loads(file.read_text()))


@pytest.mark.parametrize(
    "change",
    [
        "training.lr = 'fast'",
        "training.lr = { low = 1e-3 }",
        "training.lr = { low = 1e-3, high = 1.0, lag = true }",
        "training.learning_rate = 0.1",
        "training.optimizer = 'sdg'",
        "training.optimizer = { choices = ['sdg'] }",
        "training.optimizer = { low = 0.1, high = 0.2 }",
        "training.batch_size = 0",
        "network.hidden = { depth = 2 }",
        "data.validation = 1",
        "search.pruner = 'hyperbnd'",
        "search.rounds = 0",
        "serch.trials = 1",
    ],
)
def test_editors_mark_what_hpsearch_refuses(schema: Any, change: str) -> None:
    """A change for the worse to a study that is fine."""
    table = tomllib.loads((ROOT / "studies/quick.toml").read_text())
    for section, entries in tomllib.loads(change).items():
        table.setdefault(section, {}).update(entries)
    with pytest.raises(StudyFileError):
        parse(table)
    assert not schema.is_valid(table)


def test_what_the_book_page_names_is_there() -> None:
    """Each module with its function or class, and each study."""
    page = (ROOT / "docs/book.md").read_text()
    places = re.findall(r"`([\w/]+\.py): ([\w.]+)`", page)
    assert len(places) > 20
    for file, name in places:
        for part in name.split("."):
            assert re.search(rf"^\s*(class|def) {part}\b", (ROOT / file).read_text(), re.M), name
    studies = re.findall(r"\| `([\w-]+)`(?:, `([\w-]+)`)? \|$", page, re.M)
    named = {name for pair in studies for name in pair if name}
    assert named == {file.stem for file in ROOT.glob("studies/*.toml")} - {
        "mnist5k",
        "quick",
        "two-layer",
    }


def test_each_section_of_the_book_that_the_code_names_is_on_the_page() -> None:
    """Of chapters 4 to 6, as docstrings of ``net`` write them."""
    page = (ROOT / "docs/book.md").read_text()
    code = "".join(file.read_text() for file in ROOT.glob("net/*.py"))
    for section in set(re.findall(r"\(([456]\.\d\.\d)\b", code)):
        assert section in page or f"| {section[:3]} |" in page, section


def test_optimizers_walk_to_the_middle() -> None:
    """As in Figures 6-3 to 6-8: SGD zigzags, and all of them end lower than they began."""
    ways = {name: drawn.path(name) for name in drawn.RATES}
    for way in ways.values():
        assert way.shape == (drawn.STEPS + 1, 2)
        assert drawn.bowl(way[-1]) < 0.1 * drawn.bowl(way[0])
    heights = ways["sgd"][:10, 1]
    assert (heights[1:] * heights[:-1] < 0).all()


def test_figures_are_drawn(tmp_path: Path) -> None:
    """All that the book page shows."""
    drawn.draw(tmp_path)
    shown = set(re.findall(r"figures/([\w-]+\.svg)", (ROOT / "docs/book.md").read_text()))
    assert {file.name for file in tmp_path.glob("*.svg")} == shown
