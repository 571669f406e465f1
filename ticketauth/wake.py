"""The wake: what ends a login has the hubs of all workers look at once, instead of at the next poll.

It is a message on a channel of the ticket server (Redis pub/sub), and nothing in it is believed: it says "look", and
the database says what is over. It may be lost, for the poll finds the same; so nothing waits for it, and nothing fails
with it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from django.db import router, transaction
from django.db.transaction import TransactionManagementError

from . import conf
from .exceptions import Misconfigured, Unavailable
from .models import Login
from .stores.redis import RedisStore
from .types import Issuer, Subject

SOONEST, LATEST = 0.1, 5.0
"""Seconds until the first attempt to listen again, and between the later ones, doubled each time."""

_BETWEEN = "\0"
"""Between issuer and subject, neither of which a database would keep with it."""

_log = logging.getLogger("ticketauth")


def hubs(whom: tuple[Issuer, Subject] | None = None) -> None:
    """Wake the hubs of all workers when what was written here is committed. Returns at once, whatever Redis does.

    Args:
        whom: They are to read again. None where the database says whom it concerns.
    """
    if _server() is None:
        return
    message = _BETWEEN.join(whom or ())
    # Where a project commits by itself, nobody says when.
    with suppress(TransactionManagementError):
        transaction.on_commit(partial(_publisher.publish, message), using=router.db_for_write(Login), robust=True)


class _Outage:
    """Says what fails once, and not again until it is over."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._goes_on = False

    def noticed(self, error: Exception) -> None:
        """It has failed, perhaps again."""
        if not self._goes_on:
            reason = error.reason if isinstance(error, Unavailable) else type(error).__name__
            _log.warning("%s (%s): live sockets are closed by the poll", self._what, reason)
        self._goes_on = True

    def over(self) -> bool:
        """It works. Whether it had failed before."""
        had_failed, self._goes_on = self._goes_on, False
        return had_failed


class _Publisher:
    """Publishes in a thread, for who ends a login must not wait: all that is said while it publishes, at a time."""

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._outage = _Outage("wakes cannot be published")

    def publish(self, message: str) -> None:
        """Returns at once. The interpreter waits for the thread before it ends."""
        with self._lock:
            first = not self._said
            self._said.add(message)
        if first:
            try:
                threading.Thread(target=self._work, name="ticketauth-wake").start()
            except RuntimeError as error:
                # There are too many, or the interpreter ends.
                self._said.clear()
                self._outage.noticed(error)

    def _work(self) -> None:
        with self._turn:
            with self._lock:
                messages, self._said = self._said, set()
            try:
                asyncio.run(_publish(messages))
            except Exception as error:  # noqa: BLE001 -- nobody is there to hear of it
                self._outage.noticed(error)
            else:
                self._outage.over()


_publisher = _Publisher()


async def _publish(messages: set[str]) -> None:
    if (store := _server()) is not None:
        for message in messages:
            await store.client.publish(message)


async def listen(hear: Callable[[tuple[Issuer, Subject] | None], None]) -> None:
    """Hear every wake, until this is cancelled. After an outage one is made up for those that were missed.

    Args:
        hear: Gets whom the hubs are to read again, as `hubs` does. Returns at once.
    """
    store = _server()
    outage, pause = _Outage("wakes are not heard"), SOONEST
    while store is not None:
        try:
            async for message in store.client.listen():
                if message is not None:
                    issuer, names, subject = message.partition(_BETWEEN)
                    hear((Issuer(issuer), Subject(subject)) if names else None)
                elif outage.over():
                    hear(None)
                pause = SOONEST
        except Exception as error:  # noqa: BLE001 -- a hub without it has its poll
            outage.noticed(error)
        await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 -- to spread load
        pause = min(2 * pause, LATEST)


def _server() -> RedisStore | None:
    """The ticket store, where it is in Redis. A project without tickets need not have any."""
    with suppress(Misconfigured):
        store = conf.store()
        if isinstance(store, RedisStore):
            return store
    return None
