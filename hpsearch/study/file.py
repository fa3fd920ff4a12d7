"""What does a study file say, and what is wrong with it?

A study is valid when every end of every range, put in its place, makes a valid trial.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from hpsearch.errors import StudyFileError
from hpsearch.study import budgets, folds, rounds, search_keys, source
from hpsearch.study.conditions import checked, grid_size
from hpsearch.study.config import (
    SEARCHABLE,
    Choices,
    ComputeConfig,
    DataConfig,
    Range,
    SearchConfig,
    Space,
    Study,
    TrackingConfig,
    TrialConfig,
    Value,
    flat,
    plain,
)
from hpsearch.study.given import ConfirmConfig, GivenConfig
from hpsearch.study.given import read as read_given
from hpsearch.study.layers import PARTS as LAYERS
from hpsearch.study.layers import by_layers, listed, value_of
from hpsearch.study.objective import ObjectiveConfig
from hpsearch.study.objective_file import objective as read_objective
from hpsearch.study.objective_file import params as read_params
from hpsearch.study.objective_file import ranked_by
from hpsearch.study.placeholders import check_command
from hpsearch.study.points import checked_given, read_full_point, read_point
from hpsearch.study.ranges import open_place, typed
from hpsearch.study.spelling import inline as inline
from hpsearch.study.spelling import spelt
from hpsearch.study.words import explain, nearest, read_section, show
from hpsearch.text import short


def load(path: Path, overrides: Iterable[str] = (), name: str | None = None) -> Study:
    """Read and validate a study file.

    Args:
        path: A TOML file.
        overrides: ``path=value`` each, the value in TOML (or a bare word).
        name: A name in place of the file's.

    Raises:
        StudyFileError: In one line, what is wrong, where, and what to do.
    """
    table = source.read(path)
    given = copy.deepcopy(table)
    try:
        table = rounds.settled(table)
        _change(table, overrides, name)
        return parse(table)
    except StudyFileError as error:
        where = _COMMAND_LINE if _valid(given) else f"{short(str(path), 300)}: "
        raise StudyFileError(f"{where}{error}") from None


def changed(study: Study, overrides: Iterable[str] = (), name: str | None = None) -> Study:
    """A study that is at hand without its file, changed as ``load`` changes one.

    Raises:
        StudyFileError: In one line, what is wrong, where, and what to do.
    """
    table = tomllib.loads(toml(study))
    _change(table, overrides, name)
    try:
        return parse(table)
    except StudyFileError as error:
        raise StudyFileError(f"{_COMMAND_LINE}{error}") from None


_COMMAND_LINE = "the command line: "
"""What is to blame for a study that is valid without what was said there."""


def _change(table: dict[str, Any], overrides: Iterable[str], name: str | None) -> None:
    for change in overrides:
        source.override(table, change)
    if name is not None:
        table["name"] = name


def _valid(table: Mapping[str, Any]) -> bool:
    try:
        parse(table)
    except StudyFileError:
        return False
    return True


def parse(table: Mapping[str, Any]) -> Study:
    """Validate the content of a study file.

    Raises:
        StudyFileError: If it is no valid study; the message names the key.
    """
    known = ["name", "data", "network", "training", "objective", "params", "search", "tracking"]
    known += ["compute", "given", "confirm"]
    for key, section in table.items():
        if key not in known:
            raise StudyFileError(f"{short(key)}: unknown key{nearest(key, known)}")
        if key != "name" and not isinstance(section, dict):
            raise StudyFileError(f"{short(key)}: must be a table, such as [{short(key)}]")
    given = read_given(table)
    name = _name(table.get("name"), given)
    table = rounds.settled(table)
    if "params" in table and "objective" not in table:
        raise StudyFileError(
            "params: requires [objective]; put a network's ranges in [network] and [training]"
        )
    data: DataConfig | None = None
    objective: ObjectiveConfig | None = None
    by_round: list[int] | None = None
    if "objective" in table:
        objective = read_objective(table)
        fixed, space = read_params(table.get("params", {}))
        space = checked(space)
        searched = {path.removeprefix("params."): open_ for path, open_ in space.items()}
        sometimes = [name for name, open_ in searched.items() if open_.when]
        check_command(objective, {*fixed["params"], *searched}, sometimes)
        search = read_section(SearchConfig, ranked_by(table, objective), "search")
    else:
        data = read_section(DataConfig, table, "data")
        fixed, open_ = _divide(table)
        by_round = rounds.epochs_of(table, len(table.get("search", {}).get("rounds", [])))
        if by_round is not None:
            del fixed["training"]["epochs"]
            open_[rounds.EPOCHS] = {"choices": sorted(set(by_round))}
        space = _space(data, fixed, open_)
        _require_batches_to_normalize(data, fixed, space)
        _require_what_is_reported(data, fixed, space)
        folds.check(data, fixed["training"], space)
        if data.task == "regression":
            table = {**table, "search": {"metric": "val_r2", **table.get("search", {})}}
        search = read_section(SearchConfig, table, "search")
    tracking = read_section(TrackingConfig, table, "tracking")
    compute = read_section(ComputeConfig, table, "compute")
    other = None if compute == ComputeConfig() else compute
    search_keys.check(search)
    search_keys.check_space(search, space)
    rounds.check(space, search, by_round)
    points = [
        read_point(space, f"search.enqueue[{index}]", raw)
        for index, raw in enumerate(search.enqueue)
    ]
    trials = search.trials
    if given is not None:
        given = checked_given(space, given)
        trials = min(trials, given.trials) if "trials" in table["search"] else given.trials
    if search.history and search.sampler not in ("tpe", "gp"):
        raise StudyFileError(
            f'search.history: the {search.sampler} sampler looks at no trials; set sampler = "tpe"'
        )
    earlier = [
        one.model_copy(
            update={"values": read_full_point(space, f"search.history[{index}].values", one.values)}
        )
        for index, one in enumerate(search.history)
    ]
    if search.sampler == "grid":
        if points:
            raise StudyFileError("search.enqueue: a grid includes every point; remove it")
        trials = min(trials, grid_size(space))
    limits = rounds.limits(search.limits, space)
    found = {"enqueue": points, "history": earlier, "trials": trials, "limits": limits}
    search = search.model_copy(update=found)
    sections = MappingProxyType({key: MappingProxyType(entry) for key, entry in fixed.items()})
    open_places = MappingProxyType(space)
    confirm = _confirm(table, space)
    study = Study(
        name, data, sections, open_places, search, tracking, objective, given, confirm, other
    )
    if by_round is not None:
        study = replace(study, epochs_by_round=tuple(by_round))
    rounds.check_limits(study)
    budgets.check(study)
    if study.points is not None:
        study = study.with_trials(min(trials, max(study.points, len(points))))
    if given is not None and (study.seed is not None or "training.seed" in space):
        raise StudyFileError("given: has seeds of its own; remove the other seed")
    search_keys.check_metrics(study)
    if search.pruner == "wilcoxon" and study.folds < 3:
        raise StudyFileError(
            "search.pruner: wilcoxon compares trials fold by fold; set `folds` in [data], or "
            "`repeats`, to 3 or more"
        )
    if search.pruner != "none" and study.epochs is None and study.folds == 1:
        raise StudyFileError(
            f"search.pruner: {search.pruner} needs the maximum number of epochs; set "
            f"`epochs = …` in [objective]"
        )
    return study


def differences(stored: Study, given: Study) -> list[str]:
    """What two studies say differently, a line each; how many trials they have is not looked at.

    Nor is ``[confirm]``, which says nothing of a trial; nor the scaling, where one of them leaves
    it to the data: their digests tell what it became.
    """
    both = [study.data for study in (stored, given) if study.data is not None]
    if len(both) == 2 and None in [data.scaling for data in both]:
        stored, given = stored.with_scaling("none"), given.with_scaling("none")
    both_now = [
        replace(study, search=budgets.without(study.with_trials(1).search), confirm=None)
        for study in (stored, given)
    ]
    old, new = (dict(flat(study.definition())) for study in both_now)
    return [
        f"{path}: stored {show(old.get(path))}, now {show(new.get(path))}"
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]


def toml(study: Study) -> str:
    """The study as a file that ``load`` reads back as the same, written as a person would."""
    lines: list[str] = []
    for key, value in study.definition().items():
        if isinstance(value, dict):
            lines += ["", f"[{key}]"]
            lines += [f"{spelt(inner)} = {inline(entry)}" for inner, entry in value.items()]
        else:
            lines.append(f"{key} = {inline(value)}")
    return "\n".join(lines) + "\n"


# -- reading, piece by piece


def _name(name: Any, given: GivenConfig | None) -> str:
    if name is None:
        raise StudyFileError('name: is missing; add a line such as name = "mine" at the top')
    if not isinstance(name, str) or not name.strip():
        raise StudyFileError("name: must be text, and not empty")
    if len(name) > 128:
        raise StudyFileError(f"name: has {len(name)} characters; the maximum is 128")
    if given is not None:
        _name(given.study, None)
        if name != given.name:
            raise StudyFileError(f"name: must be {given.name!r}, of the study in [given]")
        return name
    if any(c in "/\\" or not c.isprintable() for c in name) or name != name.strip():
        raise StudyFileError(
            f"name: {name!r} has a slash, a control character or a space at an end"
        )
    return name


def _divide(table: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Part ``[network]`` and ``[training]`` into what has a value and what is open."""
    fixed: dict[str, dict[str, Any]] = {section: {} for section in SEARCHABLE}
    open_: dict[str, Any] = {}
    for section in SEARCHABLE:
        entries = dict(table.get(section, {}))
        if section == "network":
            entries = by_layers(entries)
        for key, value in entries.items():
            if isinstance(value, dict) and ("." not in key or key in LAYERS):
                open_[f"{section}.{key}"] = value
            else:
                fixed[section][key] = value
    return fixed, open_


