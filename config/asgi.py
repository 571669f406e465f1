"""HTTP goes to Django, WebSockets to Channels."""

from __future__ import annotations

import os

from channels.routing import ProtocolTypeRouter
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
http = get_asgi_application()

# Its consumers use models, which exist only now.
from ws.routing import application as websocket  # noqa: E402

# The few files of the admin pages are served by the process itself; a proxy may take /static/ over.
application = ProtocolTypeRouter({"http": ASGIStaticFilesHandler(http), "websocket": websocket})
