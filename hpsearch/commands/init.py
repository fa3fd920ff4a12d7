"""Which command begins a study file?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch import settings
from hpsearch.commands.printing import out
from hpsearch.commands.wiring import Task, open_store
from hpsearch.errors import UsageError

if TYPE_CHECKING:
    from hpsearch.data.describe import Description

app = typer.Typer()


@app.command(epilog="Example: hpsearch init seals.toml --data csv:seals.csv#species")
def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The study file to write.")],
    data: Annotated[
        str | None, typer.Option(metavar="SPEC", help="Search the network on this dataset.")
    ] = None,
    function: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FUNCTION", help="Search a Python function of your own."),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option("--from", metavar="NAME", help="Go on with what this study has found."),
    ] = None,
    points: Annotated[
        int, typer.Option(min=0, help="With --from: how many of its best points are tried first.")
    ] = 0,
    task: Task = "classification",
) -> None:
    """Write a study file to begin with: with comments, or with the trials of an earlier study."""
    from hpsearch.study import template

    if sum(given is not None for given in (data, function, study)) != 1:
        raise UsageError(
            "name a dataset with --data, a function with --function, or a --from study"
        )
    if points and study is None:
        raise UsageError("--points: only a study named with --from has points")
    if file.exists():
        raise UsageError(f"{file}: already exists; use another name")
    name = file.stem
    if study is not None:
        text = _continued(study, name, points)
    elif data is not None:
        from hpsearch.data.datasets import load
        from hpsearch.data.describe import describe

        if task not in ("classification", "regression"):
            raise UsageError(f"--task {task}: use classification or regression")
        found = describe(load(data, cache=settings.read().cache, task=task))
        rest = found.examples - (found.test_examples or 0)
        test = bool(found.test_examples)
        text = template.network(
            *(str(file), name, data, _about(found), rest),
            test=test,
            task=task,
            missing=bool(found.missing),
        )
    else:
        if not re.fullmatch(r"[\w.]+:[\w.]+", str(function)):
            raise UsageError(f"--function {function}: expected MODULE:FUNCTION")
        text = template.function(str(file), name, str(function))
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror}") from None
    out(file)


def _continued(study: str, name: str, points: int) -> str:
    from hpsearch.search.past import continued
    from hpsearch.study import file as study_file

    store = open_store()
    return study_file.toml(continued(store, store.study(study), name, points))


def _about(found: Description) -> str:
    size = " × ".join(map(str, found.shape)) or "1"
    classes = f", {len(found.classes)} classes" if found.classes else ""
    missing = f", {found.missing} missing values" if found.missing else ""
    return f"{found.examples} examples of {size}{classes}{missing}"
