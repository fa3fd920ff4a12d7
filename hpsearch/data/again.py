"""Where is a dataset here, of which only its digest and an old name are known?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from hpsearch.data.builtin import BUILT_IN
from hpsearch.data.datasets import load
from hpsearch.errors import DataError

MOST = 10_000
"""Files and folders that are looked at."""


def found(spec: str, digest: str, folder: Path, *, cache: Path, task: str) -> str | None:
    """The name by which the dataset can be loaded here.

    Its old name is tried first, and then files and folders of the same name below a folder. What
    the files hold decides: the digest is of that alone.

    Args:
        spec: The name that it had, such as ``csv:data/wine.csv#class``.
        digest: SHA-256 of the dataset.
        folder: Where to look.
        cache: A folder for parsed datasets.
        task: As in ``load``.
    """
    for candidate in _candidates(spec, folder):
        try:
            if load(candidate, cache=cache, task=task).digest == digest:
                return candidate
        except DataError:
            continue
    return None


def _candidates(spec: str, folder: Path) -> Iterator[str]:
    yield spec
    if spec in BUILT_IN:
        return
    kind, _, rest = spec.partition(":")
    path, hash_, label = rest.rpartition("#") if kind in ("csv", "parquet") else (rest, "", "")
    name = Path(path).name
    for there in islice(_below(folder), MOST):
        if there.name == name:
            yield f"{kind}:{there}{hash_}{label}"


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(entry for entry in folders if not entry.startswith("."))
        for entry in [*folders, *sorted(files)]:
            yield Path(place, entry)
