"""How is a command a training? It appends a line of JSON an epoch to a file."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tomli_w

from hpsearch.errors import UsageError
from hpsearch.study.config import AnyTrial
from hpsearch.study.objective import ObjectiveConfig, ObjectiveTrial, nested
from hpsearch.study.placeholders import filled
from hpsearch.training.files import digests
from hpsearch.training.own import OwnTrainer, OwnTraining, short
from hpsearch.training.process import Processes
from hpsearch.training.seam import TrainingFailed

_SHORTEST, _LONGEST = 0.005, 0.1  # seconds between two looks at what was reported


class CommandTrainer(OwnTrainer):
    """Trains the trials of a study by its command.

    Args:
        objective: The study's.
        folder: Where the command runs, and its files are.

    Raises:
        UsageError: If the command or its files are not there.
    """

    def __init__(self, objective: ObjectiveConfig, folder: Path) -> None:
        self._folder = folder
        self._processes = Processes()
        self.digests = digests(objective, folder)
        program = (objective.command or [""])[0]
        if "{" not in program and not _found(program, folder):
            raise UsageError(
                f"objective.command: {program}: no such program in {folder} or on PATH"
            )

    def train(
        self, config: AnyTrial, number: int = 0, interrupted: Callable[[], bool] = lambda: False
    ) -> CommandTraining:
        """Begin a training."""
        assert isinstance(config, ObjectiveTrial)
        return CommandTraining(config, number, interrupted, self._processes, self._folder)


class CommandTraining(OwnTraining):
    """One run of the command."""

    def __init__(
        self,
        config: ObjectiveTrial,
        number: int,
        interrupted: Callable[[], bool],
        processes: Processes,
        home: Path,
    ) -> None:
        super().__init__(config, number, interrupted, processes)
        self._processes = processes
        self._home = home

    def _reported(self) -> Iterator[object]:
        report = self.folder.parent / "report.jsonl"
        report.touch()
        self._processes.start(
            self._command(),
            cwd=self._home,
            scratch=self._scratch,
            variables={
                "HPSEARCH_SEED": str(self._objective.seed),
                "HPSEARCH_FOLDER": str(self.folder),
                "HPSEARCH_REPORT": str(report),
            },
        )
        with report.open("rb") as stream:
            pause, torn = _SHORTEST, b""
            while self._processes.running:
                self._processes.wait(pause)
                *lines, torn = (torn + stream.read()).split(b"\n")
                yield from map(_parsed, filter(bytes.strip, lines))
                if self._interrupted():
                    return
                self._check_time()
                pause = _SHORTEST if lines else min(2 * pause, _LONGEST)
            rest = torn + stream.read()
        yield from map(_parsed, filter(bytes.strip, rest.split(b"\n")))
        if self._processes.code != 0:
            last = self._processes.log.decode(errors="replace").strip().splitlines()[-1:]
            said = f": {short(last[0])}" if last else ""
            raise TrainingFailed(f"{self._processes.ended()}{said}")
        self.sha256 = self._outputs()

    def _end(self) -> None:
        self._processes.stop()

    def _command(self) -> list[str]:
        objective, params = self._objective, dict(self._config.params)
        scratch = self.folder.parent
        if any("{config" in argument for argument in objective.command or ()):
            table = {"seed": objective.seed, "number": self._number, "params": nested(params)}
            (scratch / "config.toml").write_text(tomli_w.dumps(table), encoding="utf-8")
            (scratch / "config.json").write_text(json.dumps(table), encoding="utf-8")
        values = {f"params.{name}": value for name, value in params.items()} | {
            "seed": objective.seed,
            "number": self._number,
            "folder": str(self.folder),
            "config": str(scratch / "config.toml"),
            "config.json": str(scratch / "config.json"),
        }
        return [filled(argument, values) for argument in objective.command or ()]

    def _outputs(self) -> str | None:
        """SHA-256 over name and content of each output, in the order of the names."""
        total = hashlib.sha256()
        for name in sorted(self._objective.outputs):
            file = self.folder / name
            if not file.is_file():
                raise TrainingFailed(f"its output {name} is not in its folder")
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            total.update(f"{name}\0{digest}\0".encode())
        return total.hexdigest() if self._objective.outputs else None


def _parsed(line: bytes) -> object:
    try:
        pairs: object = json.loads(line, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        what = f"; {error}" if isinstance(error, _Twice) else ", which is no JSON"
        raise TrainingFailed(f"reported {short(line.decode(errors='replace'))}{what}") from None
    return pairs


class _Twice(ValueError):
    pass


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name in found if sum(name == other for other, _ in pairs) > 1)
        raise _Twice(f"{twice} stands there twice")
    return found


def _found(program: str, folder: Path) -> bool:
    place = str(folder / program) if "/" in program else program
    return shutil.which(place) is not None
