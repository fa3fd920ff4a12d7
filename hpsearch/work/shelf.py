"""Where does a paused training wait for the trial that continues it?

In a file of the workspace, which is never truth: where it is not there, for the trial was paused on
another host or somebody has deleted it, the training is done again from its start, to the same
bits. It is only taken where it is whole, and where the environment is the one that it was made in.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from hpsearch.ledger.records import StudyRecord
from hpsearch.settings import Settings
from hpsearch.training.seam import Row, Training


@dataclass(frozen=True, slots=True)
class Shelf:
    """The paused trainings of one study."""

    folder: Path
    environment: str = ""
    """Digest of the one that they were trained in."""

    def of(self, environment: str) -> Shelf:
        """Those that were trained in this environment."""
        return replace(self, environment=environment)

    def keep(self, training: Training, number: int) -> None:
        """Keep where a trial's training stands, if it can say that."""
        from safetensors.numpy import save

        from hpsearch.training.pausing import paused

        state = paused(training)
        if state is None:
            return
        content = save(state)
        with suppress(OSError):  # a disk that is full takes time, and no bits
            self.folder.mkdir(parents=True, exist_ok=True)
            file = self._file(number)
            draft = file.with_name(f"{file.name}.{uuid4().hex}")
            draft.write_bytes(hashlib.sha256(content).digest() + content)
            draft.replace(file)

    def resumed(self, training: Training, number: int) -> Sequence[Row]:
        """Let a new training go on from where that of a trial stood.

        Returns:
            The epochs until then; none where it is not known, and the training begins anew.
        """
        from safetensors.numpy import load

        from hpsearch.training.pausing import resume

        try:
            found = self._file(number).read_bytes()
        except OSError:
            return []
        digest, content = found[:32], found[32:]
        if hashlib.sha256(content).digest() != digest:
            return []
        return resume(training, load(content))

    def clear(self, number: int) -> None:
        """Forget a trial: it has been continued."""
        with suppress(OSError):
            self._file(number).unlink(missing_ok=True)

    def empty(self) -> None:
        """Forget all of them."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, number: int) -> Path:
        return self.folder / f"{number}-{self.environment[:16]}"


def shelf(places: Settings, record: StudyRecord) -> Shelf:
    """Where the paused trainings of a study are kept in a workspace."""
    return Shelf(places.paused / record.incarnation)
