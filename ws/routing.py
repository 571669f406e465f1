"""Which socket is where, and who may connect."""

from __future__ import annotations

from channels.routing import URLRouter
from django.urls import path

from ticketauth.middleware import TicketAuthMiddleware

from .consumers import EchoConsumer, EventsConsumer

websocket_urlpatterns = [
    path("ws/events/", EventsConsumer.as_asgi(), name="events"),
    path("ws/echo/", EchoConsumer.as_asgi(), name="echo"),
]

application = TicketAuthMiddleware(URLRouter(websocket_urlpatterns))
