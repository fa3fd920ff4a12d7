"""Studies entered into a ledger without training, of any size and with any ending."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import NO_STEPS, Result, State, StudyRecord, curve
from hpsearch.ledger.store import Store
from hpsearch.search.history import History
from hpsearch.search.suggest import suggest
from hpsearch.study import file as study_file
from hpsearch.study.config import Params, Study
from tests.conftest import study as small

DIGESTS = {"dataset": "d" * 64, "train": "a" * 64, "validation": "b" * 64, "test": "c" * 64}
Ends = Callable[[int, Params], Result]


def learned(number: int, params: Params, **changes: Any) -> Result:
    """A trial that learns, the better the nearer ``lr`` is to 0.1 and the less dropout there is."""
    rng = np.random.default_rng(number)
    lr = float(str(params.get("training.lr", 0.1)))
    most = int(str(params.get("training.epochs", 10)))
    top = 0.9 * math.exp(-0.1 * math.log10(lr / 0.1) ** 2)
    top -= 0.3 * float(str(params.get("network.dropout", 0)))
    by_epoch = top * (1 - np.exp(-np.arange(1, most + 1) / 3)) + rng.normal(0, 0.01, most)
    accuracy = np.clip(by_epoch, 0, 1)
    rows = np.column_stack([2.3 * (1.02 - accuracy), accuracy, 2.3 * (1.1 - accuracy), accuracy])
    return made(number, params, curve(rows.tolist()), **changes)


def made(number: int, params: Params, rows: Any, **changes: Any) -> Result:
    """How a trial ended."""
    whole = Result(
        state=State.COMPLETE,
        value=float(rows[-1, 3]) if len(rows) else 0.1,
        params=params,
        curve=rows,
        weights_sha256=f"{number:064x}",
        steps=NO_STEPS,
    )
    return replace(whole, **changes)


def pruned(number: int, params: Params, epochs: int = 3) -> Result:
    """A trial that a pruner stopped."""
    rows = learned(number, params).curve[:epochs]
    return made(number, params, rows, state=State.PRUNED, value=None, reason="median")


def diverged(number: int, params: Params, epochs: int = 0) -> Result:
    """A trial whose loss became infinite."""
    rows = learned(number, params).curve[:epochs]
    return made(
        number,
        params,
        rows,
        state=State.PRUNED,
        value=None,
        reason="diverged",
        weights_sha256=None,
    )


def failed(number: int, params: Params) -> Result:
    """A trial that raised."""
    return made(
        number,
        params,
        curve(metrics=4),
        state=State.FAIL,
        value=None,
        reason="ValueError: <made up> & told",
        weights_sha256=None,
    )


def mixed(number: int, params: Params) -> Result:
    """Some of each."""
    if number % 11 == 5:
        return diverged(number, params, epochs=number % 3)
    if number % 3 == 1:
        return pruned(number, params)
    return learned(number, params)


def enter(folder: Path, study: Study, ends: Ends = learned) -> tuple[Store, StudyRecord]:
    """The study, with all its trials ended in that way."""
    store = Store(Database(f"sqlite:///{folder / 'studies.db'}"))
    record = store.register(study, DIGESTS)
    leases = Leases(
        store.database,
        record,
        lag=None,
        seed=lambda number: 10**15 + number,
        owner=replace(Owner.of(), host="elsewhere"),
        lease=600.0,
    )
    plain = replace(study, search=study.search.model_copy(update={"pruner": "none"}))
    history = History(plain)
    for _ in range(study.search.trials):
        claim = leases.claim()
        assert isinstance(claim, Claim)
        params = suggest(plain, history, claim.number)
        leases.finish(claim.number, ends(claim.number, params), None)
    return store, store.study(study.name)


# -- the hard cases

LONG = "an_experiment_with_a_very_long_name_" * 4
CJK = "深層学習によるハイパーパラメータ探索の実験" * 5
MANY: Mapping[str, Any] = {
    "network__hidden": {"choices": [[8], [100] * 30, [64, 32, 16], []]},
    "network__activation": {"choices": ["relu", "sigmoid", "tanh"]},
    "network__init": {"choices": ["he", "xavier", 0.01]},
    "network__batch_norm": {"choices": [True, False]},
    "network__dropout": {"low": 0.0, "high": 0.5},
    "training__lr": {"low": 1e-4, "high": 1.0, "log": True},
    "training__weight_decay": {"low": 1e-8, "high": 1e-4, "log": True},
    "training__momentum": {"low": 0.0, "high": 0.99},
    "training__batch_size": {"choices": [8, 16, 32, 60]},
    "training__epochs": {"low": 5, "high": 20},
    "training__optimizer": {
        "choices": ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"]
    },
    "training__schedule": {"choices": ["constant", "step", "cosine"]},
    "training__warmup": {"low": 0, "high": 3},
    "training__clip_norm": {"low": 0.1, "high": 10.0, "log": True},
    "training__patience": {"low": 1, "high": 9},
}
GRID: Mapping[str, Any] = {"search__sampler": "grid", "network__dropout": 0.0}
CASES: dict[str, tuple[dict[str, Any], Ends]] = {
    "5 trials": ({"search__trials": 5}, mixed),
    "100 trials": ({"search__trials": 100}, mixed),
    "15 parameters, 5 trials": ({**MANY, "search__trials": 5}, mixed),
    "15 parameters, 100 trials": ({**MANY, "search__trials": 100}, mixed),
    "15 parameters, 2,000 trials": ({**MANY, "search__trials": 2000}, mixed),
    "failed": ({"search__trials": 6}, failed),
    "1 trial": ({"search__trials": 1}, learned),
    "2 trials": ({**MANY, "search__trials": 2}, mixed),
    "40 categories": (
        {
            "network__hidden": {"choices": [[n, n, n, n] for n in range(1, 41)]},
            "training__batch_size": {"choices": list(range(1, 41))},
            "search__trials": 120,
        },
        mixed,
    ),
    "a long name": ({"name": LONG[:128], "search__trials": 30}, mixed),
    "a CJK name": ({"name": CJK[:100], "search__trials": 30}, mixed),
    "equal values": (
        {"search__trials": 30},
        lambda n, p: made(n, p, curve([[2.3, 0.0, 2.3, 0.0]] * 3)),
    ),
    "all diverged": ({"search__trials": 30}, diverged),
    "all diverged later": ({"search__trials": 30}, lambda n, p: diverged(n, p, 2)),
    "an outlier": (
        {"search__trials": 30, "search__metric": "val_loss"},
        lambda n, p: (
            made(n, p, curve([[244.0, 0.1, 244.0, 0.1]] * 3), value=244.0)
            if n == 7
            else learned(n, p, value=float(learned(n, p).curve[-1, 2]))
        ),
    ),
    "absurd losses": (
        {"search__trials": 30, "search__metric": "val_loss"},
        lambda n, p: (
            made(n, p, curve([[1e38, 0.1, 1e38, 0.1]] * 3), value=1e38)
            if n % 7 == 3
            else learned(n, p, value=float(learned(n, p).curve[-1, 2]))
        ),
    ),
    "40 settings": (
        {
            **GRID,
            "training__lr": {"choices": [10 ** -(n / 10) for n in range(40)]},
            "search__trials": 40,
        },
        mixed,
    ),
    "40 lines": (
        {
            **GRID,
            "network__hidden": {"choices": [[n] * 9 for n in range(1, 21)]},
            "training__lr": {"choices": [0.1, 0.01]},
            "search__trials": 40,
        },
        mixed,
    ),
    "settings of 14 places": (
        {
            path: {"choices": values}
            for path, values in {
                "network__hidden": [[8], [100] * 30],
                "network__batch_norm": [True, False],
                "network__dropout": [0.1, 0.2],
                "training__lr": [0.1, 0.01],
                "training__weight_decay": [1e-8, 1e-4],
                "training__momentum": [0.1, 0.2],
                "training__optimizer": ["sgd", "adam"],
            }.items()
        }
        | {
            "search__trials": 8,
            "search__enqueue": [
                {
                    "network.hidden": [[8], [100] * 30][n % 2],
                    "network.batch_norm": n % 4 > 1,
                    "network.dropout": [0.1, 0.2][n % 3 % 2],
                    "training.lr": [0.1, 0.01][n // 4],
                    "training.weight_decay": [1e-8, 1e-4][n % 2],
                    "training.momentum": [0.1, 0.2][n // 2 % 2],
                    "training.optimizer": ["sgd", "adam"][n // 4],
                }
                for n in range(8)
            ],
        },
        mixed,
    ),
    "settings all diverged": (
        {**GRID, "training__lr": {"choices": [10.0, 100.0]}, "search__trials": 2},
        diverged,
    ),
    "one setting with an outlier": (
        {
            **GRID,
            "training__lr": {"choices": [n / 20 for n in range(1, 20)]},
            "search__trials": 19,
            "search__metric": "val_loss",
        },
        lambda n, p: (
            made(n, p, curve([[244.0, 0.1, 244.0, 0.1]] * 3), value=244.0)
            if n == 7
            else learned(n, p, value=float(learned(n, p).curve[-1, 2]))
        ),
    ),
    "steps": (
        {
            **GRID,
            "training__lr": {"choices": [0.1, 0.01, 0.001, 100.0]},
            "training__record": "step",
            "search__trials": 4,
            "data__train": 100,
            "data__validation": 0.2,
        },
        lambda n, p: (
            diverged(n, p)
            if p["training.lr"] == 100.0
            else learned(n, p, steps=np.geomspace(2.3, 0.01, 40) * (1 + 0.1 * np.cos(range(40))))
        ),
    ),
}


def cases(folder: Path) -> Iterator[tuple[str, Store, StudyRecord]]:
    """All of them."""
    for name in CASES:
        (folder / name).mkdir(parents=True)
        yield name, *case(folder / name, name)


def own(folder: Path, metric: str, by_epoch: Callable[[float], float]) -> tuple[Store, StudyRecord]:
    """A study with a training of its own, 40 trials of one metric over three epochs."""
    table = {
        "name": "own",
        "objective": {"function": "mine:train", "metrics": [metric], "epochs": 3},
        "params": {"model": {"depth": {"low": 1, "high": 9}}, "rate": {"low": 0.0, "high": 1.0}},
        "search": {"trials": 40, "metric": metric, "direction": "maximize"},
    }

    def ends(number: int, params: Params) -> Result:
        values = [by_epoch(float(str(params["params.rate"])) + epoch / 10) for epoch in range(3)]
        rows = curve([[value] for value in values])
        return replace(made(number, params, curve(metrics=1)), curve=rows, value=values[-1])

    return enter(folder, study_file.parse(table), ends)


def case(folder: Path, name: str) -> tuple[Store, StudyRecord]:
    """One of them."""
    changes, ends = CASES[name]
    return enter(folder, small(**changes), ends)
