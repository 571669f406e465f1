"""T6, the floor: an ASGI application with PyJWT and GETDEL, and nothing around it. No user is read."""

from __future__ import annotations

import os
from typing import Any
from uuid import uuid4

import jwt
from redis.asyncio import Redis

_KEY = os.environ["JWT_SIGNING_KEY"]
redis = Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
take = redis.getdel


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Tickets over HTTP at any path, sockets at any path."""
    await (_issue(scope, send) if scope["type"] == "http" else _connect(scope, receive, send))


async def _issue(scope: Any, send: Any) -> None:
    bearer = dict(scope["headers"]).get(b"authorization", b"")
    try:
        user = jwt.decode(bearer.removeprefix(b"Bearer "), _KEY, algorithms=["HS256"])["user_id"]
    except jwt.PyJWTError:
        status, body = 401, b"{}"
    else:
        ticket = str(uuid4())
        await redis.set(f"raw:{ticket}", user, ex=60)
        status, body = 201, b'{"ticket_uuid":"%b"}' % ticket.encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _connect(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    ticket = scope["query_string"].removeprefix(b"ticket_uuid=").decode()
    if await take(f"raw:{ticket}") is None:
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass
