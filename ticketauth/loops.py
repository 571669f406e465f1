"""Things that belong to one running event loop, and go when it goes."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerLoop(Generic[T]):
    """One value per running event loop, made at its first use and closed when the loop ends.

    Every loop that is ended in order (`asyncio.run`, asgiref's `async_to_sync`, all ASGI servers) closes its open
    asynchronous generators; the value is held by one.

    Args:
        make: Makes the value; called inside the loop.
        close: Closes it; None where there is nothing to close.
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], Awaitable[None]] | None = None) -> None:
        self._make = make
        self._close = close
        self._held: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[T, AsyncIterator[None] | None]]
        self._held = weakref.WeakKeyDictionary()

    async def get(self) -> T:
        """The running loop's value."""
        loop = asyncio.get_running_loop()
        if held := self._held.get(loop):
            return held[0]
        value = self._make()
        holder = self._hold(loop, value) if self._close else None
        self._held[loop] = (value, holder)
        if holder is not None:
            await anext(holder)
        return value

    async def _hold(self, loop: asyncio.AbstractEventLoop, value: T) -> AsyncIterator[None]:
        try:
            yield
        finally:
            # The value may know its loop, and then the loop would be held by what it holds.
            self._held.pop(loop, None)
            if self._close:
                await self._close(value)
