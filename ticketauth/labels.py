"""What a login is called in the list of one's own: the program and the system that its user agent names."""

from __future__ import annotations

import re

LONGEST_LABEL = 64

# In this order: browsers and systems name those that they descend from, too.
_PROGRAMS = (
    ("Edge", re.compile(r"\bEdg(?:e|A|iOS)?/")),
    ("Opera", re.compile(r"\b(?:OPR|Opera|OPiOS)/")),
    ("Samsung Internet", re.compile(r"\bSamsungBrowser/")),
    ("Firefox", re.compile(r"\b(?:Firefox|FxiOS)/")),
    ("Chrome", re.compile(r"\b(?:Chrome|CriOS)/")),
    ("Safari", re.compile(r"\bSafari/")),
)
_SYSTEMS = (
    ("Android", re.compile(r"\bAndroid\b")),
    ("iPhone", re.compile(r"\biPhone\b")),
    ("iPad", re.compile(r"\biPad\b")),
    ("ChromeOS", re.compile(r"\bCrOS\b")),
    ("Windows", re.compile(r"\bWindows\b")),
    ("macOS", re.compile(r"\b(?:Macintosh|Mac OS X)\b")),
    ("Linux", re.compile(r"\bLinux\b")),
)
# RFC 9110 10.1.5: an app names itself first. Few characters, for it is shown to others than those who wrote it.
_OTHER = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)


def label_of(user_agent: str) -> str:
    """`Firefox on Linux`, `okhttp`, or nothing where the user agent says nothing. Never more than it is: a claim."""
    text = user_agent[:512]
    program, system = _first(_PROGRAMS, text), _first(_SYSTEMS, text)
    if not program and (other := _OTHER.match(text)) and other[0] != "Mozilla":
        program = other[0][:40]
    return " on ".join(part for part in (program, system) if part)


def _first(known: tuple[tuple[str, re.Pattern[str]], ...], text: str) -> str:
    return next((name for name, pattern in known if pattern.search(text)), "")
