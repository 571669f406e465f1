"""Code as HTML, with as much colour as helps the eye: keys, strings, numbers, comments."""

from __future__ import annotations

import json
import re
from typing import Any

from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString

_STRING = r'"(?:[^"\\\n]|\\.)*"'
_SINGLE = r"'(?:[^'\\\n]|\\.)*'"
_NUMBER = r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?!\w)"

_GRAMMARS = {
    "json": rf"(?P<key>{_STRING})(?=\s*:)|(?P<string>{_STRING})|(?P<number>{_NUMBER}|\b(?:true|false|null)\b)",
    "bash": rf"(?P<comment>(?<!\S)#.*)|(?P<string>{_STRING}|'[^']*')",
    "python": rf"(?P<comment>#.*)|(?P<string>[rbf]?(?:{_STRING}|{_SINGLE}))",
    "javascript": rf"(?P<comment>(?<!:)//.*)|(?P<string>{_STRING}|{_SINGLE}|`[^`]*`)",
    "kotlin": rf'(?P<comment>(?<!:)//.*)|(?P<string>"""(?:.|\n)*?"""|{_STRING})',
    "swift": rf'(?P<comment>(?<!:)//.*)|(?P<string>(?P<hashes>#+)"(?:.)*?"(?P=hashes)|{_STRING})',
}
_PATTERNS = {language: re.compile(grammar) for language, grammar in _GRAMMARS.items()}


def highlight(code: str, language: str) -> SafeString:
    """The HTML of code, in `span`s of a class each; plain where the language is not known."""
    pattern = _PATTERNS.get(language)
    if pattern is None:
        return escape(code)
    pieces, end = [], 0
    for found in pattern.finditer(code):
        kind = next(name for name in ("comment", "key", "string", "number") if found.groupdict().get(name))
        pieces += [escape(code[end : found.start()]), format_html('<span class="{}">{}</span>', kind, found[0])]
        end = found.end()
    return format_html_join("", "{}", ((piece,) for piece in [*pieces, escape(code[end:])]))


def pretty(value: Any) -> str:
    """JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)
