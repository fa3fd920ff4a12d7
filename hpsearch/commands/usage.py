"""How does a command say how it is used? In the words of a manual page."""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperOption

_KINDS = {bool: "", int: "NUMBER", float: "NUMBER"}


class Command(TyperCommand):
    """A command whose help shows names, not types: ``NAME`` and ``--workers NUMBER``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for parameter in self.params:
            if isinstance(parameter, TyperOption) and parameter.metavar is None:
                kind = parameter.type_descriptor.annotation
                parameter.metavar = _KINDS.get(kind, "TEXT")
            elif isinstance(parameter, TyperArgument):
                setattr(parameter, "display_type_rich", _nothing)  # noqa: B010 (mypy)

    def get_help_option(self, ctx: Any) -> Any:
        """``--help``, which takes no value either."""
        option: Any = super().get_help_option(ctx)
        if option is not None:
            option.metavar = ""
        return option

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The pieces of the usage line: what may be left out stands in brackets."""
        arguments = [each for each in self.get_params(ctx) if isinstance(each, TyperArgument)]
        names = [str(each.metavar) if each.required else f"[{each.metavar}]" for each in arguments]
        return ["[OPTIONS]", *names]


def _nothing(**_: Any) -> None:
    """What an argument's name needs no type beside."""
