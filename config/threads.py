"""Threads for what is synchronous in a request, kept for the next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from asgiref.sync import ThreadSensitiveContext

MOST_IDLE = 32


class _Thread(ThreadPoolExecutor):
    """One thread, and what it was given that is not done: of several, a cancelled one is, while another is at work."""

    def __init__(self) -> None:
        super().__init__(1, thread_name_prefix="request")
        self.pending: set[Future[Any]] = set()

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        given = super().submit(*args, **kwargs)
        self.pending.add(given)
        given.add_done_callback(self.pending.discard)
        return given


class KeptThreads:
    """Gives each request a thread of its own, as Django does; but Django starts one for each, and another to end it.

    Args:
        inner: An ASGI application for HTTP.
    """

    def __init__(self, inner: Callable[..., Awaitable[None]]) -> None:
        self.inner = inner
        self._idle: list[_Thread] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        thread = self._idle.pop() if self._idle else _Thread()
        try:
            async with ThreadSensitiveContext(executor=thread):
                await self.inner(scope, receive, send)
        except BaseException:
            # Django did not come to its end, where it closes what the thread holds: a database connection, say.
            thread.shutdown(wait=False)
            raise
        if thread.pending:
            # At work still, for a client who went away.
            thread.shutdown(wait=False)
        else:
            self._keep(thread)

    def _keep(self, thread: _Thread) -> None:
        if len(self._idle) < MOST_IDLE:
            self._idle.append(thread)
        else:
            thread.shutdown(wait=False)
