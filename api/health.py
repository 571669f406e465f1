"""Is the process alive, and can it serve?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from ticketauth import conf, hub
from ticketauth.batch import query
from ticketauth.loops import PerLoop
from ticketauth.models import Login

SECONDS = 1.5
"""That a dependency has to answer `/readyz`."""


LOST_SECONDS = 10
"""After which a message through the channel layer counts as lost."""


class Healthz:
    """200 at `/healthz` while the event loop turns. Asks nothing else: an orchestrator restarts what fails here.

    It stands in front of Django, whose middlewares would take such a request through a dozen threads, and refuse it
    where it names an address instead of a host.
    """

    def __init__(self, inner: Callable[..., Awaitable[None]]) -> None:
        self.inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Callable[..., Awaitable[None]]) -> None:
        """The ASGI application."""
        if scope["path"] != "/healthz":
            await self.inner(scope, receive, send)
            return
        status, headers, body = _ALIVE if scope["method"] in {"GET", "HEAD"} else _NOT_ALLOWED
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


_PLAIN = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"3"), (b"cache-control", b"no-store")]
_ALIVE = (200, _PLAIN, b"ok\n")
_NOT_ALLOWED = (405, [(b"allow", b"GET, HEAD"), (b"content-length", b"0")], b"")


@csrf_exempt
@require_safe
async def readyz(request: HttpRequest) -> HttpResponse:
    """200 or 503, with a line per dependency. A load balancer sends nobody to what fails here, or is about to end."""
    if (await hub.of_this_loop.get()).leaving:
        return _plain("draining\n", 503)
    probes = await _probes.get()
    states = await asyncio.gather(*(probe.state() for probe in probes))
    lines = "".join(f"{probe.name} {state}\n" for probe, state in zip(probes, states, strict=True))
    return _plain(lines, 200 if set(states) == {"ok"} else 503)


class Probe:
    """Asks a dependency, and never twice at a time: one that is silent takes one thread, however often it is asked.

    Args:
        name: Of the dependency.
        ask: Raises where it does not answer as it should.
    """

    def __init__(self, name: str, ask: Callable[[], Awaitable[object]]) -> None:
        self.name = name
        self._ask = ask
        self._asking: asyncio.Future[object] | None = None

    async def state(self) -> str:
        """`ok`, or what is wrong."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._ask())
            # Whoever asked may be gone when it fails, and asyncio logs what nobody looks at.
            self._asking.add_done_callback(lambda asking: asking.cancelled() or asking.exception())
        done, _ = await asyncio.wait([self._asking], timeout=SECONDS)
        if not done:
            return "silent"
        error = self._asking.exception()
        if isinstance(error, TimeoutError):
            return "silent"
        return f"failed ({type(error).__name__})" if error else "ok"


async def _tickets() -> None:
    await conf.store().ping()


async def _database() -> None:
    # By the way that handshakes take: what holds them up shows here.
    await query(_query, SECONDS)


async def _cache() -> None:
    await sync_to_async(_read_cache, thread_sensitive=False, executor=_thread)()


_thread = ThreadPoolExecutor(1, thread_name_prefix="readyz")
_probes: PerLoop[list[Probe]] = PerLoop(
    lambda: [
        Probe("database", _database),
        Probe("tickets", _tickets),
        Probe("cache", _cache),
        Probe("channels", _channels),
    ]
)


def _query() -> None:
    # A table of ours: a database that was not migrated is not ready either.
    Login.objects.exists()


def _read_cache() -> None:
    cache.get("readyz")


async def _channels() -> None:
    layer = get_channel_layer()
    if layer is not None:
        channel = f"readyz.{uuid4().hex}"
        await layer.send(channel, {"type": "readyz"})
        # What a fail-over has lost does not come any more, and the next question waits for the end of this one.
        async with asyncio.timeout(LOST_SECONDS):
            await layer.receive(channel)


def _plain(text: str, status: int) -> HttpResponse:
    response = HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "no-store"
    if status == 503:
        response["Retry-After"] = "2"
    return response
