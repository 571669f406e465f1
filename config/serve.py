"""The service under uvicorn, the same for every launcher: `manage.py serve`, `python -m config.serve`."""

from __future__ import annotations

import os
from typing import Any

# Read by websockets when it is imported. With its own limits, a WebSocket request with a line of over 8 KB is
# answered with nothing at all; with these, the middleware answers 414 or 431.
os.environ.setdefault("WEBSOCKETS_MAX_LINE_LENGTH", "1048576")
os.environ.setdefault("WEBSOCKETS_MAX_NUM_HEADERS", "256")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django
import uvicorn
from django.conf import settings

from ticketauth import conf

from . import server
from .env import Env
from .start import require_free, require_sane_settings, sentence_instead_of_traceback


def options(host: str, port: int) -> dict[str, Any]:
    """What uvicorn is told, but for the number of its workers."""
    return {
        "app": "config.asgi:application",
        "host": host,
        "port": port,
        "log_config": settings.LOGGING,
        # Ours reads X-Forwarded-For, by TRUSTED_PROXIES.
        "proxy_headers": False,
        "server_header": False,
        # Channels' router knows no such scope.
        "lifespan": "off",
        "h11_max_incomplete_event_size": 131072,
        "ws": "config.protocol:WebSocketProtocol",
        "ws_max_size": conf.current().MESSAGE_SIZE,
        "ws_ping_interval": settings.PING_INTERVAL,
        "ws_ping_timeout": settings.PING_TIMEOUT,
        "timeout_graceful_shutdown": server.REQUEST_SECONDS,
    }


def main() -> None:
    """Serve on HOST and PORT with WEB_CONCURRENCY workers."""
    with sentence_instead_of_traceback():
        env = Env(os.environ)
        host, port = env.text("HOST", "127.0.0.1"), env.whole("PORT", 8000, least=1, most=65535)
        workers = env.whole("WEB_CONCURRENCY", 1, least=1)
        django.setup()
        require_sane_settings()
        require_free(host, port)
    server.run(uvicorn.Config(**options(host, port), workers=workers))


if __name__ == "__main__":
    main()
