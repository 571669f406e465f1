"""Which paths lead anywhere: a dry run of Channels' routing, so that a ticket is not spent on a path that does not."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls.exceptions import Resolver404
from django.utils.module_loading import import_string


def resolves(application: Any, path: str) -> bool:
    """Whether a WebSocket at a path is answered by something. What is not a router answers every path.

    Args:
        application: An ASGI application: routers, with middleware around and between them.
        path: Decoded, without `root_path`.
    """
    router = _router(application)
    if isinstance(router, ProtocolTypeRouter):
        inner = router.application_mapping.get("websocket")
        return inner is not None and resolves(inner, path)
    if not isinstance(router, URLRouter):
        return True
    rest = path.lstrip("/")
    return any(_route_resolves(route, rest) for route in router.routes)


def addresses(application: Any, prefix: str = "/") -> Iterator[str]:
    """The addresses of all WebSockets, with their parameters as the patterns write them.

    Args:
        application: An ASGI application, as for `resolves`.
        prefix: Where it is.
    """
    router = _router(application)
    if isinstance(router, ProtocolTypeRouter):
        yield from addresses(router.application_mapping.get("websocket"), prefix)
    elif isinstance(router, URLRouter):
        for route in router.routes:
            yield from addresses(route.callback, prefix + str(route.pattern).lstrip("/"))
    elif router is not None:
        yield prefix


def _router(application: Any) -> Any:
    """The router inside any middleware that keeps what it wraps at `inner` or `application`, as all of Channels' do."""
    while not isinstance(application, (URLRouter, ProtocolTypeRouter)):
        inner = getattr(application, "inner", None) or getattr(application, "application", None)
        if inner is None:
            return application
        application = inner
    return application


def _route_resolves(route: Any, rest: str) -> bool:
    try:
        match = route.pattern.match(rest)
    except Resolver404:
        return False
    return match is not None and resolves(route.callback, match[0])


@functools.cache
def project_application() -> Any:
    """What `ASGI_APPLICATION` names, or None."""
    path = getattr(settings, "ASGI_APPLICATION", None)
    return import_string(path) if path else None
