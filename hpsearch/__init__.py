"""Hyperparameter search you can trust; see the README."""

from importlib.metadata import version as _version

__version__ = _version("hpsearch")
__all__ = ["__version__"]
