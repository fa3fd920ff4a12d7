"""What does MLflow hold if all is well? A function each, that yields a line for all that is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import TrackingError
from hpsearch.ledger.records import FOLD_VALUE, STEP_LOSS, weights_digest
from hpsearch.study.config import dumps
from hpsearch.study.rounds import round_of
from hpsearch.verify import objectives
from hpsearch.verify.look import WEIGHTS_FILE, Check, Look
from hpsearch.verify.round_invariants import begun, rounds
from hpsearch.verify.tracking_reading import (
    BUCKET,
    NUMBER,
    PARENT,
    ROUND,
    STUDY,
    Points,
    Run,
    as_kept,
)
from hpsearch.verify.trial_row import TrialRow

STATUS = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
"""MLflow's status of a finished trial."""
STATE, REPRODUCED, FRONT = "hpsearch.state", "hpsearch.reproduced", "hpsearch.front"
_PARAM, _TAG = 6000, 8000
"""Characters that MLflow keeps of a param and of a tag."""


def _one_run(seen: Look) -> Iterator[str]:
    """A finished trial has exactly one run, and the study one of its own."""
    by_number, parents = seen.by_number, seen.parents
    if len(parents) > 1 or (not parents and not seen.live):
        yield f"the study itself has {len(parents)} runs: {', '.join(r.id for r in parents)}"
    for trial in seen.ledger.trials.values():
        runs = by_number.get(trial.number, [])
        if len(runs) > 1:
            yield f"trial {trial.number} has {len(runs)} runs: {', '.join(r.id for r in runs)}"
        elif trial.finished and not runs and trial.number not in seen.lagging:
            yield f"trial {trial.number} has no run; `hpsearch sync` adds it"


def _orphans(seen: Look) -> Iterator[str]:
    """Every run is a trial's or the study's, and all are in one experiment."""
    for run, what in _stray(seen):
        yield f"run {run.id} {what}"


def _stray(seen: Look) -> Iterator[tuple[Run, str]]:
    experiments = {run.experiment for run in seen.parents}
    experiment = experiments.pop() if len(experiments) == 1 else None
    for run in seen.runs:
        number = run.tags.get(NUMBER)
        if experiment is not None and run.experiment != experiment:
            yield run, f"is in experiment {run.experiment!r}, not {experiment!r}"
        elif run.tags.get(STUDY) is None:
            yield run, "does not name its study"
        elif number is None and ROUND in run.tags:
            if run.tags[ROUND] not in map(str, range(1, begun(seen.ledger) + 1)):
                yield run, f"belongs to round {run.tags[ROUND]}, which has not begun"
        elif number is None and run not in seen.parents:
            yield run, "does not name its trial"
        elif number is not None and not number.isdecimal():
            yield run, f"has the trial number {number!r}, which is not a number"
        elif number is not None and int(number) not in seen.ledger.trials:
            yield run, f"belongs to trial {number}, which does not exist"


def _running(seen: Look) -> Iterator[str]:
    """No run is RUNNING unless its trial is leased; the study's own, unless somebody works."""
    for number, runs in seen.by_number.items():
        if number not in seen.held | seen.lagging:
            for run in runs:
                if run.status == "RUNNING":
                    yield (
                        f"run {run.id} of trial {number} is RUNNING, but no worker holds the trial"
                    )
    for run in seen.parents:
        if run.status == "RUNNING" and not seen.live:
            yield f"run {run.id} of the study is RUNNING, but no worker runs the study"


def _run_status(seen: Look) -> Iterator[str]:
    """A run's status and its tag say how its trial stands."""
    for number, runs in seen.by_number.items():
        trial = seen.ledger.trials.get(number)
        if trial is None or number in seen.lagging | seen.held:
            continue
        for run in runs:
            tag = run.tags.get(STATE)
            if run.status == "RUNNING":  # that is the invariant above
                agrees = tag not in STATUS or tag == trial.state
            elif trial.finished:
                agrees = (run.status, tag) == (STATUS[trial.state], trial.state)
            else:
                agrees = run.status == "KILLED" and tag not in STATUS
            if not agrees:
                yield f"{_of(run, trial)}, which is {trial.state}, is {run.status} with state {tag}"
    for run in seen.parents:
        wanted = "FINISHED" if seen.ledger.done else "KILLED"
        if not seen.live and run.status not in (wanted, "RUNNING"):
            yield f"run {run.id} of the study is {run.status}, not {wanted}"


