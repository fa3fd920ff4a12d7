"""Which commands are there, and what do they take? The page of commands, from their help."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import typer
from typer.main import get_command

from hpsearch import cli

HEAD = """# All commands

`python -m docs.make` writes this page from the commands. `hpsearch COMMAND --help` shows the same.
Exit codes are [the same for all](how-it-works.md#exit-codes).
"""


def written() -> str:
    """The page, a panel of the help after the other."""
    group: Any = get_command(cli.app)
    above = typer.Context(group, info_name="hpsearch")
    shown = [command for command in group.commands.values() if not command.hidden]
    parts = [HEAD]
    for panel, commands in groupby(shown, key=lambda command: command.rich_help_panel):
        parts += [f"## {panel}\n", *(_command(command, above) for command in commands)]
    return "\n".join(parts)


def _command(command: Any, above: typer.Context) -> str:
    context = typer.Context(command, info_name=command.name, parent=above)
    pieces = " ".join(command.collect_usage_pieces(context))
    example = (command.epilog or "").removeprefix("Example: ")
    rows = [
        f"| {_name(each)} | {_help(each)} |"
        for each in command.get_params(context)
        if not getattr(each, "hidden", False) and each.name != "help"
    ]
    lines = [f"### {command.name}", "", f"`hpsearch {command.name} {pieces}`", "", command.help, ""]
    if rows:
        lines += ["| argument or option | what it does |", "| --- | --- |", *rows, ""]
    if example:
        lines += [f"For example: `{example}`", ""]
    return "\n".join(lines)


def _name(parameter: Any) -> str:
    metavar = parameter.metavar or ""
    if parameter.param_type_name == "argument":
        return f"`{metavar}`"
    return f"`{', '.join([*parameter.opts, *parameter.secondary_opts])} {metavar}".rstrip() + "`"


def _help(parameter: Any) -> str:
    text = " ".join((parameter.help or "").split()).replace("|", "\\|")
    default = parameter.default
    told = parameter.param_type_name == "option" and parameter.show_default
    if told and default not in (None, False, ()):
        text += f" Default: `{getattr(default, 'value', default)}`."
    return text
