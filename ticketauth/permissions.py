"""Whether somebody may connect here, by a function of the project: `MAY_CONNECT`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from asgiref.sync import iscoroutinefunction

from . import conf, users, wake
from .batch import query
from .exceptions import Forbidden

MOST_AT_A_TIME = 50
"""Questions that are asked together."""

BEGINNING = 0.5
"""Part of `DATABASE_DEADLINE` in which those that are asked together begin, so that the last has time to answer."""

THREADS = 4
"""For calls of it. Those that hang hold up no query of ours."""

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ticketauth-may-connect")


class NotAsked(TimeoutError):
    """The time was over before its turn came: the questions ahead of it took it, or there was no thread."""


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
    """What `MAY_CONNECT` says of each user and path, or what it raises.

    TimeoutError where it takes longer than `DATABASE_DEADLINE`, `NotAsked` where there was no time for it: in all,
    that is at most the deadline and its `BEGINNING`. A coroutine function is asked for all at once.

    Args:
        asked: `MOST_AT_A_TIME` at most.
    """
    may_connect: Any = conf.may_connect()
    seconds = conf.current().DATABASE_DEADLINE
    if iscoroutinefunction(may_connect):
        return await asyncio.gather(*(_awaited(may_connect, user, path, seconds) for user, path in asked))
    told: list[bool | Exception] = []
    until = time.monotonic() + seconds * BEGINNING
    most = seconds if len(asked) == 1 else seconds * (1 + BEGINNING)
    with suppress(TimeoutError):
        await query(lambda: _tell(may_connect, asked, told, until), most, _threads)
    # A copy, for the thread may go on with the call that hangs.
    known = list(told)
    return known + [NotAsked()] * (len(asked) - len(known))


def _tell(
    may_connect: Callable[[Any, str], Any], asked: Sequence[tuple[Any, str]], told: list[bool | Exception], until: float
) -> None:
    """One after another in one thread, with one connection; none is begun when nobody waits for it any more."""
    for user, path in asked:
        if time.monotonic() >= until:
            break
        told.append(TimeoutError())
        told[-1] = _answer(may_connect, user, path)


async def _awaited(may_connect: Callable[[Any, str], Any], user: Any, path: str, seconds: float) -> bool | Exception:
    try:
        async with asyncio.timeout(seconds):
            return _plain(await may_connect(user, path))
    except asyncio.CancelledError as error:
        # Where it means who asks, `gather` sees to that.
        return _of_its_own(error)
    except Exception as error:  # noqa: BLE001 -- it is the answer
        return error


def _answer(may_connect: Callable[[Any, str], Any], user: Any, path: str) -> bool | Exception:
    try:
        return _plain(may_connect(user, path))
    except asyncio.CancelledError as error:
        return _of_its_own(error)
    except Exception as error:  # noqa: BLE001 -- it is the answer
        return error


def _of_its_own(error: asyncio.CancelledError) -> RuntimeError:
    """Such as that of a task which it shares with others: nobody meant who asks, and a loop of theirs is not to end."""
    told = RuntimeError("MAY_CONNECT was cancelled from within")
    told.__cause__ = error
    return told


def _plain(result: Any) -> bool | Exception:
    """Nobody is let in by an accident, such as a coroutine that nobody awaits."""
    if isinstance(result, (bool, Exception)):
        return result
    return TypeError(f"MAY_CONNECT gave {type(result).__name__}; expected bool")
