"""A stranger's Channels application, with the library around it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import URLRouter
from django.contrib.auth.models import User
from django.urls import path

Application = Callable[..., Awaitable[None]]


class Mirror(AsyncWebsocketConsumer):
    """Accepts, and tells what it finds in its scope."""

    async def connect(self) -> None:
        await self.accept()
        scope = {name: value for name, value in self.scope.items() if name not in {"user", "session"}}
        ticket = self.scope["ticket"]
        told = {
            "user": self.scope["user"].get_username(),
            "claims": ticket and dict(ticket.claims),
            "scheme": self.scope["ticketauth"].scheme,
            "query": self.scope["query_string"].decode(),
            "headers": [[name.decode(), value.decode()] for name, value in self.scope["headers"]],
            "subprotocols": self.scope["subprotocols"],
            "session": "session" in self.scope,
            "all": repr(scope),
        }
        await self.send(text_data=json.dumps(told))


class Chat(AsyncWebsocketConsumer):
    """Selects a subprotocol of its own."""

    async def connect(self) -> None:
        await self.accept("chat")


@pytest.fixture
def routes() -> Application:
    """What a stranger's project serves."""
    nested = URLRouter([path("deep/<int:number>/", Mirror.as_asgi())])
    routes: Any = [path("ws/mirror/", Mirror.as_asgi()), path("ws/chat/", Chat.as_asgi()), path("ws/nested/", nested)]
    return URLRouter(routes)


@pytest.fixture
def owner(transactional_db: None) -> User:
    """Whose ticket it is."""
    return User.objects.create_user("owner", password="correct horse")
