"""Whose turn is it to be trained again? In parts, so that all trials get theirs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from uuid import uuid4

import numpy as np


@dataclass(frozen=True, slots=True)
class Turns:
    """A round in which every trial has its turn once.

    Args:
        file: Keeps who has had it; without the file a new round begins.
        numbers: The trials that can be trained again.
        seed: Of the order.
    """

    file: Path
    numbers: Sequence[int]
    seed: int

    def next(self, share: Fraction) -> list[int]:
        """The next share of the trials; the last of a round may be fewer."""
        had = set(self._had())
        waiting = [number for number in self._order() if number not in had]
        return sorted((waiting or self._order())[: math.ceil(len(self.numbers) * share)])

    def mark(self, numbers: Iterable[int]) -> int:
        """Note that these have had their turn. Returns how many have, in this round."""
        had = {*self._had(), *numbers}
        if not set(self.numbers) - set(self._had()):
            had = set(numbers)
        with suppress(OSError):  # a cache; without it the same trials come again
            self.file.parent.mkdir(parents=True, exist_ok=True)
            draft = self.file.with_name(f"{self.file.name}.{uuid4().hex}")
            draft.write_text(json.dumps(sorted(had)))
            draft.replace(self.file)
        return len(had)

    def _order(self) -> list[int]:
        drawn: list[int] = np.random.default_rng(self.seed).permutation(self.numbers).tolist()
        return drawn

    def _had(self) -> list[int]:
        try:
            found = json.loads(self.file.read_text())
        except (OSError, ValueError, RecursionError):
            return []
        return [n for n in self.numbers if n in found] if isinstance(found, list) else []
