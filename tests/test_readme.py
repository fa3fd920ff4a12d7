"""What the README says is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from hpsearch import cli
from hpsearch.study import file as study_file

README = Path(__file__).parent.parent / "README.md"
STUDIES = README.parent / "studies"


def test_the_study_of_the_readme_is_one() -> None:
    """It is valid, and bears no name that ``make run`` or another study has taken."""
    (block,) = re.findall(r"```toml\n(.*?)```", README.read_text(), re.DOTALL)
    described = study_file.parse(tomllib.loads(block))
    assert described.name not in {file.stem for file in STUDIES.glob("*.toml")}


def test_the_commands_of_the_readme_are_there() -> None:
    """Each ``hpsearch WORD``, and each study that one runs."""
    text = README.read_text()
    commands = get_command(cli.app).commands  # type: ignore[attr-defined]
    assert set(re.findall(r"(?:`|^)hpsearch ([a-z]+)", text, re.MULTILINE)) - set(commands) == set()
    for given in re.findall(r"hpsearch run ([a-z][\w./-]+)", text):
        assert (STUDIES / f"{given}.toml").is_file() or (README.parent / given).is_file()


def test_the_readme_is_short() -> None:
    """It is read in five minutes."""
    assert len(README.read_text().splitlines()) < 200


@pytest.mark.parametrize("page", ["README.md", "README.ko.md"])
def test_what_the_readme_links_to_is_there(page: str) -> None:
    """Pages and pictures, and no picture is large."""
    for place in re.findall(r"\]\(([^)#]+)", (README.parent / page).read_text()):
        target = README.parent / place
        assert target.exists(), place
        assert target.suffix != ".png" or target.stat().st_size < 150_000, place


def test_the_korean_readme_names_the_studies_of_the_book() -> None:
    """All but the one to try things with, and the one for images, in a table."""
    named = re.findall(
        r"^\| `([\w-]+)`", (README.parent / "README.ko.md").read_text(), re.MULTILINE
    )
    assert sorted([*named, "mnist5k", "quick"]) == sorted(
        file.stem for file in STUDIES.glob("*.toml")
    )
