"""The scalar keys of TICKETAUTH, each under its own name in the environment."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ticketauth.conf import Settings

from .env import Env


def from_environment(env: Env, *, without: Iterable[str]) -> dict[str, Any]:
    """What is set, by the types of `ticketauth.conf.Settings`; what is not set keeps the library's default.

    Args:
        env: The environment.
        without: Keys that the caller fills by its own rules.
    """
    hints = get_type_hints(Settings)
    names = [field.name for field in dataclasses.fields(Settings) if field.name not in set(without)]
    return {name: _read(env, name, hints[name]) for name in names if env.has(name) and _is_scalar(hints[name])}


def _is_scalar(hint: Any) -> bool:
    return hint in {str, bool, int, float} or get_origin(hint) is Literal


def _read(env: Env, name: str, hint: Any) -> Any:
    if get_origin(hint) is Literal:
        return env.choice(name, "", get_args(hint))
    readers = {bool: lambda: env.flag(name, False), int: lambda: env.whole(name, 0), float: lambda: env.number(name, 0)}
    return readers.get(hint, lambda: env.text(name))()
