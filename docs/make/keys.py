"""Which keys has a study file? The tables of keys in ``study-files.md``.

A row is written by hand: its keys, what they mean, and a default that is no value (such as "by the
metric"). What follows from the models is written here: what a key takes, and its default.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from docs.make import schema

_TABLE = re.compile(r"<!-- keys: ([\w ]+) -->\n\n(.*?)\n\n<!-- end -->", re.DOTALL)
_HEAD = "| key | takes | default | meaning |\n| --- | --- | --- | --- |"
_BY_HAND = ("search.direction", "search.metric")
"""Defaults that depend on other keys."""


class Unexplained(Exception):
    """A key of which the page does not say what it means."""


@dataclass(frozen=True)
class Row:
    """A row of a table, of one key or of several that mean the same."""

    section: str
    """Of the keys; nothing for ``name``."""
    keys: tuple[str, ...]
    """None of a row that is about a whole section."""
    default: str
    meaning: str

    @property
    def paths(self) -> list[str]:
        """Such as ``training.lr``."""
        return [f"{self.section}.{key}".lstrip(".") for key in self.keys]


def meanings(page: str) -> dict[str, str]:
    """What the page says that keys mean, by path, without its links."""
    rows = (row for names, table in _TABLE.findall(page) for row in _rows(names, table))
    return {path: _without_links(row.meaning) for row in rows for path in row.paths}


def written(page: str) -> str:
    """The page with its tables of keys written anew.

    Raises:
        Unexplained: If it lacks the row of a key.
    """
    sections = schema.sections()
    explained = meanings(page)

    def table(found: re.Match[str]) -> str:
        for name in found[1].split():
            for key in sections[name]["properties"]:
                if not explained.get(f"{name}.{key}"):
                    raise Unexplained(f"docs/study-files.md: say what {name}.{key} means")
        lines = [_line(row, sections) for row in _rows(found[1], found[2])]
        return f"<!-- keys: {found[1]} -->\n\n" + "\n".join([_HEAD, *lines]) + "\n\n<!-- end -->"

    return _TABLE.sub(table, page)


def takes(value: schema.Schema) -> str:
    """What a key takes, in words, from its schema."""
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(takes(each) for each in value["anyOf"]))
    options = value.get("enum", [value["const"]] if "const" in value else [])
    if options:
        return ", ".join(f"`{option}`" for option in options)
    match value.get("type"):
        case "array":
            return f"list of {takes(value['items'])}"
        case "integer" | "number" as kind:
            signs = {"minimum": "≥", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
            ends = [f"{sign} {value[end]}" for end, sign in signs.items() if end in value]
            return f"{kind} {', '.join(ends)}".rstrip()
        case "boolean":
            return "`true`, `false`"
        case "string":
            return "text"
        case _:
            return "table"


def _rows(names: str, table: str) -> Iterator[Row]:
    section = names if " " not in names else ""
    for line in table.splitlines()[2:]:
        first, *_, default, meaning = (cell.strip() for cell in line.strip("|").split("|"))
        header = re.fullmatch(r"\*\*`\[(\w+)\]`\*\*", first)
        section = header[1] if header else section
        yield Row(section, () if header else (*re.findall(r"`(\w+)`", first),), default, meaning)


def _line(row: Row, sections: dict[str, schema.Schema]) -> str:
    if not row.keys:
        return _cells(f"**`[{row.section}]`**", "", "", row.meaning)
    if not row.section:
        return _cells("`name`", "text", "required", row.meaning)
    table = sections[row.section]
    values = [table["properties"][key] for key in row.keys]
    default = row.default
    if row.keys[0] in table.get("required", ()):
        default = "required"
    elif "default" in values[0] and row.paths[0] not in _BY_HAND:
        default = _spelt(values[0]["default"])
    names = ", ".join(f"`{key}`" for key in row.keys)
    return _cells(names, "; ".join(dict.fromkeys(map(takes, values))), default, row.meaning)


def _cells(*cells: str) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def _spelt(value: Any) -> str:
    return f"`{value}`" if isinstance(value, str) else str(value).lower()


def _without_links(text: str) -> str:
    text = re.sub(r" \(see \[[^]]*\]\([^)]*\)\)|:? see \[[^]]*\]\([^)]*\)", "", text)
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
