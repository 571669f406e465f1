"""Is the process alive, and can it serve?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse

from ticketauth import conf

SECONDS = 1.5
"""That a dependency has to answer `/readyz`."""


async def healthz(request: HttpRequest) -> HttpResponse:
    """200 while the event loop turns. Asks nothing else: an orchestrator restarts what fails here."""
    return _plain("ok\n", 200)


async def readyz(request: HttpRequest) -> HttpResponse:
    """200 or 503, with a line per dependency. A load balancer sends nobody to what fails here."""
    probes: dict[str, Callable[[], Awaitable[object]]] = {
        "database": sync_to_async(_query, thread_sensitive=False),
        "tickets": conf.store().ping,
        "cache": sync_to_async(_read_cache, thread_sensitive=False),
        "channels": _send,
    }
    states = await asyncio.gather(*(_state(probe) for probe in probes.values()))
    lines = "".join(f"{name} {state}\n" for name, state in zip(probes, states, strict=True))
    return _plain(lines, 200 if set(states) == {"ok"} else 503)


async def _state(probe: Callable[[], Awaitable[object]]) -> str:
    try:
        async with asyncio.timeout(SECONDS):
            await probe()
    except TimeoutError:
        return "silent"
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is not ready
        return f"failed ({type(error).__name__})"
    return "ok"


def _query() -> None:
    try:
        connection.ensure_connection()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


def _read_cache() -> None:
    cache.get("readyz")


async def _send() -> None:
    layer = get_channel_layer()
    if layer is not None:
        channel = f"readyz.{uuid4().hex}"
        await layer.send(channel, {"type": "readyz"})
        await layer.receive(channel)


def _plain(text: str, status: int) -> HttpResponse:
    response = HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "no-store"
    if status == 503:
        response["Retry-After"] = "2"
    return response