def _run_tags(seen: Look) -> Iterator[str]:
    """A run says of which study it is a part, and its trial's seed, digest, reason and origin.

    The run of a study whose trials are given says whose configurations they are.
    """
    parents = seen.parents
    front = objectives.front(seen.ledger)
    for run in parents if front and not seen.live else ():
        if run.tags.get(FRONT) != front[:_TAG]:
            yield f"run {run.id} of the study has {FRONT} {run.tags.get(FRONT)!r}, not {front!r}"
    for run in parents if seen.ledger.above and not seen.live else ():
        if run.tags.get(PARENT) != seen.ledger.above:
            there, wanted_there = run.tags.get(PARENT), seen.ledger.above
            yield f"run {run.id} of the study is below {there!r}, not {wanted_there!r}"
    for trial, run in seen.pairs():
        wanted = {
            "hpsearch.seed": str(trial.seed),
            "hpsearch.weights_sha256": trial.weights_sha256,
            "hpsearch.reason": trial.reason and trial.reason[:_TAG],
            "hpsearch.continues": None if trial.continues is None else str(trial.continues),
        }
        above = parents
        if seen.ledger.rounds:
            above = seen.by_round[round_of(seen.ledger.rounds, trial.number) + 1]
        if len(above) == 1:
            wanted[PARENT] = above[0].id
        for key, value in wanted.items():
            if run.tags.get(key) != value:
                yield f"{_of(run, trial)} has {key} {run.tags.get(key)!r}, not {value!r}"


def _run_times(seen: Look) -> Iterator[str]:
    """A run begins and ends when its trial did, to the millisecond."""
    for trial, run in seen.pairs():
        wanted = (_milliseconds(trial.started), _milliseconds(trial.ended or trial.started))
        if (run.start, run.end) != wanted:
            yield f"{_of(run, trial)} has start and end times {(run.start, run.end)}, not {wanted}"


def _run_params(seen: Look) -> Iterator[str]:
    """A run has its trial's values as params, each as a text of its own, and no value beside.

    A number's is read back as the same bits. A text that could be another of the choices is JSON.
    """
    space = seen.ledger.space
    for trial, run in seen.pairs():
        wanted = {**(trial.params or {}), "seed": str(trial.seed)}
        for path, value in wanted.items():
            choices = space.get(path, {}).get("choices", [])
            texts = {choice if isinstance(choice, str) else dumps(choice) for choice in choices}
            bare = isinstance(value, str) and len(texts) == len(choices)
            text = (value if bare else dumps(value))[:_PARAM]
            if run.params.get(path) != text:
                yield f"{_of(run, trial)} has {path} = {run.params.get(path)}, not {text}"
        for path in sorted(space.keys() & run.params.keys() - wanted.keys()):
            yield (
                f"{_of(run, trial)} has {path} = {run.params[path]}, but the trial has no "
                "such value"
            )


def _run_curves(seen: Look) -> Iterator[str]:
    """A run's metrics are its trial's curves bit for bit, a row a step and none beside.

    MLflow's steps are epochs, but for the losses of mini-batches and the values of folds, where
    there are some.
    """
    for run, what in _bent(seen):
        yield f"run {run.id} {what}"


def beyond_repair(seen: Look) -> dict[str, str]:
    """Runs that writing on cannot put right, and what is wrong with each, by their ids."""
    return {run.id: what for check in (_stray, _bent) for run, what in check(seen)}


def _bent(seen: Look) -> Iterator[tuple[Run, str]]:
    for trial, run in seen.pairs():
        rows, first = seen.rows(trial), _milliseconds(trial.started)
        wanted = {name: rows[:, column] for column, name in enumerate(seen.ledger.metrics)}
        wanted[STEP_LOSS] = seen.losses(trial)
        wanted[FOLD_VALUE] = np.array([value for _, _, value in trial.folds or ()], np.float64)
        for name, values in wanted.items():
            steps = np.arange(1, len(values) + 1)
            if seen.ledger.interval != 1:  # what was not measured is not logged
                steps, values = steps[~np.isnan(values)], values[~np.isnan(values)]
            difference = _difference(run.metrics.get(name, Points()), steps, values, first)
            if difference:
                yield run, f"of trial {trial.number}: {name} {difference}"
        value = np.array([] if trial.value is None else [trial.value])
        steps = np.zeros(len(value), dtype=np.int64)
        difference = _difference(run.metrics.get("value", Points()), steps, value, first)
        if difference:
            yield run, f"of trial {trial.number}: value {difference}"


