"""Whether somebody may connect here, by a function of the project: `MAY_CONNECT`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from asgiref.sync import iscoroutinefunction

from . import conf, users, wake
from .batch import query
from .exceptions import Forbidden

MOST_AT_A_TIME = 50
"""Questions that share `DATABASE_DEADLINE`."""


def permissions_changed(user: Any) -> None:
    """Have `MAY_CONNECT` asked again at once for all sockets of a user, after the commit of what is changed here.

    Where the message that says so is lost, they are asked at the next sweep.

    Args:
        user: Of the database.
    """
    if conf.may_connect() is not None:
        for whom in users.subjects_of(user):
            wake.hubs(whom)


async def check(user: Any, path: str) -> None:
    """See that a user may connect at a path, where the project says who may.

    Raises:
        Forbidden: They may not.
        Exception: What the function raises. TimeoutError where it takes too long.
    """
    if conf.may_connect() is None:
        return
    (answer,) = await answers([(user, path)])
    if isinstance(answer, Exception):
        raise answer
    if not answer:
        raise Forbidden("not_permitted")


async def answers(asked: Sequence[tuple[Any, str]]) -> list[bool | Exception]:
    """What `MAY_CONNECT` says of each user and path, or what it raises."""
    told: list[bool | Exception] = []
    for start in range(0, len(asked), MOST_AT_A_TIME):
        part = asked[start : start + MOST_AT_A_TIME]
        try:
            told += await _answers(part)
        except Exception as error:  # noqa: BLE001 -- a deadline, or no thread: it is the same to who is asked for
            told += [error] * len(part)
    return told


async def _answers(asked: Sequence[tuple[Any, str]]) -> list[bool | Exception]:
    may_connect: Any = conf.may_connect()
    seconds = conf.current().DATABASE_DEADLINE
    if not iscoroutinefunction(may_connect):
        return await query(lambda: [_answer(may_connect, user, path) for user, path in asked], seconds)
    async with asyncio.timeout(seconds):
        results = await asyncio.gather(*(may_connect(user, path) for user, path in asked), return_exceptions=True)
    return [_plain(result) for result in results]


def _answer(may_connect: Callable[[Any, str], Any], user: Any, path: str) -> bool | Exception:
    try:
        return _plain(may_connect(user, path))
    except Exception as error:  # noqa: BLE001 -- it is the answer
        return error


def _plain(result: Any) -> bool | Exception:
    """Nobody is let in by an accident, such as a coroutine that nobody awaits."""
    if isinstance(result, (bool, Exception)):
        return result
    return TypeError(f"MAY_CONNECT gave {type(result).__name__}; expected bool")
