"""What does a study file say, and what is wrong with it?

A study is valid when every end of every range, put in its place, makes a valid trial.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_args

import tomli_w
from pydantic import BaseModel, ValidationError

from hpsearch.errors import StudyFileError
from hpsearch.study.config import (
    LARGEST,
    MOST_STEPS,
    SEARCHABLE,
    Choices,
    DataConfig,
    Range,
    SearchConfig,
    Section,
    Space,
    Study,
    TrackingConfig,
    TrialConfig,
    Value,
    flat,
    grid_size,
    plain,
    same,
)

_AnySection = TypeVar("_AnySection", bound=Section)


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
    _require_batches_to_normalize(data, fixed, space)
    search = _section(SearchConfig, table, "search")
    tracking = _section(TrackingConfig, table, "tracking")
    points = [_point(space, index, raw) for index, raw in enumerate(search.enqueue)]
    trials = search.trials
    if search.sampler == "grid":
        if points:
            raise StudyFileError("search.enqueue: a grid visits every point; leave it out")
        trials = min(trials, grid_size(space))
    search = search.model_copy(update={"enqueue": points, "trials": trials})
    sections = {section: MappingProxyType(fixed[section]) for section in SEARCHABLE}
    study = Study(name, data, MappingProxyType(sections), MappingProxyType(space), search, tracking)
    if search.metric not in study.metrics:
        raise StudyFileError(
            f"search.metric: {_show(search.metric)} is not reported"
            f"{_nearest(search.metric, list(study.metrics))}"
        )
    return study


def differences(stored: Study, given: Study) -> list[str]:
    """What two studies say differently, a line each; the number of trials is not looked at.

    Nor is the scaling, where one of them leaves it to the data: their digests tell what it became.
    """
    if None in (stored.data.scaling, given.data.scaling):
        stored, given = stored.with_scaling("none"), given.with_scaling("none")
    old = dict(flat(stored.with_trials(1).definition()))
    new = dict(flat(given.with_trials(1).definition()))
    return [
        f"{path}: stored {_show(old.get(path))}, now {_show(new.get(path))}"
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]


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


# -- reading, piece by piece


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


def _require_batches_to_normalize(
    data: DataConfig, fixed: Mapping[str, Mapping[str, Any]], space: Space
) -> None:
    """One example is its own mean: batch normalization would make the same of any."""

    def ends(section: str, key: str) -> tuple[Value, ...]:
        open_ = space.get(f"{section}.{key}")
        return (fixed[section][key],) if open_ is None else open_.ends()

    if not any(ends("network", "batch_norm")):
        return
    needs = "network.batch_norm needs batches of 2 examples or more"
    if 1 in ends("training", "batch_size"):
        raise StudyFileError(f"training.batch_size: may be 1, and {needs}")
    part = data.validation
    trained = data.train - (round(data.train * part) if isinstance(part, float) else 0)
    if trained < 2:
        raise StudyFileError(f"data.train: leaves {trained} to train on, and {needs}")


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
        if not number or not -LARGEST < value < LARGEST:
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
    if draft.step is not None:
        steps = (Decimal(draft.high) - Decimal(draft.low)) / Decimal(draft.step)
        if steps > MOST_STEPS:
            raise StudyFileError(
                f"{path}.step: {draft.step} makes {steps:.3g} steps from {draft.low} to "
                f"{draft.high}; take a wider one, or leave it out"
            )
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
    point = dict(flat(raw))
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
            point[path] = next(choice for choice in open_.choices if same(value, choice))
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


# -- writing


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
