"""Tables of the documents: read from Markdown, and what they should say, read from the code."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ticketauth.conf import Settings

ROOT = Path(__file__).resolve().parents[2]


def read(name: str) -> str:
    """A document."""
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What is under a heading of the second or third level, up to the next of its level or above."""
    found = re.search(rf"^(##+) {re.escape(heading)}$", text, re.MULTILINE)
    assert found, f"no section {heading!r}"
    rest = text[found.end() :]
    end = re.search(rf"^#{{2,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def rows(text: str) -> list[list[str]]:
    """The rows of all tables in a text, without their headings."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    rules = [index for index, row in enumerate(cells) if set("".join(row)) <= set("-: ")]
    headings = {index - 1 for index in rules} | set(rules)
    return [row for index, row in enumerate(cells) if index not in headings]


def settings_rows() -> list[list[str]]:
    """The table of TICKETAUTH as the code has it: key, type, default, meaning."""
    hints = get_type_hints(Settings)
    return [
        [f"`{field.name}`", _kind(hints[field.name]), _default(field), field.metadata["meaning"]]
        for field in dataclasses.fields(Settings)
    ]


def _kind(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in get_args(hint))
    if isinstance(hint, UnionType):
        return " or ".join(kind.__name__.replace("NoneType", "`None`") for kind in get_args(hint))
    return {Sequence: "list of str", Mapping: "dict"}.get(origin) or hint.__name__


def _default(field: dataclasses.Field[Any]) -> str:
    value = getattr(Settings(), field.name)
    if isinstance(value, list) and value:
        return "the three of tickets"
    return f"`{value!r}`".replace("'", '"')
