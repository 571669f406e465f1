"""Keys that are strong enough to sign with, and keys that are kept: `python -m config.keys FOLDER`."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

LEAST_BYTES = 32
"""What RFC 7518 3.2 asks of an HS256 key."""

LEAST_DISTINCT = 10
"""Random keys have more, even the 64 hexadecimal digits of 32 bytes."""

HOW_TO = 'Make one: python3 -c "import secrets; print(secrets.token_urlsafe(48))"'


def new() -> str:
    """A fresh key."""
    return secrets.token_urlsafe(48)


def kept(path: Path, mode: int = 0o600) -> str:
    """The key in a file; made where there is none."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        return path.read_text(encoding="ascii")
    os.fchmod(descriptor, mode)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key := new())
    return key


def weakness(key: str) -> str:
    """What is wrong with a key, as the end of a sentence; empty if nothing is."""
    if not key:
        return "is not set"
    if key.startswith("django-insecure"):
        return "begins with django-insecure: it was made for development"
    if len(key.encode()) < LEAST_BYTES:
        return f"has fewer than {LEAST_BYTES} bytes"
    if len(set(key)) < LEAST_DISTINCT:
        return f"has fewer than {LEAST_DISTINCT} different characters"
    return ""


def strong(name: str, key: str) -> str:
    """The key, if it is strong.

    Raises:
        ImproperlyConfigured: It is missing or weak. The message says how to make one.
    """
    if problem := weakness(key):
        raise ImproperlyConfigured(f"{name} {problem}. {HOW_TO}")
    return key


def pem(name: str, key: str, kind: str) -> str:
    """The key, if it looks like PEM of that kind.

    Raises:
        ImproperlyConfigured: It does not.
    """
    if not (key.startswith("-----BEGIN ") and f"{kind} KEY-----" in key):
        raise ImproperlyConfigured(f"{name} is not PEM; expected -----BEGIN {kind} KEY----- ..., best by {name}_FILE.")
    return key


def keep_all(folder: Path) -> None:
    """Make what a deployment needs and has not."""
    for name in ("secret-key", "jwt-signing-key"):
        kept(folder / name)
    # The database's own user reads this one.
    kept(folder / "database-password", 0o644)


if __name__ == "__main__":
    keep_all(Path(sys.argv[1]))
