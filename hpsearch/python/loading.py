"""Where does Python find a study? In a file, or in the store."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hpsearch.python.spaces import plain
from hpsearch.python.study import Study
from hpsearch.study import file


def load(
    study: str | os.PathLike[str], overrides: Mapping[str, Any] | None = None, **tables: Any
) -> Study:
    """Read a study file, or a study in the store of which there is no file.

        >>> hpsearch.load("book", {"training.epochs": 5}, name="mine")
        hpsearch.Study('mine')
        >>> hpsearch.load("book", training={"lr": hpsearch.Float(1e-4, 1e-2, log=True)})
        hpsearch.Study('book')

    Args:
        study: The file, or the name of one in ``studies/`` or of a study in the store.
        overrides: Other values, by their paths.
        tables: Other values, by a table's name; ``name`` is the study's.

    Raises:
        StudyFileError: If there is no such file, or it is no valid study.
    """
    from hpsearch.commands.wiring import find, find_stored

    changes = {**dict(_flat(plain(overrides or {}))), **dict(_flat(plain(tables)))}
    lines = [f"{key}={file.inline(value)}" for key, value in changes.items()]
    stored = find_stored(os.fspath(study))
    if stored is not None:
        return Study.of(file.changed(stored.study, lines), Path(stored.folder or ""))
    path = find(os.fspath(study))
    return Study.of(file.load(path, lines), path.absolute().parent)


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every entry by its path. A range, choices, and layers by depth and width are one each."""
    for key, value in table.items():
        path, parts = f"{prefix}{key}", value.keys() if isinstance(value, Mapping) else set()
        layers = path == "network.hidden" and {"depth", "width"} <= parts
        if isinstance(value, Mapping) and not {"low", "high", "choices"} & parts and not layers:
            yield from _flat(value, f"{path}.")
        else:
            yield path, value