def _space(
    data: DataConfig, fixed: dict[str, dict[str, Any]], tables: dict[str, Any]
) -> dict[str, Range | Choices]:
    """Validate what is open by putting each end in its place; fill ``fixed`` with defaults."""
    drafts = {path: open_place(path, tables[path]) for path in sorted(tables)}
    middle = {path: draft.ends()[0] for path, draft in drafts.items()}
    base = _corner(data, fixed, middle)
    space: dict[str, Range | Choices] = {}
    for path, draft in drafts.items():
        section, key = path.split(".", 1)
        ends = [
            value_of(getattr(_corner(data, fixed, {**middle, path: end}), section), key)
            for end in draft.ends()
        ]
        space[path] = typed(path, draft, ends)
        table = type(getattr(base, section))
        if draft.when and table.model_fields[key.partition(".")[0]].is_required():
            raise StudyFileError(f"{path}.when: every trial needs {path}; leave `when` out")
    for section in SEARCHABLE:
        whole = plain(getattr(base, section))
        if any(f"network.{key}" in space for key in LAYERS) and section == "network":
            del whole["hidden"]
            whole = {key: value_of(base.network, key) for key in LAYERS} | whole
        fixed[section] = {k: v for k, v in whole.items() if f"{section}.{k}" not in space}
    return checked(space)


