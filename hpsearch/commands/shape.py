"""Which commands shape a search? ``plan`` says what one would do, ``narrow`` writes the next."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch import settings
from hpsearch.commands.printing import document, out, page, table
from hpsearch.commands.wiring import (
    Json,
    Name,
    Workers,
    find,
    find_stored,
    open_store,
    trainer_of,
)
from hpsearch.errors import HpsearchError, UsageError
from hpsearch.text import word

if TYPE_CHECKING:
    pass

app = typer.Typer()


@app.command(epilog="Example: hpsearch plan book-rounds --workers 2")
def plan(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="A study file, or the name of a study.")
    ],
    workers: Workers = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Override a value in the study file."),
    ] = None,
    no_timing: Annotated[
        bool, typer.Option("--no-timing", help="Train nothing, and estimate no time.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what a study would do before it runs: trials, epochs, ranges, and the time it takes.

    For the estimate, the first epochs of a few trials are trained and thrown away.
    """
    from hpsearch.report import views, words
    from hpsearch.search.delay import delays
    from hpsearch.search.promotion import ANEW
    from hpsearch.search.rungs import rung_steps, step_name
    from hpsearch.study import file as study_file
    from hpsearch.study.budgets import rules
    from hpsearch.study.rounds import EPOCHS
    from hpsearch.work.launch import default_workers
    from hpsearch.work.plan import legs, seconds, timed

    stored = find_stored(study)
    if stored is None:
        file = find(study)
        definition = study_file.load(file, overrides or [])
        folder: Path | None = file.absolute().parent
    else:
        definition = study_file.changed(stored.study, overrides or [])
        folder = Path(stored.folder) if stored.folder else None
    size, found = workers or default_workers(), legs(definition)
    took = None
    if found is not None and not no_timing:
        took = timed(definition, trainer_of(definition, folder))
    search = definition.search
    lasts = min(seconds(found, took, size), search.seconds) if found and took else None
    trials = sum(leg.trials for leg in found) if found else search.trials
    most = sum(leg.trials * leg.most for leg in found) if found else None
    expected = sum(leg.trials * leg.expected for leg in found) if found else None
    rungs = list(rung_steps(definition)[:1000])
    if as_json:
        told = {
            "study": definition.name,
            "trials": trials,
            "epochs": most,
            "expected_epochs": expected,
            "rounds": [{"trials": leg.trials, "epochs": leg.most} for leg in found or ()],
            "space": {path: open_.table() for path, open_ in definition.space.items()},
            "ends": rules(search),
            "rungs": rungs,
            "seconds_per_epoch": took and took.epoch,
            "workers": size,
            "seconds": lasts,
            "remarks": list(delays(definition)),
        }
        document(views.dumps(told))
        return
    epochs = "" if most is None else f", {most:,.0f} epochs in all"
    out(f"{definition.name}: {words.count(trials, 'trial')}{epochs}")
    if rules(search):
        listed = (f"{key} = {views.value_(value)}" for key, value in rules(search).items())
        out(f"  at most; what may end it before {search.trials} trials: {', '.join(listed)}")
    rounds = (found or []) if definition.search.rounds else []
    for number, leg in enumerate(rounds, start=1):
        out(f"  round {number}: {words.count(leg.trials, 'trial')} of {leg.most:.4g} epochs")
    for path, open_ in definition.space.items():
        if not (path == EPOCHS and definition.epochs_by_round):
            out(f"  {path}: {views.searched(open_)}")
    if rungs:
        told_, step = words.several(list(map(str, rungs)), 8), step_name(definition)
        verb = definition.search.verb
        out(f"the {definition.search.pruner} pruner {verb} after {step} {words.listed(told_)}")
    if not definition.saves and search.pauses:
        out(ANEW)
    if expected is not None and most is not None and expected < most:
        out(f"with it, about {expected:,.0f} epochs are trained")
    for sentence in delays(definition):
        out(sentence)
    if took is not None and lasts is not None:
        out(
            f"about {views.duration(lasts)} with {words.count(size, 'worker')} on this machine: an "
            f"epoch takes {took.epoch * 1000:.3g} ms"
        )
    elif found is None:
        out("no estimate of the time: the study does not say how many epochs a trial has")


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
    from hpsearch.search.past import in_one_round
    from hpsearch.study import file as study_file
    from hpsearch.study.rounds import EPOCHS

    store = open_store()
    record = store.study(name)
    if record.study.search.also:
        raise UsageError(
            f"{name!r} has several objectives, and the trials that are best by one of them say "
            f"nothing of where the others are good; narrow its ranges by hand, after a look at: "
            f"{settings.program()} best {word(name)}"
        )
    complete = store.counts(record.id).complete
    if complete < 3:
        raise HpsearchError(
            f"{name!r} has {complete} COMPLETE trials; it takes 3 to narrow its ranges"
        )
    space = narrowed(store, record)
    study = replace(in_one_round(record.study, space), name=_numbered(record.name))
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


def _numbered(name: str) -> str:
    """``book`` becomes ``book-2``, and ``book-2`` becomes ``book-3``."""
    found = re.fullmatch(r"(.*)-([1-9]\d{0,5})", name)
    stem, number = (found[1], int(found[2])) if found else (name, 1)
    return f"{stem[:120]}-{number + 1}"
