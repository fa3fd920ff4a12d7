"""Which commands carry a study elsewhere? ``export``, ``check`` and ``import``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from hpsearch import settings
from hpsearch.commands.printing import document, out, say
from hpsearch.commands.scratch import enter, opened, with_data
from hpsearch.commands.wiring import MOST, Json, Name, open_store, trainer_of
from hpsearch.errors import (
    NotComparableError,
    UsageError,
)
from hpsearch.text import short, word

if TYPE_CHECKING:
    from hpsearch.ledger.records import StudyRecord
    from hpsearch.ledger.store import Store
    from hpsearch.trust.archive import Archive
    from hpsearch.verify.findings import Findings

app = typer.Typer()

File = Annotated[Path, typer.Argument(metavar="FILE", help="A file that `export` wrote.")]


@app.command(epilog="Example: hpsearch export book book.zip")
def export(
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a finished study to one file, which others can check without this workspace.

    The file holds the definition, the digests of the data, the environments, every curve and the
    weights of the best trial. It does not hold the data, or what trainings printed.
    """
    from hpsearch.ledger.transfer import take
    from hpsearch.trust.archive import pack
    from hpsearch.trust.numbers import numbers

    if os.path.lexists(file) and (not force or not file.is_file()):
        raise UsageError(f"{file}: already exists; choose another name, or replace it with --force")
    store = open_store()
    record = store.study(name)
    taken = take(store.database, record)
    weights = _weights(store, record)
    content, sha256 = pack(taken, numbers(store, record), weights)
    draft = file.with_name(f".{file.name}.{uuid4().hex}")
    try:
        draft.write_bytes(content)
        draft.replace(file)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise UsageError(f"{file}: cannot be written: {error.strerror}") from error
    out(f"{file}: {name} with {len(taken.trials)} trials, {len(content)} bytes")
    out(f"sha256 {sha256}")


def _weights(store: Store, record: StudyRecord) -> bytes | None:
    """Of the best trial, trained again unless they are kept; None where there are none."""
    from safetensors.numpy import save

    from hpsearch.trust.reproduce import confirm

    best = store.best(record)
    if best is None or best.weights_sha256 is None or not record.study.keeps_arrays:
        return None
    try:
        trainer = trainer_of(record.study, record.folder)
        again = confirm(store, record, best, trainer, settings.read())
    except (NotComparableError, UsageError) as error:
        say(f"hpsearch: the archive has no weights: {error}")
        return None
    if not again.identical:
        say(f"hpsearch: the archive has no weights: {again.first_difference}")
        return None
    return save(dict(again.state)) if again.state else None


@app.command(epilog="Example: hpsearch check book.zip --reproduce 3")
def check(
    file: File,
    reproduce: Annotated[
        int,
        typer.Option(min=0, max=MOST, metavar="K", help="Also train this many trials again."),
    ] = 0,
    as_json: Json = False,
) -> None:
    """Check an exported study. Needs no workspace, and changes nothing.

    Every byte is compared with the manifest, and every number with what the trials give. With
    --reproduce, the data is looked for under its old name and below the current folder.
    """
    from hpsearch.report import views
    from hpsearch.trust.archive import read
    from hpsearch.trust.numbers import numbers
    from hpsearch.verify import findings, look

    archive = read(file)
    with (
        settings.scratch(settings.read()) as places,
        opened(archive.taken, str(file), places) as (
            store,
            record,
        ),
    ):
        seen = look.take(store.database, record.name, places, tracking=False)
        found = findings.judge(seen, tracking=False, copies=False)
        found.notes.clear()  # they advise on a study that can be gone on with
        now = numbers(store, record)
        _judge_numbers(archive, now, found)
        if reproduce:
            _train_again(archive, file, reproduce, found)
    if as_json:
        document(
            views.dumps(
                views.findings(found)
                | {"study": record.name, "sha256": archive.sha256, "numbers": dict(archive.numbers)}
                | {"notes": found.notes}
            )
        )
    else:
        out(f"{file}: {record.name} with {len(archive.taken.trials)} trials")
        out(f"sha256 {archive.sha256}")
        _tell_numbers(now, record)
        for note in found.notes:
            out(f"note: {note}")
        for violation in found.violations:
            out(f"{violation.invariant}: {violation.detail}")
        said = "every byte and every number agrees"
        out(said if found.ok else f"{len(found.violations)} VIOLATIONS")
    if found.violations:
        raise typer.Exit(3)
    raise typer.Exit(NotComparableError.exit_code if found.uncompared else 0)


