"""What does a trial's training depend on? Its data, its network and how that is trained."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from hpsearch.study.layers import MOST_LAYERS
from hpsearch.study.objective import ObjectiveTrial
from hpsearch.study.section import Count, Positive, Section, Seed, Times


class DataConfig(Section):
    """``[data]``: which examples, and how they are divided."""

    dataset: Annotated[str, Field(min_length=1)]
    task: Literal["classification", "regression"] = "classification"
    train: Positive
    validation: Annotated[int, Field(ge=2)] | Annotated[float, Field(gt=0, lt=1)] = 0.2
    test: Count | None = None
    seed: Seed = 0
    scaling: Literal["minmax", "minmax-per-feature", "standard", "none"] | None = None
    """None: what suits the kind of data. ``run`` writes down which that is."""
    duplicates: Literal["together"] | None = None
    missing: Literal["mean"] | None = None
    draw: Positive | None = None
    """Another draw of the training and validation part from the examples of both; None: the first.
    """
    folds: Annotated[int, Field(ge=2, le=100)] | None = None
    """Each of so many parts of the training part is the validation part of one training."""
    fold: Positive | None = None
    """One of the folds alone, counted from 1; None: each in turn."""

    @model_validator(mode="before")
    @classmethod
    def _validation_follows_folds(cls, table: Any) -> Any:
        if isinstance(table, dict) and type(table.get("folds")) is int and table["folds"] > 1:
            table = {"validation": 1 / table["folds"], **table}
        return table

    @property
    def parts(self) -> int:
        """How many folds a trial goes through."""
        return 1 if self.folds is None or self.fold is not None else self.folds


class NetworkConfig(Section):
    """``[network]`` of a trial."""

    hidden: Annotated[list[Positive], Field(max_length=MOST_LAYERS)]
    activation: Literal["relu", "sigmoid", "tanh"] = "relu"
    init: Literal["he", "xavier"] | Annotated[float, Field(gt=0)] = "he"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    dropout_form: Literal["inverted", "book"] = "inverted"
    batch_norm: bool = False
    dtype: Literal["float32", "float64"] = "float32"


class TrainingConfig(Section):
    """``[training]`` of a trial."""

    optimizer: Literal["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"] = "sgd"
    lr: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    batch_size: Positive = 100
    epochs: Count
    schedule: Literal["constant", "step", "cosine"] = "constant"
    warmup: Count = 0
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    patience: Positive | None = None
    shift: Count = 0
    """Of images: by how many pixels at most each is moved, anew in every epoch."""
    record: Literal["epoch", "step"] = "epoch"
    report: list[Literal["f1", "parameters"]] = Field(default_factory=list)
    """What is reported, too: macro F1 of both parts, and how many weights are learned."""
    measure: Literal["every", "last"] | Positive = "every"
    """After which epochs the training part is measured, too: each, the last, or each so many."""
    repeats: Times | None = None
    """How often a trial trains, with another seed each time; None: once."""
    seed: Seed | None = None

    @property
    def interval(self) -> int:
        """Epochs between two measurements of the training part; 0: only the last is measured."""
        if isinstance(self.measure, int):
            return self.measure
        return 1 if self.measure == "every" else 0


class TrialConfig(Section):
    """All that a training depends on, and nothing else."""

    data: DataConfig
    network: NetworkConfig
    training: TrainingConfig


AnyTrial = TrialConfig | ObjectiveTrial
"""A trial's whole configuration, its seed included."""
