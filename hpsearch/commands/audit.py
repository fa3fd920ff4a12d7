"""Which command looks at somebody else's study? ``audit``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpsearch.commands.printing import document, out
from hpsearch.commands.wiring import MOST, Json
from hpsearch.errors import UsageError

if TYPE_CHECKING:
    from hpsearch.trust.audit import Audit, Value
    from hpsearch.trust.optuna_studies import SeenStudy

app = typer.Typer()

_SHOWN = 10
"""Numbers that a line names."""


@app.command(epilog="Example: hpsearch audit sqlite:///study.db --examples 100")
def audit(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="A storage of Optuna's: sqlite:///FILE, journal:FILE, …"
        ),
    ],
    name: Annotated[str | None, typer.Option("--study", help="A study. Default: all.")] = None,
    mlflow: Annotated[
        str | None, typer.Option(metavar="URI", help="The MLflow that has a run per trial.")
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(help="The MLflow experiment. Default: named as the study.")
    ] = None,
    examples: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST, help="Validation examples that each value is a share of, if it is one."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Look at any study of Optuna's: is it in order, and what is its best value worth?

    Reads alone, and changes nothing. Exit code 1 means that something is out of order.
    """
    from hpsearch.report import views
    from hpsearch.trust.audit import audit as look
    from hpsearch.trust.optuna_studies import studies
    from hpsearch.verify import foreign_runs

    if experiment is not None and mlflow is None:
        raise UsageError("--experiment: name the MLflow that has it with --mlflow")
    found = studies(url, name)
    if experiment is not None and len(found) > 1:
        raise UsageError("--experiment: there are several studies; name one with --study")
    seen: list[tuple[SeenStudy, Audit]] = []
    for study in found:
        runs = None if mlflow is None else foreign_runs.read(mlflow, experiment or study.name)
        looked = look(
            study.trials, maximize=study.maximize, now=time.time(), examples=examples, runs=runs
        )
        seen.append((study, looked))
    if as_json:
        document(views.dumps([_document(study, looked) for study, looked in seen]))
    else:
        for study, looked in seen:
            _tell(study, looked, examples)
    raise typer.Exit(0 if all(looked.ok for _, looked in seen) else 1)


def _document(study: SeenStudy, looked: Audit) -> dict[str, Any]:
    best = looked.best
    return {
        "study": study.name,
        "ok": looked.ok,
        "trials": dict(looked.states),
        "running": {str(number): seconds for number, seconds in looked.running.items()},
        "longest": looked.longest,
        "doubled": [list(numbers) for numbers in looked.doubled],
        "missing": list(looked.missing),
        "trials_without_run": list(looked.lost),
        "runs_without_trial": list(looked.strays),
        "trials_with_several_runs": list(looked.twice),
        "runs_left_running": list(looked.dead),
        "best": best
        and {
            "number": best.number,
            "value": best.value,
            "first": best.first,
            "median": best.median,
            "trials_before": best.after,
            "luck": best.luck,
            "expected": best.expected
            and [best.expected.value, best.expected.low, best.expected.high],
            "luck_at_most": best.most,
            "improving": best.improving,
        },
    }


def _tell(study: SeenStudy, looked: Audit, examples: int | None) -> None:
    counts = ", ".join(f"{count} {state}" for state, count in sorted(looked.states.items()))
    out(f"{study.name}: {len(study.trials)} trials ({counts or 'none'})")
    for line in _faults(looked):
        out(f"  {line}")
    if looked.ok:
        out("  in order: no trial is left RUNNING, doubled or missing")
    if study.maximize is None:
        out("  several objectives: there is no one best value")
    elif looked.best is None:
        out("  no trial completed with a finite value")
    else:
        for line in _worth(looked.best, examples):
            out(f"  {line}")


def _faults(looked: Audit) -> list[str]:
    from hpsearch.report.views import duration

    lines = []
    longest = "" if looked.longest is None else f"; the longest trial took {_took(looked.longest)}"
    for number, seconds in list(looked.running.items())[:_SHOWN]:
        lines.append(
            f"RUNNING: trial {number}, for {duration(max(0.0, seconds))}{longest}; if its worker "
            f"is gone, set it to FAIL: TPE takes it for a trial at work"
        )
    if len(looked.running) > _SHOWN:
        lines.append(f"RUNNING: {len(looked.running) - _SHOWN} more")
    lines += [f"DOUBLED: trials {_listed(same)} tried the same" for same in looked.doubled[:_SHOWN]]
    if len(looked.doubled) > _SHOWN:
        lines.append(f"DOUBLED: {len(looked.doubled) - _SHOWN} more groups")
    for word, what, found in (
        ("MISSING", "numbers that no trial has:", looked.missing),
        ("NO RUN", "trials without a run in MLflow:", looked.lost),
        ("NO TRIAL", "runs in MLflow without a trial:", looked.strays),
        ("TWICE", "trials with several runs in MLflow:", looked.twice),
        ("RUNNING", "runs in MLflow that are still RUNNING, of trials that ended:", looked.dead),
    ):
        if found:
            lines.append(f"{word}: {what} {_listed(found)}")
    return lines


def _worth(best: Value, examples: int | None) -> list[str]:
    from hpsearch.report.views import value_

    lines = [
        f"best: trial {best.number}, {value_(best.value)}; the first had {value_(best.first)}, the "
        f"median is {value_(best.median)}; {best.after} of {best.metric_complete} trials came "
        f"before it"
    ]
    if best.luck is not None and best.expected is not None:
        value, low, high = best.expected.value, best.expected.low, best.expected.high
        lines.append(
            f"luck: about {best.luck:.3f} of it, for choosing by {examples} examples; on others "
            f"expect {value_(value, 3)} ({value_(low, 3)} to {value_(high, 3)})"
        )
    elif best.most is not None:
        how = (
            "not known for a metric that is no share of examples"
            if examples
            else "with --examples it is estimated, where the value is a share of examples"
        )
        lines.append(
            f"luck: at most {value_(best.most, 2)} of it, if no trial is better than another; {how}"
        )
    if best.improving is not None:
        lines.append(
            "curve: still improving at its last reports; more epochs may help"
            if best.improving
            else "curve: it had ended, or only went up and down"
        )
    return lines


def _took(seconds: float) -> str:
    from hpsearch.report.views import duration

    return duration(seconds) if seconds >= 1 else f"{seconds:.2g} s"


def _listed(numbers: Any) -> str:
    shown = ", ".join(map(str, list(numbers)[:_SHOWN]))
    return shown if len(numbers) <= _SHOWN else f"{shown} and {len(numbers) - _SHOWN} more"
