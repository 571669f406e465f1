"""Several workers on one port, as `config.serve` starts them, which say in every answer who it comes from.

    PORT=8000 WEB_CONCURRENCY=4 python -m tests.workers service

Also the naive way, a consumer with a fault, and two that are busy, served alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sys
from typing import Any

import django
import uvicorn
from django.conf import settings
from redis.asyncio import Redis

from config import serve, server


def _signed(application: Any) -> Any:
    async def signed(scope: Any, receive: Any, send: Any) -> None:
        async def sign(message: Any) -> None:
            if message["type"] in {"websocket.accept", "websocket.http.response.start"}:
                worker = (b"x-worker", str(os.getpid()).encode())
                message = {**message, "headers": [*message.get("headers", ()), worker]}
            await send(message)

        await application(scope, receive, sign)

    return signed


def service() -> Any:
    """The service."""
    from config.asgi import application

    return _signed(application)


def naive() -> Any:
    """The naive way: a ticket is got, then deleted."""
    redis = functools.cache(lambda: Redis.from_url(settings.REDIS_URL))

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        ticket = scope["query_string"].decode().removeprefix("ticket_uuid=")
        if await redis().get(ticket) is None:
            await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b""})
            return
        await redis().delete(ticket)
        await send({"type": "websocket.accept"})

    return _signed(application)


def faulty() -> Any:
    """A consumer that fails, and says too much about it."""
    from channels.generic.websocket import AsyncWebsocketConsumer

    from ticketauth.middleware import TicketAuthMiddleware

    class Faulty(AsyncWebsocketConsumer):
        async def connect(self) -> None:
            raise RuntimeError(f"no idea what to do with {self.scope}")

    return TicketAuthMiddleware(Faulty.as_asgi())


def busy() -> Any:
    """A consumer that has no time to hear that it is over, and takes no cancellation for an answer."""
    # In a worker of several nobody has.
    django.setup()
    from channels.generic.websocket import AsyncWebsocketConsumer

    from ticketauth.middleware import TicketAuthMiddleware

    class Busy(AsyncWebsocketConsumer):
        async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
            await self.send("busy")
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(60)

    return TicketAuthMiddleware(Busy.as_asgi(), required=False)


def held_up() -> Any:
    """A consumer that says what it hears, and that `wait` holds up until another socket says `go on`."""
    django.setup()
    from channels.generic.websocket import AsyncWebsocketConsumer

    from ticketauth.middleware import TicketAuthMiddleware

    may_go_on = asyncio.Event()

    class HeldUp(AsyncWebsocketConsumer):
        async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
            if text_data == "wait":
                await may_go_on.wait()
            elif text_data == "go on":
                may_go_on.set()
            await self.send(text_data)

    return TicketAuthMiddleware(HeldUp.as_asgi(), required=False)


def main() -> None:
    """Serve on PORT with WEB_CONCURRENCY workers."""
    django.setup()
    options = serve.options("127.0.0.1", int(os.environ["PORT"]))
    application = {"app": f"tests.workers:{sys.argv[1]}", "factory": True}
    server.run(uvicorn.Config(**{**options, **application}, workers=int(os.environ["WEB_CONCURRENCY"])))


if __name__ == "__main__":
    main()
