"""Which search gets there first, and how good is what it finds?

    python -m benchmarks.search [--seeds 20] [--only NAME …] [--cache FOLDER]

Each search has 5,000 epochs and 500 MNIST images, 100 of which validate; each seed draws other
images, the same ones for all searches. They are the book's own procedure (`book-script`), Optuna's
TPE and Hyperband used directly with their defaults over wide ranges, the book's procedure in rounds
(`book-rounds`), and the recommended study (`mnist5k`).

Of each: the best value so far, by the epochs spent on all trials together, those of pruned ones
included (a trial of folds has a value after each of them, the mean so far; the first fold validates
on the images of the other searches); after how many epochs that is what the book's search ends
with, on the same images; and the accuracy on the 4,500 images that nobody looked at. That is of the
best trial's network, or of what `hpsearch refit` makes of the search: beside it stands the recipe
that `mnist5k` begins with, trained on as much. An ensemble has five networks, or as many as were
trained to their end.

What a seed came to is kept in the cache, a file each: a measurement that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from hpsearch.data.datasets import Dataset, load
from hpsearch.data.splits import Parts, Splits, split
from hpsearch.ledger.records import State, Trial, mean_of
from hpsearch.study import file as study_file
from hpsearch.study.config import AnyTrial, Study, TrialConfig
from hpsearch.training.network import NetworkTraining
from hpsearch.training.predictor import Predictor
from hpsearch.training.scores import score
from hpsearch.training.whole import Whole
from hpsearch.trust import environment

EPOCHS = 5000
SHOWN = (50, 100, 250, 500, 1000, 2500, 5000)
"""After how many epochs the best so far is shown."""
BOOK = "book-script"
KINDS = {
    "best": "",
    "refit": ", refit",
    "ensemble": ", refit --ensemble 5",
    "recipe": ", its recipe alone",
}
"""What may be asked on unseen images, and how a row calls it."""
STUDIES = Path(__file__).parent.parent / "studies"

Curve: TypeAlias = list[tuple[int, float]]
"""Epochs spent, and the best value so far, for each trial that was better than all before it."""
Found: TypeAlias = dict[str, Any]
"""``curve``, and by what it is of, the accuracy on images that nobody looked at: ``best`` of the
best trial's network; ``refit``, ``ensemble`` and ``recipe`` of those trained on all 500 images."""


def rising(ended: Iterator[tuple[int, float | None]]) -> Curve:
    """The best so far.

    Args:
        ended: Of each trial in turn, the epochs that it took and its value; None if it was pruned.
    """
    spent, best, curve = 0, -math.inf, []
    for epochs, value in ended:
        spent += epochs
        if value is not None and value > best and spent <= EPOCHS + 50:
            best = value
            curve.append((spent, value))
    return curve


def drawn(dataset: Dataset, study: Study) -> Splits:
    """The parts that a study's images are divided into; of folds, the first one's."""
    assert study.data is not None
    return split(dataset, **study.data.model_dump(exclude={"dataset", "task"}))


def unseen(config: AnyTrial, splits: Splits, parts: Parts) -> float:
    """The accuracy on the images that nobody looked at, of a network that is trained on parts."""
    assert isinstance(config, TrialConfig)
    training = NetworkTraining(config, parts)
    for _ in training:
        pass
    return float(training.measures(splits.test)[1])


# -- the searches


def with_hpsearch(name: str, seed: int, dataset: Dataset) -> Found:
    """A study of this project, run as `hpsearch run` does it; and refitted, if it has folds."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["HPSEARCH_HOME"] = home
        import hpsearch

        changes = {"data.seed": seed, "search.seed": seed}
        study = hpsearch.load(STUDIES / f"{name}.toml", changes)
        study.run(workers=0, tracking=False)
        trials, best = study.trials, study.best
        # A pruner leaves four at least, with the lag of `mnist5k`: no ensemble has more than ended.
        ended = {repr(trial.params) for trial in trials if trial.state is State.COMPLETE}
        most = min(5, len(ended))
        networks = study.refit(most, workers=0, tracking=False) if best.folds else None
    definition = study_file.load(STUDIES / f"{name}.toml", [f"{k}={v}" for k, v in changes.items()])
    splits = drawn(dataset, definition)
    found: Found = {"curve": rising(event for trial in trials for event in events(trial))}
    if networks is None:
        return found | {"best": unseen(definition.resolve(best.params, best.seed), splits, splits)}
    shapes, each = networks.shapes, networks.networks
    for what, many in (("refit", 1), ("ensemble", 5)):
        some = Predictor(shapes[:many], each[:many], networks.preparation)
        found[what] = score(some.outputs(splits.test.x), splits.test.y, "accuracy")
    recipe = definition.resolve(trials[0].params, trials[0].seed)
    assert isinstance(recipe, TrialConfig)
    return found | {"recipe": unseen(recipe, splits, Whole(splits.sealed).of(recipe))}


def events(trial: Trial) -> Iterator[tuple[int, float | None]]:
    """What is known of a trial, and after how many more epochs: its value, or one after each fold.

    Of a trial that was pruned in another way, its epochs alone.
    """
    if not trial.folds:
        yield trial.epochs, trial.value
    for place, fold in enumerate(trial.folds, start=1):
        yield fold.epochs, mean_of(trial.folds[:place])


def with_optuna(seed: int, dataset: Dataset) -> Found:
    """Optuna's TPE and Hyperband with all their defaults, over ranges as wide as one dares."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = study_file.load(STUDIES / f"{BOOK}.toml", [f"data.seed={seed}"])
    splits = drawn(dataset, study)
    search = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.HyperbandPruner(),
    )
    ended: list[tuple[int, float | None]] = []
    best, accuracy = -math.inf, 0.0
    while sum(epochs for epochs, _ in ended) < EPOCHS:
        trial = search.ask()
        training = NetworkTraining(_widely(trial, study), splits.sealed)
        value, epochs = 0.0, 0
        for epochs, row in enumerate(training, start=1):
            value = row[3]
            trial.report(value, epochs)
            if epochs < 50 and trial.should_prune():
                break
        if epochs < 50:  # pruned, or diverged
            search.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            search.tell(trial, value)
            if value > best:
                best, accuracy = value, training.measures(splits.test)[1]
        ended.append((epochs, value if epochs == 50 else None))
    return {"curve": rising(iter(ended)), "best": accuracy}


