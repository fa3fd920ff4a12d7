"""Hyperparameter search you can trust; see the README."""

TYPE_CHECKING = False  # nothing is imported, typing neither; type checkers know this name
if TYPE_CHECKING:
    from hpsearch.errors import HpsearchError
    from hpsearch.python.loading import load
    from hpsearch.python.past import import_optuna
    from hpsearch.python.spaces import Choice, Float, Int
    from hpsearch.python.study import Study
    from hpsearch.python.track import track
    from hpsearch.reporting import log

__version__: str
__all__ = [
    "Choice",
    "Float",
    "HpsearchError",
    "Int",
    "Study",
    "__version__",
    "import_optuna",
    "load",
    "log",
    "track",
]
_HOMES = {
    "errors": ("HpsearchError",),
    "python.loading": ("load",),
    "python.past": ("import_optuna",),
    "python.spaces": ("Choice", "Float", "Int"),
    "python.study": ("Study",),
    "python.track": ("track",),
    "reporting": ("log",),
}
"""The modules that names come from."""


def __getattr__(name: str) -> object:
    """A name, imported when it is asked for: ``python -m hpsearch`` comes by here first, while the
    current folder is yet looked in for modules, and imports nothing of its own."""
    if name == "__version__":
        from importlib.metadata import version

        return version("hpsearch")
    for home, names in _HOMES.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(f"hpsearch.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