def _difference(
    points: Points, steps: NDArray[np.int64], values: NDArray[np.float64], first: int
) -> str | None:
    """Where logged rows are not what they are to be."""
    if points.steps != steps.tolist():
        return f"has {len(points.steps)} rows, not one for each of {len(steps)} steps"
    logged, wanted = as_kept(np.array(points.values, dtype=np.float64)), as_kept(values)
    same = (logged == wanted) | (np.isnan(logged) & np.isnan(wanted))
    if not same.all():
        place = int(same.argmin())
        return (
            f"is {points.values[place]!r} at step {steps[place]}, "
            f"but {float(values[place])!r} in the ledger"
        )
    if points.times != (steps + first).tolist():
        return "has times other than the start plus the step"
    return None


def _marks(seen: Look) -> Iterator[str]:
    """The ledger's marks name the runs that are there."""
    for trial, run in seen.pairs():
        if (trial.mlflow_run_id, trial.in_mlflow) != (run.id, True):
            marked = trial.mlflow_run_id if trial.in_mlflow else "nothing"
            yield f"trial {trial.number} is marked with run {marked}, but its run is {run.id}"
    parents, marked = seen.parents, seen.ledger.mlflow_run_id
    if len(parents) == 1 and marked != parents[0].id and not seen.live:
        yield f"the study is marked with run {marked}, but its run is {parents[0].id}"


def _weights(seen: Look) -> Iterator[str]:
    """The weights that are kept have the recorded digest; a confirmed best trial's are kept."""
    ledger, best = seen.ledger, objectives.best(seen.ledger)
    objective = ledger.objective or {}
    expected = ledger.done and not seen.live and seen.reproduced is True
    for trial, run in seen.pairs():
        wanted = expected and best is not None and trial.number == best.number
        if not wanted and run.tags.get(REPRODUCED) != "true":
            continue
        if objective.get("command") or "tolerance" in objective or trial.weights_sha256 is None:
            continue  # there are no arrays, or not those that were recorded
        try:
            content = seen.weights(run)
        except TrackingError as error:
            yield f"{_of(run, trial)}: the weights cannot be read: {error}"
            continue
        if content is None:
            yield f"{_of(run, trial)} has no {WEIGHTS_FILE}; `hpsearch sync` adds it"
            continue
        digest = _digest_of(content)
        if digest != trial.weights_sha256:
            yield f"{_of(run, trial)} has weights with digest {digest}, not {trial.weights_sha256}"


def _artifacts(seen: Look) -> Iterator[str]:
    """A workspace's artifacts lie in it or in a bucket, also after it was moved or copied."""
    fine = (f"{seen.place}/", BUCKET)
    away = [r for r in seen.runs if seen.place and not r.artifacts.startswith(fine)]
    if away:
        yield (
            f"{len(away)} runs keep their artifacts elsewhere, such as {away[0].artifacts}: the "
            f"workspace was moved or copied; `hpsearch sync` corrects this"
        )


def _digest_of(content: bytes) -> str:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return f"{weights_digest(load(content))}"
    except (SafetensorError, ValueError, KeyError):
        return "a file that is not safetensors"


def _of(run: Run, trial: TrialRow) -> str:
    return f"run {run.id} of trial {trial.number}"


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


INVARIANTS: Mapping[str, Check] = {
    "rounds": rounds,
    "one-run": _one_run,
    "orphans": _orphans,
    "running": _running,
    "run-status": _run_status,
    "run-tags": _run_tags,
    "run-times": _run_times,
    "run-params": _run_params,
    "run-curves": _run_curves,
    "marks": _marks,
    "weights": _weights,
    "artifacts": _artifacts,
}
"""By the name that a violation bears."""
