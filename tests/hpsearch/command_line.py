"""The command line as tests see it: how a command ended, and what it said."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hpsearch.study.config import Study


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on standard output."""
        return json.loads(self.out)


Call = Callable[..., Outcome]
Write = Callable[[Study], str]


def one_line(outcome: Outcome | subprocess.CompletedProcess[str]) -> str:
    """The one line on standard error, when nothing is on standard output."""
    out = outcome.out if isinstance(outcome, Outcome) else outcome.stdout
    err = outcome.err if isinstance(outcome, Outcome) else outcome.stderr
    assert (out, len(err.splitlines())) == ("", 1), err
    return err.removesuffix("\n")
