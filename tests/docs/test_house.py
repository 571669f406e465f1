"""The order of the house in CONTRIBUTING.md is the order of the imports."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.tables import ROOT, read, section

LIBRARY = ROOT / "ticketauth"
_TEXT = section(read("CONTRIBUTING.md"), "The house")
_LINES = [line for line in _TEXT.splitlines() if line.startswith("    ") and "->" not in line]
RANKS = {name: rank for rank, line in enumerate(_LINES) for name in line.strip().split(", ")}
ABOVE = {"ticketauth": ("api", "ws", "config"), "api": ("ws", "config"), "ws": ("api", "config")}


def _module(path: Path) -> str:
    """`schemes` for a file in a folder, `views` for one beside it."""
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


def _imports(path: Path) -> Iterator[str]:
    """What is imported when the file is read, as absolute names."""
    here = ("ticketauth", *path.relative_to(LIBRARY).with_suffix("").parts)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            base = ".".join(here[: -node.level]) if node.level else ""
            name = ".".join(part for part in (base, node.module) if part)
            yield from (f"{name}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


FILES = [path for path in LIBRARY.rglob("*.py") if path.name != "__init__.py" and "migrations" not in path.parts]


def test_every_module_has_its_place() -> None:
    assert {_module(path) for path in FILES} - {"management"} == set(RANKS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_a_module_imports_nothing_from_above(path: Path) -> None:
    mine = RANKS.get(_module(path), len(_LINES))
    used = {found[1] for name in _imports(path) if (found := re.match(r"ticketauth\.(\w+)", name))}
    assert {name for name in used if RANKS[name] > mine} == set()


@pytest.mark.parametrize("package", ABOVE)
def test_a_package_imports_nothing_from_above(package: str) -> None:
    forbidden = "|".join(ABOVE[package])
    for path in (ROOT / package).rglob("*.py"):
        found = re.search(rf"^\s*(?:from|import) (?:{forbidden})\b", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert found is None, path.name
