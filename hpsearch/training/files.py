"""Which files does a training of one's own belong to, and what are their digests?"""

from __future__ import annotations

import hashlib
from pathlib import Path

from hpsearch.errors import UsageError
from hpsearch.study.objective import LOCAL, ObjectiveConfig


def digests(objective: ObjectiveConfig, folder: Path) -> dict[str, str]:
    """SHA-256 of each file that ``files`` names, and of the function's own, by their names.

    Args:
        objective: What names them.
        folder: The study file's.

    Raises:
        UsageError: If a pattern matches nothing, or a file cannot be read.
    """
    found = set(_module(objective, folder))
    for pattern in objective.files:
        try:
            matching = [file for file in folder.glob(pattern) if file.is_file()]
        except (ValueError, NotImplementedError):
            raise UsageError(
                f"objective.files: {pattern!r} is not a pattern relative to the study file"
            ) from None
        if not matching:
            raise UsageError(f"objective.files: {pattern!r} matches no file in {folder}")
        found.update(matching)
    return {file.relative_to(folder).as_posix(): _digest(file) for file in sorted(found)}


def _module(objective: ObjectiveConfig, folder: Path) -> list[Path]:
    """The file of the function's module, if it is in the study's folder."""
    if objective.function is None or objective.function.startswith(LOCAL):
        return []
    place = folder.joinpath(*objective.function.partition(":")[0].split("."))
    candidates = (place.with_name(f"{place.name}.py"), place / "__init__.py")
    return [file for file in candidates if file.is_file()][:1]


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"objective.files: {file}: {error.strerror}") from error
