"""How does anything reach the terminal? Through here alone: visible, and without secrets."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import TextIO

from hpsearch.errors import HpsearchError
from hpsearch.redact import redact
from hpsearch.text import document as visible_document
from hpsearch.text import line as visible_line
from hpsearch.text import visible

_GAP = "   "
"""Between two columns, and before what follows below a row."""


NO_WEIGHTS = "the training returns no weights"


def begin() -> None:
    """Make the standard streams usable, whatever the process was started with.

    One that is closed becomes one that nobody reads: otherwise the next file that is opened would
    take its place. What a terminal's encoding lacks is spelt out.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 (it stays)
            setattr(sys, name, stream)
    for stream in (sys.stdout, sys.stderr):
        # What others print, such as the help, does not come through here.
        with suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def end() -> None:
    """Write what is still held back.

    Raises:
        BrokenPipeError: If nobody reads it any more.
        HpsearchError: If it cannot be written.
    """
    _write("", flush=True)


def out(text: object) -> None:
    """A line on standard output."""
    _write(f"{fit(text, sys.stdout)}\n")


def say(text: object) -> None:
    """A line on standard error; if nobody can read that, there is nobody to tell."""
    with suppress(OSError):
        print(fit(text, sys.stderr), file=sys.stderr, flush=True)


def page(text: str) -> None:
    """A study file on standard output, as it is to be read again."""
    encoding = _encoding(sys.stdout)
    encoding = encoding if encoding.startswith("utf") else "ascii"
    _write(visible(text, encoding, keep="\n") + "\n")


def links(lines: Iterable[str]) -> None:
    """Addresses to open, on standard output at once, with the token that opens them."""
    encoding = _encoding(sys.stdout)
    _write("".join(f"{visible_line(line, encoding)}\n" for line in lines), flush=True)


def document(text: str) -> None:
    """A JSON document on standard output."""
    _write(visible_document(text, _encoding(sys.stdout)) + "\n")


def question(text: str) -> str:
    """Ask on standard error; the answer, empty if nobody gives one."""
    with suppress(OSError):
        print(fit(text, sys.stderr), end=" ", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        say("")
    return answer.strip()


def fit(text: object, stream: TextIO) -> str:
    """Anything as one line that a stream can show."""
    return visible_line(redact(str(text)), _encoding(stream))


def table(head: list[str], rows: list[list[str]]) -> None:
    """Rows under a head, each on one line where that fits the terminal.

    Where it does not, the first columns stay a table, and the others follow below each row with
    their names: no number is ever cut.
    """
    from rich.cells import cell_len

    cells = [[fit(cell, sys.stdout) for cell in row] for row in [head, *rows]]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    columns = len(head)
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        while columns > 1 and sum(widths[:columns]) + len(_GAP) * (columns - 1) > width:
            columns -= 1
    lines = [_aligned(row[:columns], widths) for row in cells]
    rule = fit("─" * (sum(widths[:columns]) + len(_GAP) * (columns - 1)), sys.stdout)
    if columns == len(head):
        lines.insert(1, rule)
    else:
        below = [_below(cells[0][columns:], row[columns:], width) for row in cells[1:]]
        pairs = zip(lines[1:], below, strict=True)
        lines = [lines[0], rule, *(line for first, more in pairs for line in (first, *more))]
    _write("".join(f"{each.rstrip()}\n" for each in lines))


def _aligned(row: list[str], widths: list[int]) -> str:
    """Cells beside each other, each as wide as its column."""
    from rich.cells import cell_len

    padded = (c + " " * (width - cell_len(c)) for c, width in zip(row, widths, strict=False))
    return _GAP.join(padded)


def _below(names: list[str], row: list[str], width: int) -> list[str]:
    """What of a row is not in the table, with its names, on as few lines as it takes."""
    from rich.cells import cell_len

    lines: list[str] = []
    for name, cell in zip(names, row, strict=True):
        if cell in ("", "-"):
            continue
        more = f"{name} {cell}"
        if lines and cell_len(lines[-1]) + len(_GAP) + cell_len(more) <= width:
            lines[-1] += _GAP + more
        else:
            lines.append(_GAP + more)
    return lines


def _write(text: str, *, flush: bool = False) -> None:
    try:
        print(text, end="", flush=flush)
    except OSError as error:
        with suppress(OSError):  # what is held back is not to be tried again in the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise HpsearchError(f"standard output: {error.strerror}") from error


def _encoding(stream: TextIO) -> str:
    return (stream.encoding or "utf-8").lower().replace("_", "-")
