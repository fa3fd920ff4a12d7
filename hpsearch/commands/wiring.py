"""What do the commands share? Options, the store, and signals."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.exceptions import Abort

from hpsearch import settings
from hpsearch.commands import complete
from hpsearch.commands.printing import question, say
from hpsearch.errors import (
    HpsearchError,
    NoStoreError,
    StudyFileError,
    UnknownStudyError,
    UsageError,
)
from hpsearch.text import short

if TYPE_CHECKING:
    from hpsearch.ledger.records import StudyRecord, Trial
    from hpsearch.ledger.store import Store
    from hpsearch.study.config import Study
    from hpsearch.training.seam import Trainer

MOST = 2**31 - 1  # trials of a study

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The name of a study.", autocompletion=complete.studies),
]
TrialNumber = Annotated[
    int | None,
    typer.Option(
        "--trial",
        min=0,
        max=MOST,
        help="A trial's number. Default: the best trial.",
        autocompletion=complete.numbers,
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, max=1024, help="Worker processes. Default: one per core.")
]
NoTracking = Annotated[
    bool, typer.Option("--no-tracking", help="Do not write to MLflow. `sync` can do it later.")
]
Task = Annotated[
    str, typer.Option(metavar="TASK", help="classification, or regression: labels are numbers.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def open_store(*, create: bool = False) -> Store:
    from hpsearch.ledger.database import Database
    from hpsearch.ledger.store import Store

    places = settings.read()
    own_home(places, create=create)
    return Store(Database(places.storage, create=create))


def own_home(places: settings.Settings, *, create: bool = False) -> None:
    """Make the workspace, or warn of one that is another's.

    Raises:
        UsageError: If it cannot be made, or its artifacts are in a bucket that cannot be used.
    """
    if places.bucket is not None:
        from hpsearch.projections import buckets

        buckets.check(places)
    try:
        warning = settings.prepare(places.home, create=create)
    except OSError as error:
        raise UsageError(
            f"{places.home}: cannot be used as the workspace: {error.strerror}"
        ) from error
    if warning is not None:
        say(f"hpsearch: {warning}")


def find(study: str, stored: Iterable[str] = ()) -> Path:
    """A study file by its path, or by its name in ``studies/`` here or in the package.

    Raises:
        StudyFileError: If there is none; the message names the most similar, also of those that are
            in the store.
    """
    given = Path(study)
    try:
        if len(study) > 255 or given.suffix == ".toml" or given.is_file():
            return given
    except OSError as error:
        raise StudyFileError(f"{short(study)}: {error.strerror}") from None
    from hpsearch.study.words import nearest

    package = Path(__file__).parent.parent
    folders = [Path("studies"), package / "studies", package.parent / "studies"]
    for folder in folders:
        if (folder / f"{study}.toml").is_file():
            return folder / f"{study}.toml"
    files = {file.stem for folder in folders for file in folder.glob("*.toml")}
    hint = nearest(study, sorted(files.union(stored)))
    raise StudyFileError(f"no study file {short(study)!r}{hint}")


def find_stored(study: str) -> StudyRecord | None:
    """A study that is in the store, where no study file bears its name."""
    try:
        find(study)
    except StudyFileError:
        with suppress(NoStoreError, UnknownStudyError):
            return open_store().study(study)
    return None


def trainer_of(study: Study, folder: str | Path | None) -> Trainer:
    """What trains a study's trials here.

    Args:
        study: The study.
        folder: Where its file is; the current folder does where that is not there.
    """
    from hpsearch.training.make import trainer

    there = Path(folder) if folder and Path(folder).is_dir() else Path()
    return trainer(study, there.absolute(), settings.read().cache)


def unchanged_trainer(record: StudyRecord) -> Trainer:
    from hpsearch.ledger.changes import changes_of

    trainer = trainer_of(record.study, record.folder)
    if trainer.digests != record.data_digests:
        raise UsageError(
            f"the data of {record.name!r} has changed since the study started "
            f"({changes_of(record.data_digests, trainer.digests)})"
        )
    return trainer


def validation_size(record: StudyRecord) -> int | None:
    """Examples of the validation part; None where that is a training's own affair."""
    described = record.study.data
    if described is None:
        return None
    if described.parts > 1:  # each example is in the validation part of one fold
        return described.train
    if "sizes" in record.data_facts:
        return int(record.data_facts["sizes"]["validation"])
    if isinstance(described.validation, int):
        return described.validation
    return round(described.train * described.validation)


def best_of(store: Store, record: StudyRecord) -> Trial:
    trial = store.best(record)
    if trial is None:
        raise HpsearchError(f"{record.name!r} has no COMPLETE trial yet")
    return trial


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


def ask(text: str) -> None:
    if question(f"{text} [y/N]").lower() not in ("y", "yes"):
        raise Abort
