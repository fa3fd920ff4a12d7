"""What is a study, and what does a trial run with?

A study is a training configuration in which some values are ranges; a trial is the same
configuration with the ranges filled in. So a trial's configuration is the one that is modelled
in full (``trial``), and a study is such a configuration plus the space of what is left open: it
is valid when every end of every range, put in its place, makes a valid trial.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from hpsearch.errors import StudyFileError
from hpsearch.study.finite import size
from hpsearch.study.given import ConfirmConfig, GivenConfig
from hpsearch.study.layers import PARTS as LAYERS
from hpsearch.study.layers import listed
from hpsearch.study.metrics import NETWORK_METRICS as NETWORK_METRICS
from hpsearch.study.metrics import network_metrics, of_train, sealed_metrics
from hpsearch.study.objective import ObjectiveConfig, ObjectiveTrial, nested
from hpsearch.study.section import Params as Params
from hpsearch.study.section import Positive, Section, Seed, Span
from hpsearch.study.section import Value as Value
from hpsearch.study.section import plain as plain
from hpsearch.study.section import seconds as in_seconds
from hpsearch.study.space import Choices as Choices
from hpsearch.study.space import Range as Range
from hpsearch.study.space import Space as Space
from hpsearch.study.space import dumps as dumps
from hpsearch.study.space import grid as grid
from hpsearch.study.space import same as same
from hpsearch.study.trial import AnyTrial as AnyTrial
from hpsearch.study.trial import DataConfig as DataConfig
from hpsearch.study.trial import NetworkConfig as NetworkConfig
from hpsearch.study.trial import TrainingConfig as TrainingConfig
from hpsearch.study.trial import TrialConfig as TrialConfig

SEARCHABLE = ("network", "training")


class Earlier(Section):
    """A trial of an earlier study, of which the sampler is to know."""

    value: float
    values: dict[str, Any]
    """Of all that is searched, by path."""


class SearchConfig(Section):
    """``[search]``: how the open places are filled, and what is looked for."""

    sampler: Literal["random", "grid", "qmc", "tpe", "cmaes", "nsgaii", "gp", "given"] = "random"
    trials: Positive = 100
    metric: str = "val_accuracy"
    direction: Literal["maximize", "minimize"] = "maximize"
    also: dict[str, Literal["maximize", "minimize"]] = Field(default_factory=dict)
    """Further objectives, by metric, in the order of their names."""
    max_time: Annotated[float, Field(gt=0)] | Span | None = None
    """Of a run: seconds, or such as ``10m``."""
    max_epochs: Positive | None = None
    target: float | None = None
    patience: Positive | None = None
    """Trials without a better value, after which the study ends."""
    gain: Annotated[float, Field(gt=0)] | Literal["noise"] | None = None
    """What as many trials again are to be worth."""
    seed: Seed = 0
    lag: Positive = 8
    startup: Positive | None = None
    """Trials that a sampler which learns has seen before it does; None: Optuna's own number."""
    population: Annotated[int, Field(ge=4, le=10_000)] | None = None
    """Trials of a generation, of a sampler that has them; None: what the sampler itself takes."""
    pruner: Literal[
        "none",
        "median",
        "percentile",
        "halving",
        "pausing",
        "hyperband",
        "patient",
        "threshold",
        "wilcoxon",
    ] = "none"
    min_epochs: Positive = 1
    reduction_factor: Annotated[int, Field(ge=2, le=2**31 - 1)] = 3
    repeat: bool | None = None
    """Whether a point may be trained twice where all is choices and whole numbers; None: no."""
    percentile: Annotated[float, Field(gt=0, lt=100)] | None = None
    p_threshold: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of the Wilcoxon pruner: the p-value below which a trial is pruned."""
    stall: Positive | None = None
    """Of the patient pruner: epochs without a better value."""
    lower: float | None = None
    upper: float | None = None
    """Of the threshold pruner: beyond these values a trial is pruned."""
    enqueue: list[dict[str, Any]] = Field(default_factory=list)
    history: Annotated[list[Earlier], Field(max_length=1000)] = Field(default_factory=list)
    rounds: list[Positive] = Field(default_factory=list)
    """The trials of each round; none where the ranges stay as they are."""
    limits: dict[str, Any] = Field(default_factory=dict)
    """By path ``low`` and ``high``: how far a round's range may grow."""

    @model_validator(mode="before")
    @classmethod
    def _direction_follows_metric(cls, table: Any) -> Any:
        if isinstance(table, dict) and "direction" not in table:
            metric = str(table.get("metric", ""))
            table = {**table, "direction": "minimize" if metric.endswith("loss") else "maximize"}
        if isinstance(table, dict) and isinstance(table.get("also"), dict):
            table = {**table, "also": dict(sorted(table["also"].items()))}
        return table

    @property
    def directions(self) -> list[str]:
        """Of all objectives, that of ``metric`` first."""
        return [self.direction, *self.also.values()]

    @property
    def looks_back(self) -> bool:
        """Whether a trial depends on those that are older by the lag, and so must wait for them."""
        learns = self.sampler in ("tpe", "cmaes", "nsgaii", "gp")
        compares = ("median", "percentile", "halving", "pausing", "hyperband", "wilcoxon")
        return learns or self.pruner in compares

    @property
    def pauses(self) -> bool:
        """Whether a trial that stops may be continued by a later one."""
        return self.pruner == "pausing"

    @property
    def verb(self) -> str:
        """What the pruner does at a rung."""
        return "pauses each trial" if self.pauses else "decides"

    @property
    def seconds(self) -> float:
        """How long a run may take."""
        return in_seconds(self.max_time)

    @property
    def led(self) -> bool:
        """Whether what later trials try depends on the values of earlier ones."""
        return self.looks_back or bool(self.rounds)


