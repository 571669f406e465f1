"""Links inside the documents lead somewhere; their Python compiles; they promise no file that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.tables import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", _text(path)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


LINKS = [
    (path, target)
    for path in DOCUMENTS
    for target in re.findall(r"\]\(([^)\s]+)\)", _FENCE.sub("", _text(path)))
    if not target.startswith("https://")
]


@pytest.mark.parametrize(("path", "target"), LINKS, ids=[f"{path.name}-{target}" for path, target in LINKS])
def test_a_link_leads_somewhere(path: Path, target: str) -> None:
    name, _, anchor = target.partition("#")
    found = (path.parent / name).resolve() if name else path
    assert found.exists()
    assert not anchor or anchor in _anchors(found)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_its_python_compiles(path: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", _text(path), re.DOTALL):
        compile(block, path.name, "exec")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_its_fences_are_closed(path: Path) -> None:
    assert _text(path).count("\n```") % 2 == 0


CODE = re.compile(r"`((?:ticketauth|api|ws|config|tests|docs)/[\w./]*)`")
FILES = sorted({(path.name, name) for path in DOCUMENTS for name in CODE.findall(_text(path))})


@pytest.mark.parametrize(("document", "name"), FILES)
def test_a_file_that_is_named_is_there(document: str, name: str) -> None:
    assert (ROOT / name).exists()


MODULES = re.compile(r"`(ticketauth(?:\.\w+)+)[(`]")
DOTTED = sorted({(path.name, name) for path in DOCUMENTS for name in MODULES.findall(_text(path))})


@pytest.mark.parametrize(("document", "name"), DOTTED)
def test_a_name_of_the_library_that_is_quoted_exists(document: str, name: str) -> None:
    from importlib import import_module

    from django.utils.module_loading import import_string

    if re.fullmatch(r"ticketauth\.([EW]\d{3}|v1|ready|expiring|renew|renewed|error|ticket)", name):
        return
    try:
        import_module(name)
    except ImportError:
        assert import_string(name)
