"""Which files of the documentation follow from the code, and what do they hold?"""

from __future__ import annotations

from pathlib import Path

from docs.make import commands, keys, schema

DOCS = Path(__file__).parents[1]
DECISIONS = """# Decisions

Why hpsearch is built as it is, one page each.

"""


def written() -> dict[Path, str]:
    """The content of each of them, as it should be.

    Raises:
        Unexplained: If ``study-files.md`` does not say what a key means.
    """
    page = (DOCS / "study-files.md").read_text()
    return {
        DOCS / "study-files.md": keys.written(page),
        DOCS / "study.schema.json": schema.written(keys.meanings(page)),
        DOCS / "commands.md": commands.written(),
        DOCS / "decisions" / "index.md": _decisions(),
    }


def _decisions() -> str:
    files = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    titles = [file.read_text().partition("\n")[0].removeprefix("# ") for file in files]
    return DECISIONS + "".join(
        f"- [{title}]({file.name})\n" for title, file in zip(titles, files, strict=True)
    )
