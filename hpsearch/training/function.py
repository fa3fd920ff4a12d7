"""How is a user's function a training? By a process that calls it, and is asked row by row."""

from __future__ import annotations

import math
import socket
import sys
import time
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from hpsearch.errors import UsageError
from hpsearch.ledger.records import weights_digest
from hpsearch.study.config import AnyTrial
from hpsearch.study.objective import ObjectiveConfig, ObjectiveTrial
from hpsearch.training.files import digests
from hpsearch.training.own import OwnTrainer, OwnTraining
from hpsearch.training.process import Processes
from hpsearch.training.seam import TrainingFailed
from hpsearch.training.wire import read, receive, send

_LOOK = 0.1  # seconds between two looks at whether to stop
_FAREWELL = 10.0  # seconds that a generator has to close
_LAST = 2.0  # seconds that a process has to end which nobody hears from any more


class FunctionTrainer(OwnTrainer):
    """Trains the trials of a study by its function, all in one process beside this one.

    Args:
        objective: The study's.
        folder: The study file's, which comes last on that process's path.
        ahead: Whether a training need not wait after each epoch to be told that it may go on,
            since nobody prunes.

    Raises:
        UsageError: If the function's files are not there, or it cannot be imported.
    """

    def __init__(self, objective: ObjectiveConfig, folder: Path, *, ahead: bool) -> None:
        self._ahead = ahead
        self.digests = digests(objective, folder)
        self._caller = Caller(str(objective.function), folder)
        try:
            self._caller.channel()
        except TrainingFailed as error:
            raise UsageError(f"objective.function: {objective.function}: {error}") from None
        self.packages = self._caller.packages

    def train(
        self, config: AnyTrial, number: int = 0, interrupted: Callable[[], bool] = lambda: False
    ) -> FunctionTraining:
        """Begin a training."""
        assert isinstance(config, ObjectiveTrial)
        return FunctionTraining(config, number, interrupted, self._caller, ahead=self._ahead)


class Caller:
    """The process that calls the function; one that died has a successor."""

    def __init__(self, function: str, folder: Path) -> None:
        self._function = function
        self._folder = folder
        self.processes = Processes()
        self._channel: socket.socket | None = None
        self.takes_trial = False
        """Whether the function has a third parameter."""
        self.packages: Collection[str] = ()
        """Those that its module has imported."""

    def channel(self) -> socket.socket:
        """The way to it, which is begun with.

        Raises:
            TrainingFailed: If it cannot import the function.
        """
        if self._channel is not None:
            return self._channel
        self._channel, theirs = socket.socketpair()
        weakref.finalize(self, self._channel.close)
        command = [sys.executable, "-P", "-m", "hpsearch.training.call"]
        with theirs:
            self.processes.start(
                [*command, str(self._folder), self._function], cwd=self._folder, channel=theirs
            )
        answer = self.hear(lambda: None)
        if "wrong" in answer:
            self.end()
            raise TrainingFailed(answer["wrong"])
        self.takes_trial, self.packages = answer["trial"], answer["packages"]
        return self._channel

    def hear(self, look: Callable[[], None]) -> Any:
        """What it says next.

        Args:
            look: Is called now and then, and raises what ends the waiting.

        Raises:
            TrainingFailed: If it died.
        """
        channel = self._channel
        assert channel is not None
        while not self.processes.wait(_LOOK, channel):
            look()
            if not self.processes.running and not self.processes.wait(0.0, channel):
                self._die()
        try:
            return receive(channel)
        except EOFError:
            self._die()

    def say(self, message: Mapping[str, Any]) -> None:
        """Tell it something."""
        try:
            send(self.channel(), message)
        except OSError:
            self._die()

    def read(self, length: int) -> bytes:
        """Bytes that it has announced."""
        try:
            return read(self.channel(), length)
        except EOFError:
            self._die()

    def end(self) -> None:
        """End the process, with all it has started."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self.processes.stop()

    def _die(self) -> NoReturn:
        deadline = time.monotonic() + _LAST
        while self.processes.running and time.monotonic() < deadline:
            self.processes.wait(_LOOK)
        how = "" if self.processes.running else self.processes.ended()
        self.end()
        raise TrainingFailed(
            f"the process of the function ended during the training: {how}"
            if how
            else "the process of the function closed its connection during the training"
        )


class FunctionTraining(OwnTraining):
    """One call of the function."""

    def __init__(
        self,
        config: ObjectiveTrial,
        number: int,
        interrupted: Callable[[], bool],
        caller: Caller,
        *,
        ahead: bool,
    ) -> None:
        super().__init__(config, number, interrupted, caller.processes)
        self._ahead = ahead
        self._caller = caller
        self._open = False  # a call has begun, and its process has not said that it is over
        self._asked = False  # it waits to be told whether to go on

    def _has_folder(self) -> bool:
        """Whether the function asks for it, by its third parameter."""
        self._caller.channel()
        return self._caller.takes_trial

    def _reported(self) -> Iterator[object]:
        caller = self._caller
        caller.say(
            {
                "params": dict(self._config.params),
                "seed": self._objective.seed,
                "number": self._number,
                "folder": str(self.folder) if caller.takes_trial else "",
                "ahead": self._ahead,
            }
        )
        self._open = True
        while True:
            try:
                answer = caller.hear(self._look)
            except _Interrupted:
                return
            if "row" in answer:
                self._asked = not self._ahead
                yield answer["row"]
                if self._asked:
                    self._asked = False
                    caller.say({"go": True})
                continue
            self._open = False
            if "failed" in answer:
                if answer["busy"]:  # its threads or processes would go on beside the next trial
                    caller.end()
                raise TrainingFailed(answer["failed"])
            self._take(answer["state"])
            if answer["outcomes"] is not None:
                dtype, number = answer["outcomes"]
                data = self._caller.read(number * np.dtype(dtype).itemsize)
                self._outcomes = np.frombuffer(data, dtype)
            return

    def _look(self) -> None:
        if self._interrupted():
            raise _Interrupted
        self._check_time()

    def _take(self, heads: list[tuple[str, str, list[int]]]) -> None:
        state = {}
        for name, dtype, shape in heads:
            data = self._caller.read(math.prod(shape) * np.dtype(dtype).itemsize)
            state[name] = np.frombuffer(data, dtype).reshape(shape)
        self.state = state
        self.sha256 = weights_digest(state) if state else None

    def _end(self) -> None:
        """Close the generator where it is; where it cannot be, its process ends."""
        if not self._open:
            return
        self._open = False
        self._deadline = min(self._deadline, time.monotonic() + _FAREWELL)
        try:
            if self._interrupted() or not self._asked:
                raise _Interrupted
            self._caller.say({"go": False})
            self._caller.hear(self._look)
        except (_Interrupted, TrainingFailed):
            self._caller.end()


class _Interrupted(Exception):
    """Nobody waits for the training any more."""
