"""How is it said what the test part showed, and how often it was opened?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hpsearch.ledger.records import Opened, Opening
from hpsearch.report import views
from hpsearch.trust.selection import Estimate


def lines(openings: Sequence[Opening]) -> list[str]:
    """What the first opening showed, and how often there was one; nothing if there was none."""
    if not openings:
        return []
    said = [f"test part, {_times(len(openings))}: {_showed(openings[0])}"]
    if len(openings) > 1:
        said.append(f"the last time: {_showed(openings[-1])}")
        said.append("only the first look at a test part was at examples that nothing depended on")
    return said


def document(openings: Sequence[Opening]) -> list[dict[str, Any]]:
    """What ``test --json`` prints, and ``best --json`` as ``test``: an object for each opening."""
    return [
        {
            "study": one.study,
            "opened": views.iso(one.opened),
            "result": None if one.result is None else asdict(one.result),
        }
        for one in openings
    ]


def _times(number: int) -> str:
    return "opened once" if number == 1 else f"opened {number} times"


def _showed(opening: Opening) -> str:
    when = views.iso(opening.opened)[:16].replace("T", " ")
    if opening.result is None:
        return f"begun on {when} UTC, and not at its end"
    return f"{_result(opening.result)} ({when} UTC)"


def _result(result: Opened) -> str:
    name = "the baseline" if result.trial is None else f"trial {result.trial}"
    if result.value is None or result.low is None or result.high is None:
        return f"no value of {name}: {result.out}"
    estimate = views.estimate(Estimate(result.value, result.low, result.high))
    where = f"on {result.examples:,} examples, trained on {result.trained:,}"
    if result.networks is not None:
        many = "network" if result.networks == 1 else f"{result.networks} networks together"
        return f"{result.metric} {estimate} of the refit's {many} {where}"
    said = f"{result.metric} {estimate} of {name} {where} with {result.seeds} seeds"
    if result.baseline is not None:
        said += f"; the baseline comes to {views.value_(result.baseline, 3)}"
    if result.better is not None:
        said += f", and {name} is better with probability {views.chance(result.better)}"
    return said
