"""T1: the package django-channels-jwt, wired as its README says."""

from __future__ import annotations

import django

# Models exist only now.
django.setup()

from channels.routing import ProtocolTypeRouter  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.urls import path  # noqa: E402
from django_channels_jwt.middleware import JwtAuthMiddlewareStack  # noqa: E402
from django_channels_jwt.views import AsgiValidateTokenView  # noqa: E402

from tests.bench.peers.channels_apps import AcceptUser  # noqa: E402

urlpatterns = [path("ticket/", AsgiValidateTokenView.as_view())]
application = ProtocolTypeRouter(
    {"http": get_asgi_application(), "websocket": JwtAuthMiddlewareStack(AcceptUser.as_asgi())}
)
