"""Which command compares? Two studies, or trials of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpsearch.commands.printing import document, out, table
from hpsearch.commands.wiring import Json, Name, open_store
from hpsearch.errors import UsageError

if TYPE_CHECKING:
    from hpsearch.ledger.records import StudyRecord
    from hpsearch.ledger.store import Store
    from hpsearch.report.side_by_side import Side

app = typer.Typer()


@app.command(epilog="Example: hpsearch compare book --trials 3,17")
def compare(
    name: Name,
    other: Annotated[
        str | None, typer.Argument(metavar="OTHER", help="The name of another study.")
    ] = None,
    trials: Annotated[
        str | None,
        typer.Option(metavar="NUMBERS", help="Compare these trials of one study, such as 3,17."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare two studies, or trials of one study."""
    if (other is None) == (trials is None):
        raise UsageError("name another study, or trials of this one with --trials 3,17")
    store = open_store()
    record = store.study(name)
    if other is not None:
        _studies(store, record, store.study(other), as_json=as_json)
    else:
        _trials(store, record, _numbers(str(trials)), as_json=as_json)


def _numbers(text: str) -> list[int]:
    numbers = [part.strip() for part in text.split(",")]
    if len(numbers) < 2 or not all(n.isascii() and n.isdigit() and len(n) < 10 for n in numbers):
        raise UsageError(f"--trials {text}: expected two or more trial numbers, such as 3,17")
    return list(map(int, numbers))


def _trials(store: Store, record: StudyRecord, numbers: list[int], *, as_json: bool) -> None:
    from hpsearch.ledger.records import curve
    from hpsearch.report import side_by_side, views
    from hpsearch.report.words import value

    found = [store.trial(record.id, number) for number in numbers]
    there = store.curves(record.id, [trial.number for trial in found if trial.state.finished])
    column = record.metrics.index(record.study.search.metric)
    none = curve(metrics=len(record.metrics))
    curves = [there.get(number, none) for number in numbers]
    params = side_by_side.parameters(record, found)
    if as_json:
        shown = [views.trial(trial) for trial in found]
        by_epoch = [
            views.curve(
                trial.number, rows, record.metrics, views.folds(record.study, trial, len(rows))
            )
            for trial, rows in zip(found, curves, strict=True)
        ]
        document(views.dumps({"study": record.name, "trials": shown, "curves": by_epoch}))
        return
    heads = [f"trial {number}" for number in numbers]
    lines = {**side_by_side.facts(found), **params}
    names = {path: path.partition(".")[2] for path in params}
    names["value"] = record.study.search.metric
    table(["", *heads], [[names.get(k, k), *map(value, row)] for k, row in lines.items()])
    out("")
    by_epoch_rows = side_by_side.epochs(curves, column)
    table(
        ["epoch", *(f"{record.study.search.metric} of {head}" for head in heads)],
        [[str(epoch), *map(views.value_, row)] for epoch, row in by_epoch_rows],
    )


def _studies(store: Store, first: StudyRecord, second: StudyRecord, *, as_json: bool) -> None:
    from hpsearch.report import side_by_side, views
    from hpsearch.study.file import differences

    sides = [_side(store, record) for record in (first, second)]
    paired = side_by_side.paired(*sides)
    said = differences(first.study, second.study)
    if as_json:
        studies = [
            {
                **views.status(side.record.name, side.counts),
                "metric": side.record.study.search.metric,
                "best": side.best,
                "corrected": views.correction(side.correction),
                "median": side.median,
                "epochs": side.epochs,
            }
            for side in sides
        ]
        pair = paired and {n: getattr(paired, n) for n in ("pairs", "mean", "low", "high")}
        document(views.dumps({"studies": studies, "differences": said, "paired": pair}))
        return
    table(["", *(side.record.name for side in sides)], _rows(sides))
    for line in said:
        out(line.replace("stored ", f"{first.name} ", 1).replace(", now ", f", {second.name} "))
    if paired is not None:
        low, high = views.value_(paired.low, 3), views.value_(paired.high, 3)
        out(
            f"{second.name} - {first.name}, over {paired.pairs} pairs of trials with the same "
            f"number and seed: {views.value_(paired.mean, 3)} ({low} to {high})"
        )


def _side(store: Store, record: StudyRecord) -> Side:
    from hpsearch.report.side_by_side import Side
    from hpsearch.trust.estimate import correction

    counts, trials = store.counts(record.id), store.trials(record.id)
    return Side(record, counts, trials, correction(store, record))


def _rows(sides: list[Side]) -> list[list[str]]:
    from hpsearch.report.views import counted, value_

    def corrected(side: Side) -> str:
        estimate = side.correction.estimate
        if estimate is None:
            return "-"
        low, high = value_(estimate.low, 3), value_(estimate.high, 3)
        return f"{value_(estimate.value, 3)} ({low} to {high})"

    rows: dict[str, Any] = {
        "trials": [counted(side.counts) for side in sides],
        "metric": [side.record.study.search.metric for side in sides],
        "best": [value_(side.best) for side in sides],
        "corrected": [corrected(side) for side in sides],
        "median": [value_(side.median) for side in sides],
        "epochs": [f"{side.epochs:,}" for side in sides],
    }
    return [[name, *row] for name, row in rows.items()]
