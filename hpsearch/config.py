"""What does a study file say, and what does a trial run with?

A study is a training configuration in which some values are ranges; a trial is the same
configuration with the ranges filled in. So a trial's configuration is the one that is modelled
here in full, and a study is such a configuration plus the space of what is left open: it is valid
when every end of every range, put in its place, makes a valid trial.
"""

from __future__ import annotations

import difflib
import json
import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar, get_args

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hpsearch.errors import StudyFileError

Value = bool | int | float | str | list[int]
Params = Mapping[str, Value]
"""Values of a trial's open places, keyed by path such as ``training.lr``."""

Metric = Literal["val_accuracy", "val_loss", "train_accuracy", "train_loss"]
SEARCHABLE = ("network", "training")
LARGEST_GRID = 100_000
"""Points; more than that no study visits, and the list of them would not fit into memory."""

_LARGEST = 1e300
"""Of a range's ends: what is computed with them stays finite."""

Positive = Annotated[int, Field(ge=1, le=2**31 - 1)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


_AnySection = TypeVar("_AnySection", bound=_Section)


class DataConfig(_Section):
    """``[data]``: which examples, and how they are divided."""

    dataset: Annotated[str, Field(min_length=1)]
    train: Positive
    validation: Annotated[int, Field(ge=2)] | Annotated[float, Field(gt=0, lt=1)] = 0.2
    test: Positive | None = None
    seed: Seed = 0
    scaling: Literal["minmax", "standard", "none"] = "minmax"


class NetworkConfig(_Section):
    """``[network]`` of a trial."""

    hidden: list[Positive]
    activation: Literal["relu", "sigmoid", "tanh"] = "relu"
    init: Literal["he", "xavier"] | Annotated[float, Field(gt=0)] = "he"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    batch_norm: bool = False
    dtype: Literal["float32", "float64"] = "float32"


class TrainingConfig(_Section):
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
    record: Literal["epoch", "step"] = "epoch"
    seed: Seed | None = None


class TrialConfig(_Section):
    """All that a training depends on, and nothing else."""

    data: DataConfig
    network: NetworkConfig
    training: TrainingConfig


class SearchConfig(_Section):
    """``[search]``: how the open places are filled, and what is looked for."""

    sampler: Literal["random", "grid", "tpe"] = "random"
    trials: Positive = 100
    metric: Metric = "val_accuracy"
    direction: Literal["maximize", "minimize"] = "maximize"
    seed: Seed = 0
    lag: Positive = 8
    pruner: Literal["none", "median", "hyperband"] = "none"
    min_epochs: Positive = 1
    reduction_factor: Annotated[int, Field(ge=2, le=2**31 - 1)] = 3
    enqueue: list[dict[str, Any]] = []

    @model_validator(mode="before")
    @classmethod
    def _direction_follows_metric(cls, table: Any) -> Any:
        if isinstance(table, dict) and "direction" not in table:
            metric = str(table.get("metric", ""))
            table = {**table, "direction": "minimize" if metric.endswith("loss") else "maximize"}
        return table

    @property
    def looks_back(self) -> bool:
        """Whether a trial depends on earlier ones, and so must wait for them."""
        return self.sampler == "tpe" or self.pruner != "none"


class TrackingConfig(_Section):
    """``[tracking]``: what MLflow is told beside the trials."""

    experiment: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    tags: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Range:
    """An interval; of whole numbers where ``low`` and ``high`` are."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    def ends(self) -> tuple[Value, ...]:
        """The values that must be valid for all between them to be."""
        return (self.low, self.high)

    def table(self) -> dict[str, Any]:
        """The range as a study file writes it."""
        table: dict[str, Any] = {"low": self.low, "high": self.high}
        if self.log:
            table["log"] = True
        if self.step is not None:
            table["step"] = self.step
        return table

    def __contains__(self, value: object) -> bool:
        whole = isinstance(self.low, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            return False
        if not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / (self.step or math.inf)
        return abs(steps - round(steps)) < 1e-8


@dataclass(frozen=True, slots=True)
class Choices:
    """A set of values without an order."""

    choices: tuple[Value, ...]

    def ends(self) -> tuple[Value, ...]:
        """Every choice."""
        return self.choices

    def table(self) -> dict[str, Any]:
        """The choices as a study file writes them."""
        return {"choices": list(self.choices)}

    def __contains__(self, value: object) -> bool:
        return any(_same(value, choice) for choice in self.choices)


Space = Mapping[str, Range | Choices]


@dataclass(frozen=True, slots=True)
class Study:
    """A valid study: what is fixed, what is open, and how it is searched."""

    name: str
    data: DataConfig
    fixed: Mapping[str, Mapping[str, Any]]
    """``network`` and ``training`` with the open places left out."""
    space: Space
    """What is open, by path, in the order of the paths."""
    search: SearchConfig
    tracking: TrackingConfig

    def resolve(self, params: Params, seed: int) -> TrialConfig:
        """Fill in the ranges.

        Args:
            params: A value for each path of ``space``.
            seed: The trial's seed; one that the study file itself names goes before it.
        """
        tables = {section: dict(self.fixed[section]) for section in SEARCHABLE}
        tables["training"].setdefault("seed", seed)
        for path, value in params.items():
            section, key = path.split(".")
            tables[section][key] = value
        return TrialConfig.model_validate({"data": self.data, **tables})

    def of_trial(self, number: int, config: TrialConfig) -> Study:
        """The study that consists of one trial alone: running it is reproducing the trial."""
        search = {"trials": 1, "metric": self.search.metric, "direction": self.search.direction}
        name = f"{self.name[:110]}-trial-{number}"
        return parse({"name": name, **plain(config), "search": search})

    def definition(self) -> dict[str, Any]:
        """The study with every default written out, as a study file would say it."""
        tables: dict[str, Any] = {}
        for section, model in (("network", NetworkConfig), ("training", TrainingConfig)):
            paths = {key: f"{section}.{key}" for key in model.model_fields}
            searched = {k: self.space[p].table() for k, p in paths.items() if p in self.space}
            table = {**self.fixed[section], **searched}
            tables[section] = {key: table[key] for key in paths if key in table}
        whole = {"name": self.name, "data": plain(self.data), **tables}
        whole |= {"search": plain(self.search), "tracking": plain(self.tracking)}
        return {key: value for key, value in whole.items() if value}

    def with_trials(self, trials: int) -> Study:
        """The same study with another budget."""
        return replace(self, search=self.search.model_copy(update={"trials": trials}))


def load(path: Path, overrides: Iterable[str] = (), name: str | None = None) -> Study:
    """Read and validate a study file.

    Args:
        path: A TOML file.
        overrides: ``path=value`` each, the value in TOML (or a bare word).
        name: A name in place of the file's.

    Raises:
        StudyFileError: In one line, what is wrong, where, and what to do.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise StudyFileError(f"{path}: no such study file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyFileError(f"{path}: cannot be read as text ({error})") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise StudyFileError(f"{path}: is not TOML: {error}") from None
    for override in overrides:
        _override(table, override)
    if name is not None:
        table["name"] = name
    try:
        return parse(table)
    except StudyFileError as error:
        raise StudyFileError(f"{path}: {error}") from None


def parse(table: Mapping[str, Any]) -> Study:
    """Validate the content of a study file.

    Raises:
        StudyFileError: If it is no valid study; the message names the key.
    """
    known = ["name", "data", "network", "training", "search", "tracking"]
    for key, section in table.items():
        if key not in known:
            raise StudyFileError(f"{key}: unknown key{_nearest(key, known)}")
        if key != "name" and not isinstance(section, dict):
            raise StudyFileError(f"{key}: must be a table, such as [{key}]")
    name = _name(table.get("name"))
    data = _section(DataConfig, table, "data")
    fixed, open_ = _divide(table)
    space = _space(data, fixed, open_)
    search = _section(SearchConfig, table, "search")
    tracking = _section(TrackingConfig, table, "tracking")
    points = [_point(space, index, raw) for index, raw in enumerate(search.enqueue)]
    trials = search.trials
    if search.sampler == "grid":
        if points:
            raise StudyFileError("search.enqueue: a grid visits every point; leave it out")
        trials = min(trials, _grid_size(space))
    search = search.model_copy(update={"enqueue": points, "trials": trials})
    sections = {section: MappingProxyType(fixed[section]) for section in SEARCHABLE}
    return Study(name, data, MappingProxyType(sections), MappingProxyType(space), search, tracking)


def differences(stored: Study, given: Study) -> list[str]:
    """What two studies say differently, a line each; the number of trials is not looked at."""
    old = dict(_flat(stored.with_trials(1).definition()))
    new = dict(_flat(given.with_trials(1).definition()))
    return [
        f"{path}: stored {_show(old.get(path))}, now {_show(new.get(path))}"
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]


def grid(path: str, open_: Range | Choices) -> list[Value]:
    """The values that a grid visits.

    Raises:
        StudyFileError: For a range of real numbers without ``step``.
    """
    if isinstance(open_, Choices):
        return list(open_.choices)
    step = open_.step or 1
    # Rounding may carry the last step a bit beyond the end.
    return [min(open_.low + index * step, open_.high) for index in range(_steps(path, open_))]


def toml(study: Study) -> str:
    """The study as a file that ``load`` reads back as the same, written as a person would."""
    lines: list[str] = []
    for key, value in study.definition().items():
        if isinstance(value, dict):
            lines += ["", f"[{key}]"]
            lines += [f"{_key(inner)} = {_inline(entry)}" for inner, entry in value.items()]
        else:
            lines.append(f"{key} = {_inline(value)}")
    return "\n".join(lines) + "\n"


def dumps(value: Any) -> str:
    """Canonical JSON: one spelling for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


# -- reading a study file, piece by piece


def _same(value: object, choice: object) -> bool:
    """Equal, and not just because true is 1 in Python."""
    return value == choice and isinstance(value, bool) == isinstance(choice, bool)


def _steps(path: str, open_: Range | Choices) -> int:
    """How many values a grid visits of one path."""
    if isinstance(open_, Choices):
        return len(open_.choices)
    step = open_.step or (1 if isinstance(open_.low, int) else None)
    if step is None or open_.log:
        raise StudyFileError(
            f"{path}: the grid sampler needs choices or a step; give `choices = [...]` or `step`"
        )
    return math.floor((open_.high - open_.low) / step + 1e-9) + 1


def _grid_size(space: Space) -> int:
    size = math.prod(_steps(path, open_) for path, open_ in space.items())
    if size > LARGEST_GRID:
        raise StudyFileError(
            f"search.sampler: the grid has {size} points, and {LARGEST_GRID} at most are visited; "
            f"take wider steps, or the random sampler"
        )
    return size


def _name(name: Any) -> str:
    if name is None:
        raise StudyFileError('name: is missing; add a line such as name = "mine" at the top')
    if not isinstance(name, str) or not name.strip():
        raise StudyFileError("name: must be a text that is not empty")
    if len(name) > 128:
        raise StudyFileError(f"name: has {len(name)} characters; 128 at most")
    if any(c in "/\\" or not c.isprintable() for c in name) or name != name.strip():
        raise StudyFileError(f"name: {name!r} may hold no slash, control character or outer space")
    return name


def _section(model: type[_AnySection], table: Mapping[str, Any], key: str) -> _AnySection:
    try:
        return model.model_validate(table.get(key, {}))
    except ValidationError as error:
        raise StudyFileError(_explain(error, (key,), model)) from None


def _divide(table: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Part ``[network]`` and ``[training]`` into what has a value and what is open."""
    fixed: dict[str, dict[str, Any]] = {section: {} for section in SEARCHABLE}
    open_: dict[str, Any] = {}
    for section in SEARCHABLE:
        for key, value in table.get(section, {}).items():
            if isinstance(value, dict) and "." not in key:
                open_[f"{section}.{key}"] = value
            else:
                fixed[section][key] = value
    return fixed, open_


def _space(
    data: DataConfig, fixed: dict[str, dict[str, Any]], tables: dict[str, Any]
) -> dict[str, Range | Choices]:
    """Validate what is open by putting each end in its place; fill ``fixed`` with defaults."""
    drafts = {path: _open(path, tables[path]) for path in sorted(tables)}
    middle = {path: draft.ends()[0] for path, draft in drafts.items()}
    base = _corner(data, fixed, middle)
    space: dict[str, Range | Choices] = {}
    for path, draft in drafts.items():
        section, key = path.split(".")
        ends = [
            getattr(getattr(_corner(data, fixed, {**middle, path: end}), section), key)
            for end in draft.ends()
        ]
        space[path] = _typed(path, draft, ends)
    for section in SEARCHABLE:
        whole = plain(getattr(base, section))
        fixed[section] = {k: v for k, v in whole.items() if f"{section}.{k}" not in space}
    return space


def _corner(
    data: DataConfig, fixed: dict[str, dict[str, Any]], ends: Mapping[str, Any]
) -> TrialConfig:
    tables = {section: dict(fixed[section]) for section in SEARCHABLE}
    for path, value in ends.items():
        section, key = path.split(".")
        tables[section][key] = value
    try:
        return TrialConfig.model_validate({"data": data, **tables})
    except ValidationError as error:
        raise StudyFileError(_explain(error, (), TrialConfig)) from None


def _open(path: str, table: dict[str, Any]) -> Range | Choices:
    known = ["low", "high", "log", "step", "choices"]
    for key in table:
        if key not in known:
            raise StudyFileError(f"{path}.{key}: unknown key{_nearest(key, known)}")
    if "choices" in table:
        choices = table["choices"]
        if len(table) > 1 or not isinstance(choices, list):
            raise StudyFileError(f"{path}: choices stand alone, as choices = [a, b]")
        if not choices:
            raise StudyFileError(f"{path}: choices is empty; give at least one")
        return Choices(tuple(choices))
    missing = [key for key in ("low", "high") if key not in table]
    if missing:
        raise StudyFileError(f"{path}: a range needs low and high ({missing[0]} is missing)")
    for key in ("low", "high", "step"):
        value = table.get(key, 1)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not -_LARGEST < value < _LARGEST:
            raise StudyFileError(f"{path}.{key}: must be a finite number, not {_show(value)}")
    if not isinstance(table.get("log", False), bool):
        raise StudyFileError(f"{path}.log: must be true or false")
    draft = Range(table["low"], table["high"], table.get("log", False), table.get("step"))
    if draft.low > draft.high:
        raise StudyFileError(f"{path}: low {draft.low} is above high {draft.high}; swap them")
    if draft.log and draft.low <= 0:
        raise StudyFileError(f"{path}: log needs low > 0, and low is {draft.low}")
    if draft.step is not None and (draft.step <= 0 or draft.log):
        raise StudyFileError(f"{path}: step must be above 0, and does not go with log")
    return draft


def _typed(path: str, draft: Range | Choices, ends: list[Any]) -> Range | Choices:
    """The range in the type of its place: whole numbers stay whole only where that is meant."""
    if isinstance(draft, Choices):
        if any(ends.count(end) > 1 for end in ends):
            raise StudyFileError(f"{path}: choices holds a value twice")
        return Choices(tuple(ends))
    low, high = ends
    step = draft.step
    if isinstance(low, int):
        if step is not None and step != int(step):
            raise StudyFileError(f"{path}: takes whole numbers, so step must be one")
        return Range(int(low), int(high), draft.log, None if step is None else int(step))
    return Range(float(low), float(high), draft.log, None if step is None else float(step))


def _point(space: Space, index: int, raw: dict[str, Any]) -> dict[str, Value]:
    """One point of ``enqueue``, its paths dotted (``{training = {lr = 1}}`` says the same)."""
    where = f"search.enqueue[{index}]"
    point = dict(_flat(raw))
    for path, value in point.items():
        if path not in space:
            hint = _nearest(path, list(space))
            raise StudyFileError(f"{where}: {path} is not searched{hint}")
        open_ = space[path]
        if value not in open_:
            raise StudyFileError(
                f"{where}: {path} = {_show(value)} is not in {_inline(open_.table())}"
            )
        if isinstance(open_, Choices):
            point[path] = next(choice for choice in open_.choices if _same(value, choice))
        elif isinstance(open_.low, float):
            point[path] = float(value)
    return point


def _override(table: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path.strip():
        raise StudyFileError(f"--set {override}: must be path=value, such as training.epochs=5")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    *sections, key = path.strip().split(".")
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise StudyFileError(f"--set {override}: {section} is no table in the study file")
    table[key] = value


# -- saying what is wrong


def _explain(error: ValidationError, prefix: tuple[str, ...], model: type[BaseModel]) -> str:
    """One of pydantic's complaints as one line: of a misspelt key rather than of a missing one."""
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    path = prefix + tuple(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{'.'.join(path)}: unknown key{_nearest(path[-1], _known(path, model, prefix))}"
    if first["type"] == "missing":
        return f"{'.'.join(path)}: is missing; add it to [{path[0]}]"
    place = ".".join(path[:2])
    said = [e["msg"] for e in error.errors() if (prefix + e["loc"])[:2] == path[:2]]
    message = " or ".join(dict.fromkeys(m[0].lower() + m[1:] for m in said))
    return f"{place}: {message} (it is {_show(first['input'])})"


def _known(path: tuple[str, ...], model: type[BaseModel], prefix: tuple[str, ...]) -> list[str]:
    for part in path[len(prefix) : -1]:
        annotation = model.model_fields[part].annotation
        inner = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type)]
        model = next(a for a in inner if issubclass(a, BaseModel))
    return list(model.model_fields)


def _nearest(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known are {', '.join(known)}" if known else "; nothing is searched"


def _show(value: Any) -> str:
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("-", "_").replace("_", "a").isalnum()
    return key if bare else _inline(key)


def _inline(value: Any) -> str:
    """A value in TOML, on one line."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(k)} = {_inline(v)}' for k, v in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return tomli_w.dumps({"_": value}).removeprefix("_ = ").rstrip("\n")


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def plain(model: _Section) -> dict[str, Any]:
    """The section's table, without what is not set and lists or tables that hold nothing."""
    table = model.model_dump(exclude_none=True)
    return {key: value for key, value in table.items() if value not in ([], {}) or key == "hidden"}
