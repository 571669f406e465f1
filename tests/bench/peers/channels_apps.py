"""T5, T4 and T3: Channels without authentication, with its own for the session, and with a JWT in the query."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qs

import django

# Models exist only now.
django.setup()

import jwt  # noqa: E402
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.db import database_sync_to_async  # noqa: E402
from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.middleware import BaseMiddleware  # noqa: E402
from django.contrib.auth.models import AnonymousUser, User  # noqa: E402

_KEY = os.environ["JWT_SIGNING_KEY"]


class Accept(AsyncWebsocketConsumer):
    """Lets everybody in, as Channels' own does."""


class AcceptUser(AsyncWebsocketConsumer):
    """Lets users in."""

    async def connect(self) -> None:
        """Accept or refuse."""
        await (self.accept() if self.scope["user"].is_authenticated else self.close())


class QueryToken(BaseMiddleware):
    """The recipe of many tutorials: `?token=<JWT>`, and the user is read."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        token = parse_qs(scope["query_string"].decode()).get("token", [""])[0]
        return await super().__call__({**scope, "user": await _user(token)}, receive, send)


@database_sync_to_async
def _user(token: str) -> User | AnonymousUser:
    try:
        claims = jwt.decode(token, _KEY, algorithms=["HS256"])
        return User.objects.get(pk=claims["user_id"])
    except (jwt.PyJWTError, User.DoesNotExist):
        return AnonymousUser()


bare = Accept.as_asgi()
session = AuthMiddlewareStack(AcceptUser.as_asgi())
jwt_query = QueryToken(AcceptUser.as_asgi())