def _widely(trial: Any, study: Study) -> TrialConfig:
    depth = trial.suggest_int("depth", 1, 4)
    width = trial.suggest_int("width", 32, 256, log=True)
    network = {"hidden": [width] * depth, "dropout": trial.suggest_float("dropout", 0.0, 0.6)}
    training = {
        "optimizer": trial.suggest_categorical("optimizer", ["sgd", "momentum", "adam"]),
        "lr": trial.suggest_float("lr", 1e-5, 1.0, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-8, 1e-1, log=True),
        "batch_size": trial.suggest_int("batch_size", 20, 200, log=True),
        "epochs": 50,
        "seed": trial.number,
    }
    table = {"data": study.data, "network": network, "training": training}
    return TrialConfig.model_validate(table)


SEARCHES: dict[str, Callable[[int, Dataset], Found]] = {
    BOOK: lambda seed, dataset: with_hpsearch(BOOK, seed, dataset),
    "Optuna": with_optuna,
    "book-rounds": lambda seed, dataset: with_hpsearch("book-rounds", seed, dataset),
    "mnist5k": lambda seed, dataset: with_hpsearch("mnist5k", seed, dataset),
}


# -- the tables


def mean(values: Sequence[float]) -> str:
    """The mean of a number over the seeds, with its 95 % interval."""
    from scipy.stats import t

    if len(values) < 2:
        return f"{np.mean(values):.3f}"
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return f"{np.mean(values):.3f} ± {half:.3f}"


def after(curve: Curve, epochs: int) -> float | None:
    """The best so far."""
    return max((value for spent, value in curve if spent <= epochs), default=None)


def reached(curve: Curve, value: float) -> float:
    """The epochs after which the best so far is at least this; infinitely many if it never is."""
    return min((spent for spent, best in curve if best >= value), default=math.inf)


def tables(found: dict[str, list[Found]]) -> Iterator[str]:
    """What is known of the seeds that all searches have had, in lines."""
    seeds = min(map(len, found.values()))
    yield f"{seeds} seeds; ± is the 95 % interval of the mean.\n"
    yield f"| best so far after | {' | '.join(f'{n:,}' for n in SHOWN)} epochs |"
    yield f"| --- |{' --- |' * len(SHOWN)}"
    for name, results in found.items():
        bests = [[after(one["curve"], n) for one in results[:seeds]] for n in SHOWN]
        cells = [mean(b) if None not in b else "" for b in bests]  # type: ignore[arg-type]
        yield f"| `{name}` | {' | '.join(cells)} |"
    yield ""
    goals = [one["curve"][-1][1] for one in found[BOOK][:seeds]]
    yield f"| | epochs to what `{BOOK}` ends with: median | within 100 |"
    yield "| --- | --- | --- |"
    for name, results in found.items():
        times = [reached(r["curve"], goal) for r, goal in zip(results[:seeds], goals, strict=True)]
        within = sum(time <= 100 for time in times)
        yield f"| `{name}` | {np.median(times):g} | {within} of {seeds} |"
    yield ""
    yield f"| on unseen images | accuracy | less `{BOOK}` | at least |"
    yield "| --- | --- | --- | --- |"
    base = [one["best"] for one in found[BOOK][:seeds]]
    for name, results in found.items():
        for what, said in KINDS.items():
            if what in results[0]:
                own = [one[what] for one in results[:seeds]]
                gaps = [value - other for value, other in zip(own, base, strict=True)]
                row = f"{mean(own)} | {mean(gaps)} | {min(gaps):+.3f}"
                yield f"| `{name}`{said} | {row} |"
    if "mnist5k" in found:
        both = [one["ensemble"] - one["recipe"] for one in found["mnist5k"][:seeds]]
        said = "`mnist5k`'s five networks less its recipe alone"
        yield f"\n{said}: {mean(both)}, at least {min(both):+.3f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing in the cache, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", nargs="+", default=list(SEARCHES), choices=SEARCHES)
    parser.add_argument("--cache", type=Path, default=Path(".hpsearch/benchmark-search"))
    asked = parser.parse_args(arguments)
    asked.cache.mkdir(parents=True, exist_ok=True)
    dataset = load("mnist5k", cache=asked.cache)
    found: dict[str, list[Found]] = {name: [] for name in asked.only}
    for seed in range(asked.seeds):
        for name in asked.only:
            file = asked.cache / f"{name}-{seed}.json"
            if not file.exists():
                with environment.single_thread():
                    result = SEARCHES[name](seed, dataset)
                file.write_text(json.dumps(result))
                shown = {key: value for key, value in result.items() if key != "curve"}
                print(f"{name}, seed {seed}: {shown}", flush=True)
            found[name].append(json.loads(file.read_text()))
    if BOOK in found:
        print("\n".join(tables(found)))


if __name__ == "__main__":
    main()
