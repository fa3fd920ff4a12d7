"""What does MLflow hold of a study of Optuna's own, one that hpsearch has not run?

All of it follows from Optuna's storage, so that every write can be repeated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch.ledger.records import State
from hpsearch.projections.run_content import (
    LEDGER,
    NUMBER,
    PARENT,
    SOURCE,
    STATE,
    STUDY,
    TAG,
    Content,
    Series,
    TrialRun,
    milliseconds,
    text,
    told,
)
from hpsearch.projections.summary import Summary

if TYPE_CHECKING:
    from datetime import datetime

    from optuna import Study
    from optuna.trial import FrozenTrial

REPORTED = "intermediate_value"
"""What a trial has reported is called, by step."""
_SHOWN = 20
"""Best trials of several objectives that are named, and parameters whose range is told."""
_ABOUT = (
    "A study of Optuna's, written by `hpsearch.track`. The run with the study's name says how "
    "it stands; each trial that has ended is a run below it. Tracking it again adds what lacks."
)


class OptunaContent(Content):
    """What the runs of one study of Optuna's are to hold.

    Args:
        study: The study.
        first: Its trial 0, which has begun: when that was tells the study from others of its name.
        experiment: The experiment of others that its runs belong to; None for one of its own.
    """

    def __init__(self, study: Study, first: FrozenTrial, experiment: str | None) -> None:
        super().__init__()
        assert first.datetime_start is not None
        several = len(study.directions) > 1
        plain = [f"value_{i}" for i in range(len(study.directions))] if several else ["value"]
        self._values = [_name(each) for each in study.metric_names or plain]
        # As it stands in the storage, without a time zone: it is the same for all who look.
        self._origin = first.datetime_start.isoformat()
        self.name = study.study_name
        self.experiment = experiment
        self.start = _moment(first.datetime_start)
        self.metric = self._values[0]
        self.maximize = study.directions[0].name == "MAXIMIZE"
        self.names = frozenset({REPORTED, *self._values})
        self.about = _ABOUT

    @property
    def identity(self) -> dict[str, str]:
        """Its name, when its first trial began, and whose it is."""
        return {STUDY: self.name, LEDGER: self._origin, SOURCE: "optuna"}

    def params(self) -> dict[str, str]:
        """None: the ranges of a study may change on its way, and params may not."""
        return {}

    def run(self, trial: FrozenTrial, parent: str | None = None) -> TrialRun:
        """What the run of a trial is to hold that has ended."""
        start = self.start if trial.datetime_start is None else _moment(trial.datetime_start)
        end = start if trial.datetime_complete is None else _moment(trial.datetime_complete)
        own = {NUMBER: str(trial.number), STATE: trial.state.name, PARENT: parent or ""}
        given = {_name(key): _text(value)[:TAG] for key, value in trial.user_attrs.items()}
        return TrialRun(
            number=trial.number,
            name=f"trial {trial.number}",
            state=State[trial.state.name],
            start=start,
            end=end,
            tags={**given, **self.common(), **own},
            params={
                _name(key): told(_plain(value), getattr(trial.distributions[key], "choices", ()))
                for key, value in trial.params.items()
            },
            shared={},
            series=self._series(trial),
        )

    def _series(self, trial: FrozenTrial) -> dict[str, Series]:
        steps = sorted(trial.intermediate_values)
        reported = [float(trial.intermediate_values[step]) for step in steps]
        found: dict[str, Series] = {REPORTED: (np.array(steps, np.int64), np.array(reported))}
        if trial.state.name == "COMPLETE":
            for name, value in zip(self._values, trial.values, strict=True):
                found[name] = (np.zeros(1, np.int64), np.array([value], np.float64))
        return found

    def summary(self, study: Study, trials: Sequence[FrozenTrial]) -> Summary:
        """What the study's own run is to say."""
        states = [trial.state.name for trial in trials]
        counts = {
            "complete": states.count("COMPLETE"),
            "pruned": states.count("PRUNED"),
            "failed": states.count("FAIL"),
        }
        ended = [trial.datetime_complete for trial in trials if trial.datetime_complete is not None]
        said = ", ".join(f"{count} {name}" for name, count in counts.items())
        lines = [f"{sum(counts.values())} trials of a study of Optuna's have finished: {said}."]
        metrics: dict[str, float] = dict(counts)
        best = study.best_trials if counts["complete"] else []
        if len(self._values) == 1 and best:
            lines.append(f"Best: trial {best[0].number}, {self._measured(best[0])}.")
            metrics["best_value"] = best[0].values[0]
        elif best:
            lines.append(f"No trial is better in all objectives than one of these {len(best)}:")
            lines += [f"- trial {each.number}: {self._measured(each)}" for each in best[:_SHOWN]]
        ranges = {name: d for trial in trials for name, d in trial.distributions.items()}
        lines += [f"- `{name}`: {ranges[name]}" for name in sorted(ranges)[:_SHOWN]]
        return Summary(
            status="FINISHED",
            end=milliseconds(max(ended).timestamp()) if ended else None,
            note="\n\n".join(lines)[:TAG],
            metrics=metrics,
            step=sum(counts.values()),
            reproduced=None,
            ended=None,
            definition=None,
            environments=(),
            above=None,
        )

    def _measured(self, trial: FrozenTrial) -> str:
        values = zip(self._values, trial.values, strict=True)
        tried = ", ".join(f"{name} = {_text(value)[:60]}" for name, value in trial.params.items())
        return ", ".join(f"{name} {value:.6g}" for name, value in values) + (
            f" ({tried})" if tried else ""
        )


def _moment(time: datetime) -> int:
    """A time of Optuna's, which is this machine's local one."""
    return milliseconds(time.timestamp())


def _plain(value: Any) -> Any:
    """A value that JSON can say; choices may be anything."""
    return value if isinstance(value, str | int | float | None) else repr(value)


def _text(value: Any) -> str:
    try:
        return text(value)
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def _name(given: str) -> str:
    """A name that MLflow takes: letters, digits and a few signs, and no path beside itself."""
    path = given.startswith("/") or {"", ".", ".."} & set(given.split("/"))
    taken = r"[^\w\-. :/]" if not path else r"[^\w\- :]"
    return re.sub(taken, lambda found: f"_{ord(found[0]):x}_", given, flags=re.ASCII) or "_"
