"""When does a worker end before its study does?"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Limits:
    """What a scheduler grants a worker; None is no limit.

    A trial that is running when a limit is reached runs to its end.
    """

    trials: int | None = None
    """Trials to run."""
    seconds: float | None = None
    """After these, it takes no further trial."""
    idle: float | None = None
    """Seconds to wait for a trial while others run theirs."""

    def reached(self, trials: int, seconds: float) -> bool:
        """Whether a worker takes no further trial.

        Args:
            trials: How many it has run.
            seconds: Since when it has worked.
        """
        return (self.trials is not None and trials >= self.trials) or (
            self.seconds is not None and seconds >= self.seconds
        )

    def waited(self, seconds: float) -> bool:
        """Whether a worker that has had nothing to do for so long ends."""
        return self.idle is not None and seconds >= self.idle

    def after(self, seconds: float) -> Limits:
        """Those of a process that takes the place of one that died so long after the start."""
        if self.seconds is None:
            return self
        return replace(self, seconds=max(0.0, self.seconds - seconds))

    @property
    def options(self) -> tuple[str, ...]:
        """As options of ``hpsearch worker``."""
        named = {"trials": self.trials, "time": self.seconds}
        given = [f"--max-{name}={limit}" for name, limit in named.items() if limit is not None]
        return (*given, *([] if self.idle is None else [f"--idle-exit={self.idle}"]))


NONE = Limits()