def _require_batches_to_normalize(
    data: DataConfig, fixed: Mapping[str, Mapping[str, Any]], space: Space
) -> None:
    """One example is its own mean: batch normalization would make the same of any."""

    def ends(section: str, key: str) -> tuple[Value, ...]:
        open_ = space.get(f"{section}.{key}")
        return (fixed[section][key],) if open_ is None else open_.ends()

    if not any(ends("network", "batch_norm")):
        return
    needs = "network.batch_norm needs batches of at least 2 examples"
    if 1 in ends("training", "batch_size"):
        raise StudyFileError(f"training.batch_size: can be 1, but {needs}")
    part = data.validation
    trained = data.train - (round(data.train * part) if isinstance(part, float) else 0)
    if trained < 2:
        raise StudyFileError(f"data.train: leaves {trained} training examples, and {needs}")


def _require_what_is_reported(
    data: DataConfig, fixed: Mapping[str, Mapping[str, Any]], space: Space
) -> None:
    for key, kind in (("report", "a list"), ("measure", "a value")):
        if f"training.{key}" in space:
            raise StudyFileError(f"training.{key}: must be the same for all trials; write {kind}")
    report = fixed["training"].get("report", ())
    if len(set(report)) < len(report):
        raise StudyFileError("training.report: must list each name only once")
    if data.task == "regression" and "f1" in report:
        raise StudyFileError(
            "training.report: only a classification has an F1; remove it from this regression"
        )


def _corner(
    data: DataConfig, fixed: dict[str, dict[str, Any]], ends: Mapping[str, Any]
) -> TrialConfig:
    tables = {section: dict(fixed[section]) for section in SEARCHABLE}
    for path, value in ends.items():
        section, key = path.split(".", 1)
        tables[section][key] = value
    tables["network"] = listed(tables["network"])
    try:
        return TrialConfig.model_validate({"data": data, **tables})
    except ValidationError as error:
        raise StudyFileError(explain(error, (), TrialConfig)) from None


def _confirm(table: Mapping[str, Any], space: Space) -> ConfirmConfig | None:
    if "confirm" not in table:
        return None
    given = read_section(ConfirmConfig, table, "confirm")
    point = read_point(space, "confirm.baseline", given.baseline)
    return given.model_copy(update={"baseline": point})
