"""The naive way, as an ASGI application: what the service would be had nobody thought of failing dependencies.

It asks Django's cache and database from the event loop, where everybody else waits for the answer. And it has
django-redis ignore errors, as one does with a cache: a ticket is given out that nobody has kept, and whoever cannot be
looked up is Anonymous.
"""

from __future__ import annotations

import os
import uuid
from typing import Any

from django.conf import settings

from config import addresses

# Django's own refusal to query from an event loop, switched off by the variable that its documentation names.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

settings.configure(
    CACHES={
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": os.environ["REDIS_URL"],
            "OPTIONS": {"IGNORE_EXCEPTIONS": True},
        }
    },
    DATABASES={
        "default": {
            **addresses.database(os.environ["DATABASE_URL"], password="", statement_seconds=0, pool_size=1),
            "OPTIONS": {},
        }
    },
)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """`/healthz`, `POST /api/tickets/`, `/user/`, and a WebSocket."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": _user(scope["query_string"].decode())})
        return
    status, body = _answer(scope["path"])
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def _answer(path: str) -> tuple[int, bytes]:
    if path == "/api/tickets/":
        return 201, _issue().encode()
    if path == "/user/":
        return 200, _query()
    return 200, b"ok\n"


def _issue() -> str:
    from django.core.cache import cache

    ticket = str(uuid.uuid4())
    cache.set(ticket, "owner", 30)
    return ticket


def _user(ticket: str) -> str:
    from django.core.cache import cache

    return cache.get(ticket) or "AnonymousUser"


def _query() -> bytes:
    from django.db import connection

    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT username FROM auth_user")
            return str(cursor.fetchone()[0]).encode()
    finally:
        connection.close()
