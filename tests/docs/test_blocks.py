"""What README and docs show can be typed as it stands there."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from functools import cache

import jsonschema
import pytest
import typer
from typer.main import get_command

from hpsearch import cli
from hpsearch.study import file as study_file
from tests.docs.blocks import PAGES, ROOT, blocks

WRITTEN = [page for page in PAGES if blocks(page)]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_has_a_known_language(page: str) -> None:
    """No fence is left open, and what is neither run nor checked says why, or that it is text."""
    assert (ROOT / page).read_text().count("\n```") == 2 * len(blocks(page))
    run = {block.language for block in blocks(page) if not block.reason}
    assert run <= {"", "python", "toml", "text"}


@pytest.mark.parametrize("page", WRITTEN)
def test_every_command_is_one(page: str) -> None:
    """hpsearch takes it as it is written, make has the target, and anything else is not run."""
    targets = set(re.findall(r"^([\w./$()-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for block in (each for each in blocks(page) if not each.language):
        for name, *arguments in block.commands:
            if name == "hpsearch":
                taken(arguments)
            elif name == "make":
                assert arguments[0].replace(".venv/.ready", "$(READY)") in targets
            else:
                assert block.reason, f"{page}: {name} is run by no test; say why"


@pytest.mark.parametrize("page", WRITTEN)
def test_every_study_is_one(page: str) -> None:
    """A whole study is valid, and what is a part of one fits the schema but for what it lacks."""
    schema = jsonschema.Draft7Validator(json.loads((ROOT / "docs/study.schema.json").read_text()))
    for block in (each for each in blocks(page) if each.language == "toml"):
        table = tomllib.loads(block.text)
        if "name" in table:
            study_file.parse(table)
        wrong = [error for error in schema.iter_errors(table) if error.validator != "required"]
        assert [error.message for error in wrong if error.path] == []
        assert set(table) <= set(schema.schema["properties"])


@pytest.mark.parametrize("page", WRITTEN)
def test_every_python_is_python(page: str) -> None:
    """It can be parsed."""
    for block in (each for each in blocks(page) if each.language == "python"):
        ast.parse(block.text)


def taken(arguments: list[str]) -> None:
    """Let the command line read its words, and do nothing."""
    if arguments in (["--help"], ["--version"]):
        return
    above = typer.Context(program(), info_name="hpsearch")
    program().commands[arguments[0]].make_context(arguments[0], arguments[1:], parent=above)


@cache
def program() -> typer.core.TyperGroup:
    """The command line, which takes a while to put together."""
    group = get_command(cli.app)
    assert isinstance(group, typer.core.TyperGroup)
    return group
