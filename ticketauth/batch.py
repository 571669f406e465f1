"""Questions from the event loop, many that share one round trip, and nobody waiting when idle."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from asgiref.sync import AsyncToSync
from channels.db import database_sync_to_async

K = TypeVar("K")
V = TypeVar("V")

LARGEST_BATCH = 200

MOST_TURNS, QUIET_TURNS = 16, 4
"""Turns of the event loop that a batch is gathered for: in all, and without anybody new."""

GATHERING = 0.005
"""Seconds after which it is sent, however few turns a busy loop has made of them."""

PATIENCE = 0.005
"""Seconds that questions wait for the calls under way before another lane is opened: most calls are back by then, and
the next takes all of them along. Who waits longer than that waits for one that went silent."""

THREADS = 4
"""One that waits for a database gone silent must not hold up the others."""

# Not asgiref's one thread of the process: what a consumer does in that would hold up every handshake.
_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ticketauth-database")


async def query(read: Callable[[], V], seconds: float, threads: ThreadPoolExecutor = _threads) -> V:
    """What a function that queries the database gives, called in a thread.

    Under `async_to_sync`, as in a test or a WSGI server, that is the caller's thread, with its transaction.

    Args:
        read: The function.
        seconds: After which its answer is not waited for any more.
        threads: Where it is called.

    Raises:
        TimeoutError: They have passed.
    """
    if asyncio.get_running_loop() in AsyncToSync.loop_thread_executors:
        here: V = await database_sync_to_async(read)()
        return here
    async with asyncio.timeout(seconds):
        answer: V = await database_sync_to_async(read, thread_sensitive=False, executor=threads)()
    return answer


class Batcher(Generic[K, V]):
    """Answers concurrent questions in one call: what is asked while calls run goes into the next.

    Args:
        answer: Gets the questions and gives the answers in their order. One that is an exception is raised to whoever
            asked that question; one that it raises, to all of them. It has to end by itself.
        lanes: Calls that run at a time, at most. All but the first are for when one takes longer than `PATIENCE`.
    """

    def __init__(self, answer: Callable[[Sequence[K]], Awaitable[Sequence[V | Exception]]], lanes: int = 1) -> None:
        self._answer = answer
        self._lanes = lanes
        self._waiting: list[tuple[K, asyncio.Future[V]]] = []
        self._working: set[asyncio.Task[None]] = set()
        self._impatient: asyncio.TimerHandle | None = None

    async def ask(self, question: K, within: float | None = None) -> V:
        """The answer, or what was raised for it.

        Args:
            question: For `answer`.
            within: Seconds to wait at most, for the calls before included; None for as long as it takes.

        Raises:
            TimeoutError: They have passed.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[V] = loop.create_future()
        self._waiting.append((question, answer))
        if not self._working:
            self._open_lane()
        elif self._impatient is None and len(self._working) < self._lanes:
            self._impatient = loop.call_later(PATIENCE, self._open_another)
        if within is None:
            return await answer
        # Not `asyncio.timeout`, of which this would be a large part of what it costs to come in.
        ends = loop.call_later(within, _end_waiting, answer)
        try:
            return await answer
        finally:
            ends.cancel()

    def _open_lane(self) -> None:
        # A context of its own: the thread that a request brings along ends with that request.
        self._working.add(asyncio.create_task(self._work(), context=contextvars.Context()))

    def _open_another(self) -> None:
        self._impatient = None
        if self._waiting:
            self._open_lane()

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                batch, self._waiting = self._waiting[:LARGEST_BATCH], self._waiting[LARGEST_BATCH:]
                if patient := [(question, waiter) for question, waiter in batch if not waiter.done()]:
                    await self._tell(patient)
        finally:
            # Here, not when the task is done: who asks in between would wait for nobody.
            self._working = {task for task in self._working if task is not asyncio.current_task()}

    async def _gather(self) -> None:
        """Let those join who are on their way. An idle loop makes these turns in microseconds, and nobody waits."""
        quiet, known, ends = 0, len(self._waiting), time.monotonic() + GATHERING
        for _ in range(MOST_TURNS):
            await asyncio.sleep(0)
            quiet, known = (quiet + 1 if len(self._waiting) == known else 0), len(self._waiting)
            if quiet == QUIET_TURNS or known >= LARGEST_BATCH or time.monotonic() > ends:
                break

    async def _tell(self, batch: list[tuple[K, asyncio.Future[V]]]) -> None:
        answers: Sequence[V | Exception]
        try:
            answers = await self._answer([question for question, _ in batch])
        except Exception as error:  # noqa: BLE001 -- each of those who wait gets it
            answers = [error] * len(batch)
        for (_, waiter), answer in zip(batch, answers, strict=True):
            if waiter.done():
                continue
            if isinstance(answer, Exception):
                waiter.set_exception(answer)
            else:
                waiter.set_result(answer)


def _end_waiting(answer: asyncio.Future[Any]) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())