def _tell_numbers(now: Mapping[str, Any], record: StudyRecord) -> None:
    from hpsearch.report import views

    best, corrected = now["best"], now["corrected"]
    metric = record.study.search.metric
    if best:
        out(f"best: trial {best['number']}, {metric} {views.value_(best['value'])}")
    if corrected:
        value, low, high = (views.value_(each, 3) for each in corrected)
        out(f"corrected for choosing the best: {metric} {value} ({low} to {high})")
    out(f"times that the test part was opened: {now['test_opened']}")


def _judge_numbers(archive: Archive, now: Mapping[str, Any], found: Findings) -> None:
    """Compare what the archive says of its trials with what they give, and the best's weights."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    from hpsearch.ledger.records import weights_digest
    from hpsearch.verify.findings import Violation

    for key in sorted(now.keys() | archive.numbers.keys()):
        said, is_ = archive.numbers.get(key), now.get(key)
        if said != is_:
            name, what = short(key), short(repr(said), 200)
            found.violations.append(
                Violation("numbers", f"{name} is {what}, and the trials give {is_!r}")
            )
    best = now["best"]
    if archive.weights is None:
        found.notes.append("the archive has no weights of the best trial")
        return
    try:
        sha256 = weights_digest(load(archive.weights))
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        found.violations.append(Violation("weights", f"cannot be read: {error}"))
        return
    if not best or sha256 != best["weights_sha256"]:
        found.violations.append(
            Violation("weights", f"their digest is {sha256}, not that of the best trial")
        )


def _train_again(archive: Archive, file: Path, count: int, found: Findings) -> None:
    """Train some of its trials, in a workspace of their own: the data may have another name here.

    Raises:
        UsageError: If that would run a program of theirs.
        NotComparableError: If its data is not found.
    """
    from hpsearch.training.make import trainer as make
    from hpsearch.trust.reproduce import reproduce
    from hpsearch.verify import ledger_reading
    from hpsearch.verify.findings import some, train_again

    with (
        settings.scratch(settings.read()) as places,
        opened(with_data(archive.taken, places), str(file), places) as (store, record),
    ):
        trainer = make(record.study, Path.cwd(), places.cache)
        more = train_again(
            some(ledger_reading.read(store.database, record.name), count),
            lambda number: reproduce(
                store, record, store.trial(record.id, number), trainer, places
            ),
        )
    found.violations += more.violations
    found.notes += more.notes
    found.uncompared += more.uncompared


@app.command(name="import", epilog="Example: hpsearch import book.zip --name book-of-ann")
def import_(
    file: File,
    name: Annotated[
        str | None, typer.Option(help="Use this name instead of the study's own.")
    ] = None,
) -> None:
    """Enter an exported study into the study store; then `sync` writes it to MLflow."""
    from hpsearch.trust.archive import read

    archive = read(file)
    if name is not None and "given" in archive.taken.definition:
        raise UsageError(
            f"--name: {archive.taken.name!r} is named after the study that its trials are of; "
            f"import it without --name"
        )
    if name is not None:
        definition = {**archive.taken.definition, "name": name}
        archive = replace(archive, taken=replace(archive.taken, name=name, definition=definition))
    store = open_store(create=True)
    if "given" in archive.taken.definition:
        _require_its_study(store, archive, file)
    enter(store.database, archive.taken, str(file))
    name, program = archive.taken.name, settings.program()
    out(f"{name}: {len(archive.taken.trials)} trials imported from {file}")
    out(f"next:  {program} sync {word(name)}  |  {program} reproduce {word(name)}")


def _require_its_study(store: Store, archive: Archive, file: Path) -> None:
    """Make sure that trials which are given, a confirmation's say, are of the study that is here.

    Raises:
        UsageError: If they are of another one: they would be taken for this one's.
    """
    from hpsearch.trust.confirming import find
    from hpsearch.trust.contenders import made_of

    with (
        settings.scratch(settings.read()) as places,
        opened(archive.taken, str(file), places) as (_, own),
    ):
        assert own.study.given is not None
        above = find(store, own.study.given.study)
        if above is None:
            raise UsageError(
                f"{own.name!r} is of {own.study.given.study!r}, which is not in "
                f"{store.database.where}; import that first"
            )
        if not made_of(above, store.trials(above.id), own):
            raise UsageError(
                f"{own.name!r} is of another study than the {above.name!r} in "
                f"{store.database.where}; import it into a store that has its own"
            )
