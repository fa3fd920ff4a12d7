"""The blocks of code in README and docs, and what a page says of one that is not run."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(page.relative_to(ROOT)) for page in [*ROOT.glob("README*.md"), *ROOT.glob("docs/**/*.md")]
)
_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """What stands between two fences."""

    language: str
    """``python``, ``toml``, ``text`` for what is only read, or nothing for commands."""
    text: str
    reason: str | None
    """Why it is not run."""

    @property
    def file(self) -> str | None:
        """The name that its first line gives it, as in ``# train.py``."""
        named = re.match(
            rf"# ([\w-]+\.{'py' if self.language == 'python' else 'toml'})\n", self.text
        )
        return named[1] if named else None

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command, without comments."""
        bare = re.sub(r"(^| +)#.*$", "", self.text, flags=re.MULTILINE)
        return [shlex.split(part) for part in re.split(r"\n| && | \| ", bare) if part.strip()]


def blocks(page: str) -> list[Block]:
    """All blocks of a page, in order."""
    found = _BLOCK.finditer((ROOT / page).read_text())
    return [Block(each["language"], each["text"], each["reason"]) for each in found]
