"""Threads for what is synchronous in a request, kept for the next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from asgiref.sync import ThreadSensitiveContext

MOST_IDLE = 32


class _Thread(ThreadPoolExecutor):
    """One thread, and what it was given last."""

    def __init__(self) -> None:
        super().__init__(1, thread_name_prefix="request")
        self.latest: Future[Any] | None = None

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        self.latest = super().submit(*args, **kwargs)
        return self.latest


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
        finally:
            if thread.latest is None or thread.latest.done():
                self._keep(thread)
            else:
                # At work still, for a client who went away.
                thread.latest.add_done_callback(lambda _: self._keep(thread))

    def _keep(self, thread: _Thread) -> None:
        if len(self._idle) < MOST_IDLE:
            self._idle.append(thread)
        else:
            thread.shutdown(wait=False)
