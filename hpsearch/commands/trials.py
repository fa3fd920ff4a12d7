"""Which command lists trials? All of a study, or those that are asked for; as a table or a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch.commands.printing import document, out, table
from hpsearch.commands.wiring import MOST, Json, Name, open_store
from hpsearch.errors import HpsearchError, UsageError

if TYPE_CHECKING:
    from hpsearch.ledger.records import StudyRecord, Trial

app = typer.Typer()

File = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the trials to a file.")]


@app.command(epilog="Example: hpsearch trials book --sort value --where 'lr<0.01' --limit 10")
def trials(
    name: Name,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Sort from the least, `value` from the best. -COLUMN: the other way.",
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="Only trials for which this holds: 'lr<0.01'."),
    ] = None,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="Only trials in this state.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=0, max=MOST, help="Show at most this many trials.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="COLUMNS", help="Columns to show, separated by commas."),
    ] = None,
    csv: File = None,
    parquet: File = None,
    as_json: Json = False,
) -> None:
    """List the trials of a study."""
    from hpsearch.ledger.records import mean_of
    from hpsearch.report import views
    from hpsearch.report.query import Query

    store = open_store()
    record = store.study(name)
    everything = store.trials(record.id)
    rows = Query(state, where or (), sort, limit).of(record.study, everything)
    if csv or parquet:
        if as_json:
            raise UsageError(
                "--json prints the trials, and --csv and --parquet write them; use one"
            )
        _write(record, rows, csv, parquet)
        return
    if as_json:
        document(views.dumps([views.trial(trial) for trial in rows]))
        return
    if not rows:
        out(f"{name}: no such trial" if everything else f"{name}: no trials yet")
        return
    ranked = record.metrics.index(record.study.search.metric)
    stopped = store.curves(record.id, [t.number for t in rows if t.state == "PRUNED" and t.epochs])
    values = {number: float(curve[-1, ranked]) for number, curve in stopped.items()}
    values |= {trial.number: mean_of(trial.folds) for trial in rows if trial.folds}
    _table(record, rows, values, columns)


def _table(
    record: StudyRecord, rows: list[Trial], last: dict[int, float], columns: str | None
) -> None:
    """Print trials; of a pruned one the value is its last."""
    from hpsearch.report import views
    from hpsearch.report.query import cell, column
    from hpsearch.study.rounds import EPOCHS

    study = record.study
    if columns is None:
        reason = ["continues"] if any(trial.continues is not None for trial in rows) else []
        reason += ["reason"] if any(trial.reason for trial in rows) else []
        given = EPOCHS if study.epochs_by_round else ""  # a column of its own
        paths = [path for path in study.space if path != given]
        names = ["number", "state", "value", "epochs", *paths, *reason]
    else:
        names = [column(study, each.strip(), "--columns") for each in columns.split(",")]
    heads = {"number": "trial", "value": study.search.metric}
    short = {path: path.partition(".")[2] for path in study.space}

    def shown(trial: Trial, name: str) -> str:
        value = last.get(trial.number) if name == "value" and trial.value is None else None
        found = cell(trial, name) if value is None else value
        return str(found or "") if name == "reason" else views.value_(found)

    table(
        [heads.get(name, short.get(name, name)) for name in names],
        [[shown(trial, name) for name in names] for trial in rows],
    )


def _write(record: StudyRecord, rows: list[Trial], csv: Path | None, parquet: Path | None) -> None:
    from hpsearch.report.frame import frame

    found = frame(record.study, rows)
    for option, file in (("csv", csv), ("parquet", parquet)):
        if file is None:
            continue
        if file.exists() and not file.is_file():
            raise UsageError(f"--{option} {file}: is not a file")
        try:
            if option == "csv":
                found.to_csv(file, index=False)
            else:
                mixed = [name for name in found if found[name].dtype == object]
                texts = {name: found[name].map(_text, na_action="ignore") for name in mixed}
                found.assign(**texts).to_parquet(file, index=False)
        except OSError as error:
            raise HpsearchError(f"--{option} {file}: {error.strerror or error}") from error
        out(file)


def _text(value: object) -> str:
    """A value of a column whose values are of several kinds, or lists."""
    return value if isinstance(value, str) else json.dumps(value)
