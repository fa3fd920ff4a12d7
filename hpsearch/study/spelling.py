"""How is a value spelt in TOML?"""

from __future__ import annotations

from typing import Any

import tomli_w


def spelt(key: str) -> str:
    """A key, in quotes where it needs them."""
    bare = key.isascii() and key.replace("-", "_").replace("_", "a").isalnum()
    return key if bare else inline(key)


def inline(value: Any) -> str:
    """A value in TOML, on one line."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{spelt(k)} = {inline(v)}' for k, v in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    return tomli_w.dumps({"_": value}).removeprefix("_ = ").rstrip("\n")
