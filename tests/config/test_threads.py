"""One thread per request, kept for the next."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application

from config.threads import MOST_IDLE, KeptThreads


class Requests:
    """An application that tells the thread of each request, and does not end it before it may."""

    def __init__(self) -> None:
        self.threads: asyncio.Queue[threading.Thread] = asyncio.Queue()
        self.may_end = threading.Event()
        self.may_end.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await sync_to_async(self._work)(asyncio.get_running_loop())

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon_threadsafe(self.threads.put_nowait, threading.current_thread())
        self.may_end.wait(10)

    async def seen(self, count: int) -> set[threading.Thread]:
        """The threads of so many requests that have begun."""
        return {await self.threads.get() for _ in range(count)}


async def test_one_after_the_other_share_a_thread() -> None:
    requests = Requests()
    served = KeptThreads(requests)
    for _ in range(3):
        await served({}, None, None)
    threads = await requests.seen(3)
    assert len(threads) == 1
    assert threading.current_thread() not in threads


async def test_at_the_same_time_each_has_its_own() -> None:
    requests = Requests()
    requests.may_end.clear()
    served = KeptThreads(requests)
    running = asyncio.gather(*(served({}, None, None) for _ in range(3)))
    assert len(await requests.seen(3)) == 3
    requests.may_end.set()
    await running


async def test_a_thread_at_work_for_a_client_who_went_away_serves_nobody_else() -> None:
    requests = Requests()
    requests.may_end.clear()
    served = KeptThreads(requests)
    gone = asyncio.create_task(served({}, None, None))
    busy = await requests.seen(1)
    gone.cancel()
    await asyncio.wait([gone])
    following = asyncio.create_task(served({}, None, None))
    assert not busy & await requests.seen(1)
    requests.may_end.set()
    await following


async def test_nor_one_of_which_only_the_last_task_was_given_up() -> None:
    requests = Requests()
    requests.may_end.clear()

    async def twice(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.gather(requests(scope, receive, send), requests(scope, receive, send))

    served = KeptThreads(twice)
    gone = asyncio.create_task(served({}, None, None))
    await requests.seen(1)
    gone.cancel()
    await asyncio.wait([gone])
    assert not served._idle
    requests.may_end.set()


async def test_the_thread_of_a_request_that_failed_is_not_kept() -> None:
    """Django closes a request's database connections at its end, which it has not reached."""
    requests = Requests()

    async def fails(scope: Any, receive: Any, send: Any) -> None:
        await requests(scope, receive, send)
        raise RuntimeError("a stream broke")

    served = KeptThreads(fails)
    with pytest.raises(RuntimeError):
        await served({}, None, None)
    assert not served._idle


async def test_only_so_many_are_kept() -> None:
    requests = Requests()
    requests.may_end.clear()
    served = KeptThreads(requests)
    crowd = MOST_IDLE + 4
    running = asyncio.gather(*(served({}, None, None) for _ in range(crowd)))
    assert len(await requests.seen(crowd)) == crowd
    requests.may_end.set()
    await running
    assert len(served._idle) == MOST_IDLE


async def test_django_alone_starts_a_thread_for_each() -> None:
    """The twin."""
    requests = Requests()
    django: Any = get_asgi_application()
    django.handle = requests
    for _ in range(3):
        await django({"type": "http"}, None, None)
    assert len(await requests.seen(3)) == 3
