"""What the package is to the outside."""

import ast
import inspect
import sys
from pathlib import Path
from types import ModuleType

import net


def test_all_is_exact() -> None:
    """`__all__` lists the public names, each once, and none besides."""
    public = {
        name
        for name, value in vars(net).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert set(net.__all__) == public
    assert len(net.__all__) == len(public)


def test_public_names_are_documented() -> None:
    """Each public class and function has a docstring of its own, and so have their methods."""
    for name in net.__all__:
        value = getattr(net, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name
        if inspect.isclass(value):
            methods = {k: v for k, v in vars(value).items() if inspect.isfunction(v)}
            for method, function in methods.items():
                assert method.startswith("_") or function.__doc__, f"{name}.{method}"


def test_imports_numpy_alone() -> None:
    """Beside the standard library and itself, the package imports NumPy and nothing else."""
    imported = set()
    for path in Path(net.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                imported.add(str(node.module).split(".")[0])
    assert imported - set(sys.stdlib_module_names) == {"numpy", "net"}
