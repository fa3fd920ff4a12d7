"""What is kept of a study's data beside its digests, and what of it must be said?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from hpsearch.data.datasets import Dataset
from hpsearch.data.duplicates import between
from hpsearch.data.files import listed
from hpsearch.data.splits import Splits


def facts(dataset: Dataset, splits: Splits) -> dict[str, Any]:
    """The names of the ``classes``, the ``sizes`` of the parts, and their ``duplicates``.

    ``duplicates`` are counted as ``duplicates.between`` does. Of a regression there are no classes,
    but the ``target``, how its numbers were scaled.
    """
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    found = splits.preparation.target
    target = {} if found is None else {"target": asdict(found)}
    return target | {
        "classes": list(dataset.names),
        "sizes": {name: len(part.y) for name, part in parts.items()},
        "duplicates": between(dataset.x, *(part.rows for part in parts.values())),
    }


def remarks(known: Mapping[str, Any]) -> Iterator[str]:
    """What a person should know of these facts before a search, a sentence each."""
    names = known.get("classes", [])
    if names != [str(number) for number in range(len(names))]:
        yield f"{len(names)} classes: {listed(names)}"
    duplicates, sizes = known.get("duplicates", {}), known.get("sizes", {})
    said = [
        f"{duplicates[part]} of {sizes[part]} {part} examples are duplicates of {others}"
        for part, others in (
            ("validation", "training examples"),
            ("test", "examples in the other parts"),
        )
        if duplicates.get(part)
    ]
    if said:
        yield (
            f"{', and '.join(said)}: results look better than they are; to keep duplicates in one "
            f'part, set data.duplicates = "together"'
        )
