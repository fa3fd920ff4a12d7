"""Hyperparameter search you can trust; see the README."""

__version__: str
__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """The version, read when it is asked for: ``python -m hpsearch`` comes by here first, while the
    current folder is yet looked in for modules, and imports nothing."""
    if name == "__version__":
        from importlib.metadata import version

        return version("hpsearch")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
