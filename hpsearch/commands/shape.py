"""Which commands shape a search? ``narrow`` writes the next one."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpsearch import settings
from hpsearch.commands.printing import out, page, table
from hpsearch.commands.wiring import Name, open_store
from hpsearch.errors import HpsearchError, UsageError
from hpsearch.study.rounds import EPOCHS
from hpsearch.text import word

if TYPE_CHECKING:
    from hpsearch.study.config import Space, Study

app = typer.Typer()


@app.command(epilog="Example: hpsearch narrow book --out book-2.toml && hpsearch run book-2.toml")
def narrow(
    name: Name,
    file: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The file to write. Default: print the study."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a study with narrower ranges: those in which the best trials lie.

    A range grows where the best trials lie at its end. A choice that was clearly worse is dropped.
    The study's own number of rounds (`search.rounds`) does the same by itself.
    """
    from hpsearch.report import views
    from hpsearch.search.known import narrowed
    from hpsearch.study import file as study_file

    store = open_store()
    record = store.study(name)
    complete = store.counts(record.id).complete
    if complete < 3:
        raise HpsearchError(
            f"{name!r} has {complete} COMPLETE trials; it takes 3 to narrow its ranges"
        )
    space = narrowed(store, record)
    study = _next(record.study, space)
    text = study_file.toml(study)
    if file is None:
        page(text.rstrip())
        return
    try:
        with file.open("w" if force else "x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise UsageError(f"{file}: exists already; name another file, or use --force") from None
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror}") from None
    rows = [
        [path, views.searched(open_), views.searched(space[path]) if path in space else "dropped"]
        for path, open_ in record.study.space.items()
        if not (path == EPOCHS and record.study.epochs_by_round)
    ]
    table(["", "before", "now"], rows)
    out(f"{file}: study {study.name}; to run it: {settings.program()} run {word(str(file))}")


def _next(study: Study, space: Space) -> Study:
    """The study of narrower ranges: one round, with the epochs of the last."""
    fixed = {section: dict(table) for section, table in study.fixed.items()}
    if study.epochs_by_round:
        section, key = EPOCHS.split(".")
        fixed[section][key] = study.epochs_by_round[-1]
        space = {path: open_ for path, open_ in space.items() if path != EPOCHS}
    limits = {path: ends for path, ends in study.search.limits.items() if path in space}
    update = {"rounds": list[int](), "limits": limits, "enqueue": list[Any]()}
    return replace(
        study,
        name=_numbered(study.name),
        fixed=fixed,
        space=space,
        search=study.search.model_copy(update=update),
        epochs_by_round=(),
    )


def _numbered(name: str) -> str:
    """``book`` becomes ``book-2``, and ``book-2`` becomes ``book-3``."""
    found = re.fullmatch(r"(.*)-([1-9]\d{0,5})", name)
    stem, number = (found[1], int(found[2])) if found else (name, 1)
    return f"{stem[:120]}-{number + 1}"
