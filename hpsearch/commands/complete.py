"""What may stand at the end of an unfinished command line? A shell asks when Tab is pressed.

It shows nothing of what goes wrong here. So nothing does: where the store cannot be read, there is
nothing to complete.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpsearch.ledger.store import Store

MOST = 200
"""Numbers that a shell is offered."""


def studies(incomplete: str) -> list[str]:
    """The studies in the store."""
    try:
        names = [record.name for record in _store().studies()]
    except Exception:
        return []
    return [name for name in names if name.startswith(incomplete)]


def files_and_studies(incomplete: str) -> list[str]:
    """What ``run`` takes: those of the package, those in the store, and files."""
    package = Path(__file__).parent.parent
    folders = [Path("studies"), package / "studies", package.parent / "studies"]
    known = {file.stem for folder in folders for file in folder.glob("*.toml")}
    known.update(str(file) for file in Path().glob(f"{incomplete}*.toml"))
    return sorted(n for n in known.union(studies(incomplete)) if n.startswith(incomplete))


def numbers(ctx: Any, incomplete: str) -> list[str]:
    """The trials of the study that is named before."""
    try:
        store = _store()
        # While an option lacks its value, no argument has been given its own yet.
        name = ctx.params.get("name") or ctx.args[0]
        trials = store.trials(store.study(name).id)
    except Exception:
        return []
    found = [str(trial.number) for trial in trials]
    return [number for number in found if number.startswith(incomplete)][:MOST]


def keys(incomplete: str) -> list[str]:
    """The keys that ``--set`` may name, with the sign that follows."""
    from hpsearch.study.config import DataConfig, NetworkConfig, SearchConfig, TrainingConfig
    from hpsearch.study.section import Section

    sections: dict[str, type[Section]] = {
        "data": DataConfig,
        "network": NetworkConfig,
        "training": TrainingConfig,
        "search": SearchConfig,
    }
    found = [f"{name}.{key}=" for name, model in sections.items() for key in model.model_fields]
    return [key for key in found if key.startswith(incomplete)]


def _store() -> Store:
    from hpsearch import settings
    from hpsearch.ledger.database import Database
    from hpsearch.ledger.store import Store

    return Store(Database(settings.read().storage, create=False))
