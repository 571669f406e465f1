"""Questions to the database from the event loop: many that share one query, and nobody waiting when idle."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from asgiref.sync import AsyncToSync
from channels.db import database_sync_to_async

K = TypeVar("K")
V = TypeVar("V")

LARGEST_BATCH = 200

THREADS = 4
"""One that waits for a database gone silent must not hold up the others."""

# Not asgiref's one thread of the process: what a consumer does in that would hold up every handshake.
_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ticketauth-database")


async def query(read: Callable[[], V], seconds: float) -> V:
    """What a function that queries the database gives, called in a thread.

    Under `async_to_sync`, as in a test or a WSGI server, that is the caller's thread, with its transaction.

    Args:
        read: The function.
        seconds: After which its answer is not waited for any more.

    Raises:
        TimeoutError: They have passed.
    """
    if asyncio.get_running_loop() in AsyncToSync.loop_thread_executors:
        here: V = await database_sync_to_async(read)()
        return here
    async with asyncio.timeout(seconds):
        answer: V = await database_sync_to_async(read, thread_sensitive=False, executor=_threads)()
    return answer


class Batcher(Generic[K, V]):
    """Answers concurrent questions in one call: what is asked while a call runs goes into the next.

    Args:
        read: Synchronous, gets the questions and gives the answers in their order; it may query the database.
        seconds: Gives the seconds that a call may take. One that takes longer is abandoned, and the next begins.
    """

    def __init__(self, read: Callable[[Sequence[K]], Sequence[V]], seconds: Callable[[], float]) -> None:
        self._read = read
        self._seconds = seconds
        self._waiting: list[tuple[K, asyncio.Future[V]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, question: K) -> V:
        """The answer, or what `read` raised.

        Raises:
            TimeoutError: The call took too long.
        """
        answer: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._task is None:
            # A context of its own: the thread that a request brings along ends with that request.
            self._task = asyncio.create_task(self._work(), context=contextvars.Context())
        return await answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:LARGEST_BATCH], self._waiting[LARGEST_BATCH:]
                if patient := [(question, waiter) for question, waiter in batch if not waiter.done()]:
                    await self._answer(patient)
        finally:
            self._task = None

    async def _answer(self, batch: list[tuple[K, asyncio.Future[V]]]) -> None:
        questions = [question for question, _ in batch]
        try:
            answers = await query(lambda: self._read(questions), self._seconds())
        except Exception as error:  # noqa: BLE001 -- each of those who wait gets it
            for _, waiter in batch:
                if not waiter.done():
                    waiter.set_exception(error)
            return
        for (_, waiter), value in zip(batch, answers, strict=True):
            if not waiter.done():
                waiter.set_result(value)