class ComputeConfig(Section):
    """``[compute]``: how the processes compute that train the trials."""

    profile: Literal["native", "portable"] = "native"
    """The fastest kernel that the CPU has, or one whose bits any CPU of its kind gives."""


class TrackingConfig(Section):
    """``[tracking]``: what MLflow is told beside the trials."""

    experiment: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    tags: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Study:
    """A valid study: what is fixed, what is open, and how it is searched."""

    name: str
    data: DataConfig | None
    """None of a study with an objective of its own."""
    fixed: Mapping[str, Mapping[str, Any]]
    """``network`` and ``training``, or ``params``, with the open places left out."""
    space: Space
    """What is open, by path, in the order of the paths."""
    search: SearchConfig
    tracking: TrackingConfig
    objective: ObjectiveConfig | None = None
    given: GivenConfig | None = None
    """Of a study whose trials are given."""
    confirm: ConfirmConfig | None = None
    compute: ComputeConfig | None = None
    """None if it is native."""
    epochs_by_round: tuple[int, ...] = ()
    """The epochs of the trials of each round, which ``space`` has as choices; none if not so."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of what a trial's training reports after each epoch, in order."""
        if self.objective:
            return tuple(self.objective.metrics)
        assert self.data is not None
        report = self.fixed["training"].get("report", ())
        if self.given is not None and self.given.part == "test":
            return sealed_metrics(self.data.task, report)
        known = network_metrics(self.data.task, report)
        return of_train(known) if self.given is not None and self.given.part == "both" else known

    @property
    def folds(self) -> int:
        """How often a trial trains: once a fold of its data, or once a repeat."""
        if self.objective:
            return self.objective.repeats or 1
        assert self.data is not None
        return self.data.parts * (self.fixed["training"].get("repeats") or 1)

    @property
    def epochs(self) -> int | None:
        """The epochs of the longest training; None where that is not known."""
        if self.objective:
            return self.objective.epochs
        open_ = self.space.get("training.epochs")
        ends = open_.ends() if open_ else [self.fixed["training"]["epochs"]]
        return max(int(str(end)) for end in ends)

    @property
    def gaps(self) -> bool:
        """Whether curves have NaN where the training part was not measured."""
        return self.fixed.get("training", {}).get("measure", "every") not in ("every", 1)

    @property
    def seed(self) -> int | None:
        """The seed that the study file names for all its trials' trainings."""
        seed = self.objective.seed if self.objective else self.fixed["training"].get("seed")
        return None if seed is None else int(seed)

    @property
    def keeps_arrays(self) -> bool:
        """Whether a training may come to arrays that are worth keeping, bit for bit."""
        return self.objective is None or (
            self.objective.command is None and self.objective.tolerance is None
        )

    @property
    def saves(self) -> bool:
        """Whether a training that is paused goes on from its state; one's own begins anew."""
        return self.objective is None

    @property
    def tolerance(self) -> float | None:
        """How far a training again may be off; None where it has to give the same bits."""
        return self.objective.tolerance if self.objective else None

    @property
    def column(self) -> int:
        """The place of the search's metric among them."""
        return self.metrics.index(self.search.metric)

    @property
    def points(self) -> int | None:
        """How many points there are to try, where none is trained twice; else None."""
        search = self.search
        again = search.repeat or search.rounds or search.pauses
        if search.sampler not in ("random", "tpe") or again:
            return None
        return size(self.space) if self.space else None

    def resolve(self, params: Params, seed: int) -> AnyTrial:
        """Fill in the ranges.

        Args:
            params: A value for each path of ``space``.
            seed: The trial's seed; one that the study file itself names goes before it.

        Raises:
            StudyFileError: If they make no valid configuration.
        """
        if self.objective:
            own = self.objective.seed
            objective = self.objective.model_copy(update={"seed": seed if own is None else own})
            tried = {path.removeprefix("params."): value for path, value in params.items()}
            return ObjectiveTrial(objective, {**self.fixed["params"], **tried})
        tables = {section: dict(self.fixed[section]) for section in SEARCHABLE}
        tables["training"].setdefault("seed", seed)
        for path, value in params.items():
            section, key = path.split(".", 1)
            tables[section][key] = value
        tables["network"] = listed(tables["network"])
        draw = self.given.draw(seed) if self.given else None
        data = self.data
        if data is not None and draw is not None:
            data = data.model_copy(update={"draw": draw})
        try:
            return TrialConfig.model_validate({"data": data, **tables})
        except ValidationError as error:
            first = error.errors()[0]
            path = ".".join(map(str, first["loc"]))
            raise StudyFileError(f"{path}: {first['msg']} (in a trial of {self.name!r})") from None

    def of_trial(self, number: int, config: AnyTrial) -> Study:
        """The study that consists of one trial alone: running it is reproducing the trial."""
        fixed: Mapping[str, Mapping[str, Any]]
        if isinstance(config, ObjectiveTrial):
            data, objective, fixed = None, config.objective, {"params": config.params}
        else:
            data, objective = config.data, None
            fixed = {"network": plain(config.network), "training": plain(config.training)}
        return Study(
            name=f"{self.name[:110].replace('/', '-')}-trial-{number}",
            data=data,
            objective=objective,
            fixed=fixed,
            space={},
            search=SearchConfig(
                trials=1,
                metric=self.search.metric,
                direction=self.search.direction,
                also=self.search.also,
            ),
            tracking=TrackingConfig(),
            compute=self.compute,
        )

    def definition(self) -> dict[str, Any]:
        """The study with every default written out, as a study file would say it."""
        tables: dict[str, Any] = {}
        if self.objective:
            searched = {p.removeprefix("params."): o.table() for p, o in self.space.items()}
            tables["objective"] = plain(self.objective)
            tables["params"] = nested({**self.fixed["params"], **searched})
            return self._whole(tables)
        for section, model in (("network", NetworkConfig), ("training", TrainingConfig)):
            keys = (*LAYERS, *model.model_fields) if section == "network" else model.model_fields
            paths = {key: f"{section}.{key}" for key in keys}
            searched = {k: self.space[p].table() for k, p in paths.items() if p in self.space}
            table = {**self.fixed[section], **searched}
            tables[section] = nested({key: table[key] for key in paths if key in table})
        if self.epochs_by_round:
            tables["training"]["epochs"] = list(self.epochs_by_round)
        return self._whole(tables)

    def _whole(self, tables: Mapping[str, Any]) -> dict[str, Any]:
        data = {"data": plain(self.data)} if self.data else {}
        whole = {"name": self.name, **data, **tables}
        whole |= {"search": plain(self.search), "tracking": plain(self.tracking)}
        whole |= {"compute": plain(self.compute)} if self.compute else {}
        whole |= {"given": plain(self.given)} if self.given else {}
        whole |= {"confirm": plain(self.confirm)} if self.confirm else {}
        return {key: value for key, value in whole.items() if value}

    def with_scaling(self, scaling: str) -> Study:
        """The same study with this scaling written down."""
        assert self.data is not None
        return replace(
            self, data=DataConfig.model_validate({**plain(self.data), "scaling": scaling})
        )

    def with_trials(self, trials: int) -> Study:
        """The same study with another budget."""
        return replace(self, search=self.search.model_copy(update={"trials": trials}))


def flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every entry of a table and the tables in it, by its path."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def resolved_table(config: AnyTrial) -> dict[str, Any]:
    """A trial's configuration as a study file's tables."""
    if isinstance(config, ObjectiveTrial):
        return {"objective": plain(config.objective), "params": nested(config.params)}
    return plain(config)
