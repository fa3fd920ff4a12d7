"""What do the commands share? Options, the store, signals, and how they print."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.exceptions import Abort

from hpsearch import settings
from hpsearch.errors import (
    HpsearchError,
    StudyFileError,
    UsageError,
)

if TYPE_CHECKING:
    from hpsearch.data.splits import Splits
    from hpsearch.ledger.records import StudyRecord, Trial
    from hpsearch.ledger.store import Store

Name = Annotated[str, typer.Argument(metavar="NAME", help="A study in the store.")]
TrialNumber = Annotated[int | None, typer.Option("--trial", min=0, help="The trial's number.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]

FOLDED = 1000  # rows that are folded to fit a terminal; 10,000 would take 4 s


def open_store(*, create: bool = False) -> Store:
    from hpsearch.ledger.database import Database
    from hpsearch.ledger.store import Store

    return Store(Database(settings.read().storage, create=create))


def find(study: str) -> Path:
    """A study file by its path, or by its name in ``studies/`` here or in the package."""
    given = Path(study)
    if len(study) > 255 or given.suffix == ".toml" or given.is_file():
        return given
    package = Path(__file__).parent.parent
    folders = [Path("studies"), package / "studies", package.parent / "studies"]
    for folder in folders:
        if (folder / f"{study}.toml").is_file():
            return folder / f"{study}.toml"
    names = sorted({file.stem for folder in folders for file in folder.glob("*.toml")})
    raise StudyFileError(f"no study file {study!r}; there are {', '.join(names)}, or give a path")


def splits_of(described: Any, places: settings.Settings) -> Splits:
    from hpsearch.data.datasets import load
    from hpsearch.data.splits import split

    dataset = load(described.dataset, cache=places.cache)
    return split(
        dataset,
        train=described.train,
        validation=described.validation,
        seed=described.seed,
        test=described.test,
        scaling=described.scaling,
    )


def unchanged_splits(record: StudyRecord) -> Splits:
    splits = splits_of(record.study.data, settings.read())
    if splits.digests != record.data_digests:
        raise UsageError(
            f"the data of {record.name!r} here is not what it was begun on (dataset sha256 "
            f"{record.data_digests['dataset'][:12]}, here {splits.digests['dataset'][:12]})"
        )
    return splits


def validation_size(record: StudyRecord) -> int:
    described = record.study.data
    if isinstance(described.validation, int):
        return described.validation
    return round(described.train * described.validation)


def best_of(store: Store, record: StudyRecord) -> Trial:
    trial = store.best(record)
    if trial is None:
        raise HpsearchError(f"{record.name!r} has no COMPLETE trial yet")
    return trial


def why_stopped(store: Store, record: StudyRecord) -> str:
    from hpsearch.ledger.leases import FAILS_IN_A_ROW
    from hpsearch.ledger.records import State

    failed = store.trials(record.id, [State.FAIL])
    reason = f"the last with: {failed[-1].reason}" if failed else "see hpsearch trials"
    return (
        f"stopped: the last {FAILS_IN_A_ROW} trials failed, {reason}; when that is mended, "
        f"`hpsearch retry {shlex.quote(record.name)}` runs them again"
    )


@contextmanager
def signals(stop: Any, kill: Any) -> Iterator[list[int]]:
    """First SIGINT or SIGTERM: stop in order. Another SIGINT: at once.

    Yields:
        The signals received so far.
    """
    received: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        received.append(number)
        stop()
        if received.count(signal.SIGINT) > 1:
            kill()
            os._exit(128 + signal.SIGINT)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def ask(question: str) -> None:
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        say("")
    if answer.strip().lower() not in ("y", "yes"):
        raise Abort


def table(head: list[str], rows: list[list[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal or len(rows) > FOLDED:
        lines(head, rows)
        return
    # A Text is shown as it is; in a str, rich would take [words] in brackets for markup.
    table = Table(*head, box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def lines(head: list[str], rows: list[list[str]]) -> None:
    """The same table, a line a row however long it is."""
    from rich.cells import cell_len
    from rich.control import strip_control_codes

    cells = [[strip_control_codes(" ".join(c.splitlines())) for c in row] for row in [head, *rows]]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "   ".join(c + " " * (width - cell_len(c)) for c, width in zip(row, widths, strict=True))
        for row in cells
    ]
    lines.insert(1, "─" * (sum(widths) + 3 * (len(widths) - 1)))
    print("\n".join(line.rstrip() for line in lines))
