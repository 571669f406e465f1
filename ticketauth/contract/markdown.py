"""Descriptions as HTML: a small subset of Markdown, in which nothing becomes HTML that is not written here.

Paragraphs, headings, lists, tables, code blocks; **strong**, *emphasis*, `code`, [links](https://example.com).
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString

_INLINE = re.compile(
    r"(?P<ticks>`+)(?P<code>.+?)(?<!`)(?P=ticks)(?!`)"
    r"|\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|\*\*(?P<strong>\S(?:.*?\S)??)\*\*"
    r"|(?<![\w*])\*(?P<em>[^\s*](?:[^*]*[^\s*])?)\*(?![\w*])"
    r"|\[(?P<text>[^\[\]]+)\]\((?P<href>[^\s()]+)\)"
    r"|<(?P<address>https?://[^\s<>]+)>",
    re.DOTALL,
)
_HEADING = re.compile(r"(#{1,6}) +(.+?) *#*")
_ITEM = re.compile(r"( *)(?:[-*+]|(\d{1,9})[.)]) +(?=\S)")
_FENCE = re.compile(r" {0,3}(```+|~~~+).*")
_DELIMITERS = re.compile(r" *\|? *:?-+:? *(\| *:?-+:? *)*\|? *")

_SAFE_SCHEMES = {"", "http", "https", "mailto"}
"""Of links. `javascript:` and `data:` are none of them; a link to anything else stays text."""


def render(text: str, level: int = 3) -> SafeString:
    """The HTML of a description.

    Args:
        text: Markdown.
        level: Of its highest heading in the page.
    """
    lines = textwrap.dedent(text).expandtabs(4).splitlines()
    return format_html_join("\n", "{}", ((block,) for block in _blocks(lines, level)))


def inline(text: str) -> SafeString:
    """The HTML of a line: no blocks."""
    pieces, end = [], 0
    for found in _INLINE.finditer(text):
        pieces += [escape(text[end : found.start()]), _span(found)]
        end = found.end()
    return _joined([*pieces, escape(text[end:])])


def _joined(pieces: list[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((piece,) for piece in pieces))


def _span(found: re.Match[str]) -> SafeString:
    part = found.groupdict()
    if part["code"]:
        return format_html("<code>{}</code>", part["code"].strip(" ") or part["code"])
    if part["escaped"]:
        return escape(part["escaped"])
    if part["strong"]:
        return format_html("<strong>{}</strong>", inline(part["strong"]))
    if part["em"]:
        return format_html("<em>{}</em>", inline(part["em"]))
    if part["address"]:
        return format_html('<a href="{0}">{0}</a>', part["address"])
    return _link(part["text"], part["href"], found[0])


def _link(text: str, href: str, source: str) -> SafeString:
    try:
        safe = urlsplit(href).scheme in _SAFE_SCHEMES
    except ValueError:
        safe = False
    return format_html('<a href="{}">{}</a>', href, inline(text)) if safe else escape(source)


def _blocks(lines: list[str], level: int) -> Iterator[SafeString]:
    rest = lines
    while rest:
        if not rest[0].strip():
            rest = rest[1:]
            continue
        html, taken = next(found for kind in _KINDS if (found := kind(rest, level)))
        yield html
        rest = rest[taken:]


Block = tuple[SafeString, int]
"""What became of the first lines, and how many they were."""


def _fenced(lines: list[str], level: int) -> Block | None:
    found = _FENCE.fullmatch(lines[0])
    if not found:
        return None
    ends = (number for number, line in enumerate(lines[1:], 1) if line.strip() == found[1])
    end = next(ends, len(lines))
    return _pre(textwrap.dedent("\n".join(lines[1:end]))), end + 1


def _indented(lines: list[str], level: int) -> Block | None:
    taken = _while(lines, lambda line: line.startswith("    ") or not line.strip())
    return (_pre(textwrap.dedent("\n".join(lines[:taken]))), taken) if lines[0].startswith("    ") else None


def _pre(code: str) -> SafeString:
    return format_html("<pre><code>{}</code></pre>", code.strip("\n"))


def _heading(lines: list[str], level: int) -> Block | None:
    found = _HEADING.fullmatch(lines[0])
    if not found:
        return None
    depth = min(level + len(found[1]) - 1, 6)
    return format_html("<h{0}>{1}</h{0}>", depth, inline(found[2])), 1


def _table(lines: list[str], level: int) -> Block | None:
    if len(lines) < 2 or "|" not in lines[0] or not _DELIMITERS.fullmatch(lines[1]):
        return None
    taken = _while(lines, lambda line: "|" in line)
    head = format_html_join("", '<th scope="col">{}</th>', ((inline(cell),) for cell in _cells(lines[0])))
    body = [format_html_join("", "<td>{}</td>", ((inline(cell),) for cell in _cells(row))) for row in lines[2:taken]]
    rows = format_html_join("", "<tr>{}</tr>", ((row,) for row in body))
    table = '<div class="scrolls"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    return format_html(table, head, rows), taken


def _cells(row: str) -> list[str]:
    return [
        cell.strip().replace("\\|", "|")
        for cell in re.split(r"(?<!\\)\|", row.strip().removeprefix("|").removesuffix("|"))
    ]


def _list(lines: list[str], level: int) -> Block | None:
    first = _ITEM.match(lines[0])
    if not first:
        return None
    items: list[list[str]] = []
    taken = 0
    for taken, line in enumerate(lines):
        found = _ITEM.match(line)
        if found and len(found[1]) <= len(first[1]):
            if bool(found[2]) != bool(first[2]):
                break
            items.append([line[found.end() :]])
        elif line.startswith(" " * (len(first[1]) + 2)) or not line.strip() or lines[taken - 1].strip():
            items[-1].append(line)
        else:
            break
    else:
        taken = len(lines)
    html = format_html_join("", "<li>{}</li>", ((_item(item, level),) for item in items))
    return _listed(first[2], html), taken


def _listed(number: str | None, items: SafeString) -> SafeString:
    if number is None:
        return format_html("<ul>{}</ul>", items)
    return format_html('<ol start="{}">{}</ol>' if number != "1" else "<ol>{1}</ol>", number, items)


def _item(lines: list[str], level: int) -> SafeString:
    content = [lines[0], *textwrap.dedent("\n".join(lines[1:])).splitlines()]
    while content and not content[-1].strip():
        content.pop()
    if _while(content, _is_text) == len(content):
        return inline("\n".join(content))
    return format_html_join("\n", "{}", ((block,) for block in _blocks(content, level)))


def _paragraph(lines: list[str], level: int) -> Block:
    taken = max(1, _while(lines, _is_text))
    return format_html("<p>{}</p>", inline("\n".join(line.strip() for line in lines[:taken]))), taken


def _is_text(line: str) -> bool:
    starts = _ITEM.match(line) or _FENCE.fullmatch(line) or _HEADING.fullmatch(line) or line.startswith("|")
    return bool(line.strip()) and not starts


def _while(lines: list[str], belongs: Callable[[str], bool]) -> int:
    return next((number for number, line in enumerate(lines) if not belongs(line)), len(lines))


_KINDS: tuple[Callable[[list[str], int], Block | None], ...] = (
    _fenced, _indented, _heading, _table, _list, _paragraph,
)  # fmt: skip
