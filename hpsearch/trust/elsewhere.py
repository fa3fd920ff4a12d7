"""How is a trial trained again in a process that rounds as the recorded one did?

By the command ``hpsearch reproduce``, started with other environment variables. It trains only if
it then rounds alike; a CPU that cannot do what was recorded is found out by trying.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hpsearch import tied
from hpsearch.settings import Settings
from hpsearch.threads import ONE_THREAD


@dataclass(frozen=True, slots=True)
class Told:
    """What the other process said."""

    document: Mapping[str, Any]
    """As ``reproduce --json`` gives it."""
    state: Mapping[str, NDArray[Any]]
    """The trained arrays."""


def reproduce(
    places: Settings, name: str, number: int, variables: Mapping[str, str]
) -> Told | None:
    """Train a trial again in another process.

    Args:
        places: The workspace.
        name: The study.
        number: The trial.
        variables: Of the other process's environment.

    Returns:
        None if it does not round as the recorded one either, or came to nothing.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
        file = Path(folder) / "weights.safetensors"
        command = ["hpsearch", "reproduce", f"--trial={number}"]
        command += ["--json", "--tied", str(file), "--", name]
        environment = {
            **os.environ,
            **ONE_THREAD,
            **variables,
            "HPSEARCH_HOME": str(places.home),
            "HPSEARCH_STORAGE": places.storage,
        }
        process = tied.start(command, environment, stdout=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        with process, process.stdin:
            said = process.stdout.read()
        if process.returncode not in (0, 3):
            return None
        try:
            document = json.loads(said)
            state = load(file.read_bytes()) if file.exists() else {}
        except (OSError, ValueError, SafetensorError):
            return None
        return Told(document, state)
