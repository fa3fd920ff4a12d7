"""Which command tells what is understood of a dataset?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch import settings
from hpsearch.commands.printing import document, out, table
from hpsearch.commands.wiring import (
    Json,
    Task,
    find,
    find_stored,
)
from hpsearch.errors import StudyFileError, UsageError

if TYPE_CHECKING:
    from hpsearch.data.describe import Description
    from hpsearch.study.config import DataConfig, Study

app = typer.Typer()

SHOWN = 20  # rows of a table


@app.command(epilog="Example: hpsearch data csv:seals.csv#species")
def data(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="SPEC",
            help="A dataset, such as csv:FILE#label; or a study.",
        ),
    ],
    task: Task = "classification",
    as_json: Json = False,
) -> None:
    """Show what a dataset holds, or a study's data with its parts."""
    from hpsearch.data.datasets import load
    from hpsearch.data.describe import describe
    from hpsearch.data.facts import facts
    from hpsearch.data.splits import split
    from hpsearch.report import views

    described = _described(spec)
    name, task = (described.dataset, described.task) if described else (spec, task)
    if task not in ("classification", "regression"):
        raise UsageError(f"--task {task}: use classification or regression")
    dataset = load(name, cache=settings.read().cache, task=task)
    found, parts = describe(dataset), None
    if described:
        parts = facts(dataset, split(dataset, **described.model_dump(exclude={"dataset", "task"})))
    if as_json:
        divided = {"parts": {key: parts[key] for key in ("sizes", "duplicates")}} if parts else {}
        document(views.dumps(asdict(found) | divided))
        return
    _print(found)
    if parts:
        _rows(
            ["part", "examples", "also in an earlier part"],
            [
                [part, str(size), str(parts["duplicates"].get(part, 0))]
                for part, size in parts["sizes"].items()
            ],
        )


def _described(spec: str) -> DataConfig | None:
    """The ``[data]`` of the study file that is meant; None where a dataset is."""
    from hpsearch.data.builtin import BUILT_IN
    from hpsearch.data.datasets import KINDS
    from hpsearch.study import file as study_file

    if spec in BUILT_IN or spec.partition(":")[0] in KINDS:
        return None
    try:
        path = find(spec)
    except StudyFileError:
        stored = find_stored(spec)
        if stored is None:
            return None  # `load` says which names there are
        return _data_of(stored.study)
    return _data_of(study_file.load(path))


def _data_of(study: Study) -> DataConfig:
    if study.data is None:
        raise UsageError(f"{study.name!r} is a training of your own: its data is its own affair")
    return study.data


def _print(found: Description) -> None:
    from hpsearch.report.views import value_

    size = " × ".join(map(str, found.shape)) or "1"
    test = "" if found.test_examples is None else f", {found.test_examples} of them for testing"
    out(f"{found.source}: {found.examples} examples of {size}{test}")
    if not found.columns:
        out(f"values: {value_(found.low)} to {value_(found.high)} ({found.dtype})")
    _rows(
        ["column", "holds", "missing"],
        [
            [c["name"], _holds(c["categories"]), str(c["missing"])]
            if "categories" in c
            else [c["name"], f"{value_(c['low'])} to {value_(c['high'])}", str(c["missing"])]
            for c in found.columns
        ],
    )
    _rows(
        ["class", "examples", "share"],
        [
            [name, str(count), f"{count / found.examples:.1%}"]
            for name, count in found.classes.items()
        ],
    )
    if found.target is not None:
        out(f"labels: {value_(found.target[0])} to {value_(found.target[1])}")
    out(f"missing values: {found.missing}")
    between = "" if found.test_examples is None else f" ({found.equal_test} across the test part)"
    out(f"duplicate examples: {found.equal}{between}")
    out(f"sha256: {found.sha256}")


def _holds(categories: list[str]) -> str:
    from hpsearch.data.files import listed

    return f"{len(categories)} categories: {listed(categories, 5)}"


def _rows(head: list[str], rows: list[list[str]]) -> None:
    if rows:
        table(head, rows[:SHOWN])
    if len(rows) > SHOWN:
        out(f"… and {len(rows) - SHOWN} more; --json shows all")
