"""HTTP goes to Django, WebSockets to Channels."""

from __future__ import annotations

import os
from typing import Any

from channels.routing import ProtocolTypeRouter
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.exception import response_for_exception
from django.core.signals import request_started
from django.db import close_old_connections, reset_queries

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
http = get_asgi_application()

# These use models, which exist only now.
from api.health import Healthz  # noqa: E402
from ws.routing import application as websocket  # noqa: E402

from .threads import KeptThreads  # noqa: E402

# A change of thread at the beginning of each request, for nothing: queries are not kept (`DEBUG` is off), and the
# connections of the request before were closed at its end, by the same receiver.
request_started.disconnect(reset_queries)
request_started.disconnect(close_old_connections)


class StaticFiles(ASGIStaticFilesHandler):
    """The few files of the admin pages and ours, served by the process itself; a proxy may take /static/ over."""

    async def get_response_async(self, request: Any) -> Any:
        try:
            return await super().get_response_async(request)
        except SuspiciousOperation as error:
            return response_for_exception(request, error)


application = ProtocolTypeRouter({"http": Healthz(KeptThreads(StaticFiles(http))), "websocket": websocket})
