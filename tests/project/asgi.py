"""A consumer that knows nothing of tickets, behind tickets and a scheme of the project's own.

`/naive/` is the twin: it refuses with a close code, before the upgrade.
"""

from typing import Any, ClassVar, NoReturn

from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

http = get_asgi_application()

from ticketauth.exceptions import Forbidden, Restarting, TooMany  # noqa: E402
from ticketauth.middleware import Receive, Send, TicketAuthMiddleware  # noqa: E402
from ticketauth.schemes.base import Scheme, Scope  # noqa: E402
from ticketauth.schemes.ticket import TicketHeader, TicketQuery, TicketSubprotocol  # noqa: E402
from ticketauth.types import Opening, SecurityScheme  # noqa: E402


class Turnstile:
    """`X-Turnstile`: refuses with what the library itself raises nowhere at a handshake."""

    name: ClassVar[str] = "turnstile"
    ambient: ClassVar[bool] = False
    challenge: ClassVar[str] = ""

    def find(self, opening: Opening) -> str | None:
        values = opening.header("x-turnstile")
        return values[0] if values else None

    async def authenticate(self, credential: str, opening: Opening) -> NoReturn:
        if credential == "forbidden":
            raise Forbidden("banned")
        if credential == "restarting":
            raise Restarting("restart")
        raise TooMany("crowded", retry_after=7)

    def hide(self, scope: Scope) -> Scope:
        return scope

    def security_scheme(self) -> SecurityScheme:
        return SecurityScheme("turnstile", {"type": "httpApiKey", "in": "header", "name": "X-Turnstile"}, self.name)


class HelloConsumer(AsyncJsonWebsocketConsumer):
    async def connect(self) -> None:
        await self.accept()
        await self.send_json({"hello": self.scope["user"].get_username()})

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        await self.send_json(content)


routes = URLRouter([path("ws/hello/", HelloConsumer.as_asgi())])
schemes: list[Scheme] = [TicketQuery(), TicketSubprotocol(), TicketHeader(), Turnstile()]
guarded = TicketAuthMiddleware(routes, schemes)


async def websocket(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] != "/naive/":
        await guarded(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.close", "code": 4401, "reason": "not_authenticated"})


application = ProtocolTypeRouter({"http": http, "websocket": websocket})
