"""What are the trials of a study that chooses none? Configurations of another study, each with
several seeds: to confirm that study's best ones, to train them on all the data, or to open its test
part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from hpsearch.errors import StudyFileError
from hpsearch.study.section import Count, Params, Positive, Section, Seed
from hpsearch.study.words import read_section


class ConfirmConfig(Section):
    """``[confirm]``: what a confirmation of this study compares its best trials with."""

    baseline: dict[str, Any] = Field(default_factory=dict)
    """Values by path; of all that is not named, the middle of its range."""


class Configuration(Section):
    """One of the configurations."""

    trial: Count | None = None
    """Its trial in the other study; None of the baseline."""
    values: dict[str, Any]
    """Of all that the other study leaves open, by path."""


class GivenConfig(Section):
    """``[given]``: the trials, seed by seed, and for each seed all configurations in order.

    Where both parts are trained on, each configuration has one seed, its own.
    """

    study: str
    """The name of the other study."""
    part: Literal["validation", "both", "test"] = "validation"
    """What the trainings are scored on: both is the training and the validation part, on which they
    are trained, too."""
    opening: Positive = 1
    """How often the test part was opened, this time included."""
    configurations: Annotated[list[Configuration], Field(min_length=1, max_length=1000)]
    seeds: Annotated[list[Seed], Field(min_length=1, max_length=1000)]
    draws: list[Positive] | None = None
    """For each seed, which other draw of the training and validation part it sees."""

    @property
    def name(self) -> str:
        """What a study of these trials is called."""
        if self.part != "test":
            return f"{self.study}/{'confirm' if self.part == 'validation' else 'refit'}"
        return f"{self.study}/test" if self.opening == 1 else f"{self.study}/test-{self.opening}"

    @property
    def trials(self) -> int:
        """How many there are."""
        return len(self.configurations) * (1 if self.part == "both" else len(self.seeds))

    def cell(self, number: int) -> tuple[int, int]:
        """Which configuration a trial has, and which seed: their places."""
        if self.part == "both":
            return number, number
        seed, configuration = divmod(number, len(self.configurations))
        return configuration, seed

    def values(self, number: int) -> Params:
        """The values of a trial."""
        return self.configurations[self.cell(number)[0]].values

    def seed(self, number: int) -> int:
        """The seed of a trial's training."""
        return self.seeds[self.cell(number)[1]]

    def draw(self, seed: int) -> int | None:
        """Which other draw the trainings with this seed see; None if it is the study's own."""
        return self.draws[self.seeds.index(seed)] if self.draws and seed in self.seeds else None


def read(table: Mapping[str, Any]) -> GivenConfig | None:
    """The table ``[given]``, if there is one; its configurations are looked at by ``file``.

    Raises:
        StudyFileError: If it is wrong, or does not go with ``[search]``.
    """
    chosen = table.get("search", {}).get("sampler") == "given"
    if "given" not in table:
        if chosen:
            raise StudyFileError('search.sampler: "given" needs a table [given]')
        return None
    given = read_section(GivenConfig, table, "given")
    if not chosen:
        raise StudyFileError('search.sampler: must be "given" in a study with a table [given]')
    if table["search"].get("pruner", "none") != "none" or table["search"].get("enqueue"):
        raise StudyFileError("search: a study with a table [given] has no pruner and no enqueue")
    if len(set(given.seeds)) < len(given.seeds):
        raise StudyFileError("given.seeds: must be different from each other")
    if given.part == "both" and len(given.seeds) != len(given.configurations):
        raise StudyFileError("given.seeds: must be as many as given.configurations")
    if given.draws is not None and len(given.draws) != len(given.seeds):
        raise StudyFileError("given.draws: must be as many as given.seeds")
    if "objective" in table and (given.draws is not None or given.part != "validation"):
        raise StudyFileError("given: only a study with [data] has parts to draw, join or open")
    return given
