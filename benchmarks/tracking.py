"""What do store and tracking cost per trial, here and in the usual way?

    python -m benchmarks.tracking [TRIALS]

Both write trials of 3 parameters and 50 epochs of 4 metrics, without training anything, on SQLite,
in turns in one process. Here: the ledger (claim, show, finish), Optuna's storage and MLflow by the
projector. The usual way: Optuna on SQLite with ``report`` and ``should_prune`` after each epoch,
``mlflow.log_metrics`` after each epoch, the parameters at the start.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.judged import against
from hpsearch.ledger import records
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Curve, Result, State
from hpsearch.ledger.store import Store
from hpsearch.projections.projector import Projector
from hpsearch.settings import Settings
from hpsearch.study import file as study_file
from hpsearch.study.config import NETWORK_METRICS

EPOCHS = 50
ROUND = 10
"""Trials that one way writes before it is the other's turn."""
RANGES = {
    "training.lr": (1e-6, 1e-2),
    "training.weight_decay": (1e-8, 1e-4),
    "network.dropout": (0.0, 0.5),
}
Way = Callable[[Curve, dict[str, float]], None]
Seconds = dict[str, list[float]]


def here(folder: Path, spent: Seconds) -> tuple[Way, Callable[[], None]]:
    """This project: what enters a trial, and what projects those that were entered."""
    settings = Settings(
        folder, f"sqlite:///{folder / 'studies.db'}", f"sqlite:///{folder / 'mlflow.db'}"
    )
    tables: dict[str, dict[str, object]] = {"network": {"hidden": [100] * 6}, "training": {}}
    for path, (low, high) in RANGES.items():
        section, key = path.split(".")
        tables[section][key] = {"low": low, "high": high}
    tables["training"]["epochs"] = EPOCHS
    data = {"dataset": "mnist5k", "train": 500}
    study = study_file.parse(
        {"name": "bench", "data": data, **tables, "search": {"trials": 100_000}}
    )
    store = Store(Database(settings.storage))
    record = store.register(study, {"dataset": "d" * 64})
    leases = Leases(store.database, record, lag=None, seed=lambda number: number, owner=Owner.of())
    projector = Projector(store, study.name, settings)

    def enter(curve: Curve, params: dict[str, float]) -> None:
        begun = time.perf_counter()
        claim = leases.claim()
        assert isinstance(claim, Claim)
        leases.show(claim.number, params)
        value = float(curve[-1, NETWORK_METRICS.index("val_accuracy")])
        leases.finish(claim.number, Result(State.COMPLETE, value, params, curve, "f" * 64))
        spent["ledger"].append(time.perf_counter() - begun)

    def project() -> None:
        begun = time.perf_counter()
        written = projector.step()
        seconds = (time.perf_counter() - begun) / max(1, written.mlflow)
        spent["projections"] += [seconds] * written.mlflow

    return enter, project


def usual(folder: Path, spent: Seconds) -> Way:
    """What one writes today: Optuna's ask and tell with reports, MLflow's fluent calls."""
    import mlflow
    import optuna

    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.set_experiment("bench")
    study = optuna.create_study(
        storage=f"sqlite:///{folder / 'optuna.db'}",
        study_name="bench",
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(0),
        pruner=optuna.pruners.NopPruner(),
    )

    def run(curve: Curve, params: dict[str, float]) -> None:
        begun = time.perf_counter()
        trial = study.ask()
        drawn = {path: trial.suggest_float(path, *RANGES[path]) for path in RANGES}
        tracking = 0.0
        with mlflow.start_run(run_name=f"trial {trial.number}"):
            mlflow.log_params(drawn)
            for epoch, row in enumerate(curve.tolist(), start=1):
                started = time.perf_counter()
                mlflow.log_metrics(dict(zip(NETWORK_METRICS, row, strict=True)), step=epoch)
                tracking += time.perf_counter() - started
                trial.report(row[-1], epoch)
                trial.should_prune()
        study.tell(trial, curve[-1, -1])
        spent["Optuna and the run"].append(time.perf_counter() - begun - tracking)
        spent["log_metrics"].append(tracking)

    return run


def main(trials: int = 100) -> None:
    """Measure both in turns and print a table."""
    import optuna

    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    random = np.random.default_rng(0)
    ours: Seconds = {"ledger": [], "projections": []}
    theirs: Seconds = {"Optuna and the run": [], "log_metrics": []}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "here").mkdir()
        (Path(folder) / "usual").mkdir()
        enter, project = here(Path(folder) / "here", ours)
        project()  # opens everything
        run = usual(Path(folder) / "usual", theirs)
        for _ in range(max(1, trials // ROUND)):
            drawn = [
                (
                    records.curve(random.random((EPOCHS, 4))),
                    {path: float(random.uniform(*ends)) for path, ends in RANGES.items()},
                )
                for _ in range(ROUND)
            ]
            for curve, params in drawn:
                enter(curve, params)
            project()
            for curve, params in drawn:
                run(curve, params)
    totals = []
    for name, parts in (("here", ours), ("the usual way", theirs)):
        totals.append(sum(median(seconds) for seconds in parts.values()))
        for part, seconds in parts.items():
            print(f"{name:15} {part:20} {1000 * median(seconds):8.1f} ms a trial")
        print(f"{name:15} {'together':20} {1000 * totals[-1]:8.1f} ms a trial")
    cheaper = totals[1] / totals[0]
    print(f"here, together: {against(1000 * totals[0], 12)}")
    print(f"{cheaper:.1f} times cheaper ({against(cheaper, 8, least=True)})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
