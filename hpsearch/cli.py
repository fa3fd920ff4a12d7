"""The command line: parse, wire, print.

What is heavy is imported where it is used, so that ``hpsearch --help`` answers at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Annotated, NoReturn

import typer
from typer.exceptions import Abort, TyperException

from hpsearch import settings
from hpsearch.commands import (
    archive,
    audit,
    compare,
    confirm,
    data,
    init,
    keep,
    models,
    opening,
    refit,
    replay,
    report,
    run,
    secret_files,
    shape,
    show,
    trials,
    trust,
    ui,
    watch,
    worker,
)
from hpsearch.commands.interrupts import ending
from hpsearch.commands.printing import begin, end, out, say
from hpsearch.commands.usage import Command, Group, arranged
from hpsearch.errors import HpsearchError, UsageError
from hpsearch.text import short
from hpsearch.threads import begin as begin_thread
from hpsearch.threads import one_thread

_FAREWELL = 1.0  # seconds that the databases have to close when an end was asked for

app = typer.Typer(
    name="hpsearch",
    help="Hyperparameter search you can trust: the same study file gives the same trials.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    cls=Group,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

PARTS = (
    run,
    worker,
    init,
    data,
    show,
    report,
    trials,
    watch,
    compare,
    shape,
    confirm,
    refit,
    opening,
    trust,
    replay,
    archive,
    audit,
    keep,
    models,
    ui,
)
for part in PARTS:
    app.registered_commands += part.app.registered_commands
for registered in arranged(app.registered_commands):
    registered.cls = Command


def main() -> None:
    """Run the command line, and end with the exit code that its outcome has."""
    begin()
    one_thread()
    if hasattr(signal, "SIGCHLD"):  # who started this may ignore it; then no child's end is told
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        with ending():
            _refuse_what_is_no_text()
            secret_files.read(os.environ)
            code = app(standalone_mode=False)
            end()
    except HpsearchError as error:
        say(f"hpsearch: {error}")
        code = error.exit_code
    except TyperException as error:
        say(_usage(error))
        code = error.exit_code
    except Abort:
        say("hpsearch: cancelled; nothing was changed")
        code = 1
    except BrokenPipeError:  # whoever reads has seen enough, as `head` does
        code = 1
    except (OSError, MemoryError) as error:
        say(f"hpsearch: {type(error).__name__}: {error}")
        code = 1
    with suppress(OSError, HpsearchError):  # it was said already
        end()
    if code in (128 + signal.SIGINT, 128 + signal.SIGTERM):
        _end_now(code)
    sys.exit(code)


def _end_now(code: int) -> NoReturn:
    """No thread that waits for a server holds up an end that was asked for."""
    connections = sys.modules.get("hpsearch.ledger.connections")
    if connections is not None:
        closing = threading.Thread(target=connections.close, daemon=True)
        with suppress(MemoryError):
            begin_thread(closing)
            closing.join(_FAREWELL)
    os._exit(code)


def _refuse_what_is_no_text() -> None:
    """Python lets through what is not UTF-8, and it fails where it is used."""
    given = [(f"the argument {short(word)}", word) for word in sys.argv[1:]]
    given += [(name, os.environ.get(name, "")) for name in settings.VARIABLES]
    with suppress(OSError):
        given += [("the current folder", os.fsdecode(os.getcwdb()))]
    for what, text in given:
        if any("\ud800" <= c <= "\udfff" for c in text):
            raise UsageError(f"{what}: is not valid UTF-8; use another name")


def _usage(error: TyperException) -> str:
    """What was wrong with the words of the command line, on one line."""
    command = getattr(getattr(error, "ctx", None), "command_path", "hpsearch")
    message = short(" ".join(error.format_message().split()), 300).rstrip(".")
    if not message:  # no words at all: the help was shown
        return f"{command}: name a command; the list is above"
    end = " See" if message.endswith("?") else "; see"
    return f"{command}: {message[0].lower()}{message[1:]}{end}: {command} --help"


def _version(asked: bool) -> None:
    if asked:
        from hpsearch import __version__

        out(f"hpsearch {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass
