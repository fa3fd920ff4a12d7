"""Hyperparameter search you can trust; see the README."""

TYPE_CHECKING = False  # nothing is imported, typing neither; type checkers know this name
if TYPE_CHECKING:
    from hpsearch.reporting import log

__version__: str
__all__ = ["__version__", "log"]


def __getattr__(name: str) -> object:
    """A name, imported when it is asked for: ``python -m hpsearch`` comes by here first, while the
    current folder is yet looked in for modules, and imports nothing of its own."""
    if name == "log":
        from hpsearch.reporting import log

        return log
    if name == "__version__":
        from importlib.metadata import version

        return version("hpsearch")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
