"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig


class WsConfig(AppConfig):
    """The service's WebSocket surface."""

    name = "ws"
