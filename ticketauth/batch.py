"""Many waiting for one query, and nobody waiting when idle."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from channels.db import database_sync_to_async

K = TypeVar("K")
V = TypeVar("V")

LARGEST_BATCH = 200


class Batcher(Generic[K, V]):
    """Answers concurrent questions in one call: what is asked while a call runs goes into the next.

    Args:
        read: Synchronous, gets the questions and gives the answers in their order; it may query the database.
    """

    def __init__(self, read: Callable[[Sequence[K]], Sequence[V]]) -> None:
        self._read = database_sync_to_async(read)
        self._waiting: list[tuple[K, asyncio.Future[V]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, question: K) -> V:
        """The answer, or what `read` raised."""
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
                await self._answer(batch)
        finally:
            self._task = None

    async def _answer(self, batch: list[tuple[K, asyncio.Future[V]]]) -> None:
        try:
            answers = await self._read([question for question, _ in batch])
        except Exception as error:  # noqa: BLE001 -- each of those who wait gets it
            for _, waiter in batch:
                if not waiter.done():
                    waiter.set_exception(error)
            return
        for (_, waiter), value in zip(batch, answers, strict=True):
            if not waiter.done():
                waiter.set_result(value)
