"""How does a command say how it is used? In the words of a manual page."""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.models import CommandInfo

PANELS = {
    "Start here": ("run", "trials", "best", "report", "ui"),
    "Search": ("plan", "init", "data", "worker", "retry", "narrow"),
    "Look": ("studies", "status", "watch", "config", "curve", "log", "compare"),
    "Trust": ("confirm", "test", "reproduce", "replay", "verify", "digest", "audit"),
    "Serve": ("refit", "register", "predict"),
    "Share": ("export", "check", "import"),
    "Keep": ("sync", "backup", "restore", "copy", "delete"),
}
"""The commands in the order of the help, those that a newcomer needs first."""

_KINDS = {bool: "", int: "NUMBER", float: "NUMBER"}


class Command(TyperCommand):
    """A command whose help shows names, not types: ``NAME`` and ``--workers NUMBER``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _name(self.params)

    def get_help_option(self, ctx: Any) -> Any:
        """``--help``, which takes no value either."""
        return _flag(super().get_help_option(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The pieces of the usage line: what may be left out stands in brackets."""
        arguments = [each for each in self.get_params(ctx) if isinstance(each, TyperArgument)]
        names = [str(each.metavar) if each.required else f"[{each.metavar}]" for each in arguments]
        return ["[OPTIONS]", *names]


class Group(TyperGroup):
    """All commands, whose help does the same."""

    def get_params(self, ctx: Any) -> Any:
        """The options, those among them by which a shell learns to complete."""
        _name(self.params)
        return super().get_params(ctx)

    def get_help_option(self, ctx: Any) -> Any:
        """``--help``, which takes no value either."""
        return _flag(super().get_help_option(ctx))


def arranged(commands: list[CommandInfo]) -> list[CommandInfo]:
    """The commands in the order of the help, each in its panel: the list itself, sorted."""
    panels = {name: panel for panel, names in PANELS.items() for name in names}
    places = list(panels)

    def name(command: CommandInfo) -> str:
        return command.name or str(getattr(command.callback, "__name__", ""))

    for command in commands:
        command.rich_help_panel = panels[name(command)]
    commands.sort(key=lambda command: places.index(name(command)))
    return commands


def _name(parameters: Any) -> None:
    for parameter in parameters:
        if isinstance(parameter, TyperOption) and parameter.metavar is None:
            kind = parameter.type_descriptor.annotation
            parameter.metavar = _KINDS.get(kind, "TEXT")
        elif isinstance(parameter, TyperArgument):
            setattr(parameter, "display_type_rich", _nothing)  # noqa: B010 (mypy)


def _flag(option: Any) -> Any:
    if option is not None:
        option.metavar = ""
    return option


def _nothing(**_: Any) -> None:
    """What an argument's name needs no type beside."""
