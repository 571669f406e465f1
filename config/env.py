"""Typed reading of the environment. A wrong value raises one sentence: the variable, its value, what is expected."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

_FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def _wrong(name: str, value: str, expected: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name} is {value!r}; expected {expected}.")


@dataclass(frozen=True, slots=True)
class Env:
    """The environment. A variable that is empty counts as one that is not set.

    Every reader raises `ImproperlyConfigured` where the value is not what it reads.
    """

    values: Mapping[str, str]

    def has(self, name: str) -> bool:
        """Whether the variable is set."""
        return bool(self.values.get(name))

    def text(self, name: str, default: str = "") -> str:
        """The value as it is."""
        return self.values.get(name) or default

    def flag(self, name: str, default: bool) -> bool:
        """1 or 0, true or false, yes or no, on or off."""
        value = self.text(name)
        if not value:
            return default
        if value.lower() not in _FLAGS:
            raise _wrong(name, value, "1 or 0")
        return _FLAGS[value.lower()]

    def whole(self, name: str, default: int, *, least: int = 0, most: int | None = None) -> int:
        """A whole number within bounds."""
        value = self.text(name)
        if not value:
            return default
        digits = value.removeprefix("-")
        number = int(value) if digits.isascii() and digits.isdigit() else None
        if number is None or number < least or (most is not None and number > most):
            raise _wrong(name, value, f"a whole number, {_range(least, most)}")
        return number

    def number(self, name: str, default: float) -> float:
        """A number that is finite and not negative."""
        value = self.text(name)
        if not value:
            return default
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or number < 0:
            raise _wrong(name, value, "a number such as 1.5")
        return number

    def choice(self, name: str, default: str, options: Iterable[str]) -> str:
        """One of some words."""
        value = self.text(name, default)
        known = list(options)
        if value not in known:
            raise _wrong(name, value, f"one of {', '.join(known)}")
        return value

    def items(self, name: str, default: Iterable[str] = ()) -> list[str]:
        """Values with commas between them."""
        return [item.strip() for item in self.text(name).split(",") if item.strip()] or list(default)

    def secret(self, name: str, default: str = "") -> str:
        """A value, or the content of the file that NAME_FILE names. No message repeats it."""
        file = f"{name}_FILE"
        if not self.has(file):
            return self.text(name, default)
        if self.has(name):
            raise ImproperlyConfigured(f"{name} and {file} are both set; expected one of them.")
        path = Path(self.text(file))
        try:
            content = path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            problem = error.strerror if isinstance(error, OSError) else "it is not text"
            raise _wrong(file, str(path), f"a file that can be read ({problem})") from None
        if not content:
            raise _wrong(file, str(path), "a file that is not empty")
        return content


def _range(least: int, most: int | None) -> str:
    return f"{least} or more" if most is None else f"from {least} to {most}"
