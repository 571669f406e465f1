"""Where Channels' routing leads: which paths go anywhere, and all WebSockets there are."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.urls import converters
from django.urls.exceptions import Resolver404
from django.urls.resolvers import RoutePattern
from django.utils.module_loading import import_string
from django.utils.regex_helper import normalize


def resolves(application: Any, path: str) -> bool:
    """Whether a WebSocket at a path is answered by something. What is not a router answers every path.

    Args:
        application: An ASGI application: routers, with middleware around and between them.
        path: Decoded, without `root_path`. In one spelling only, though Channels takes any number of slashes before it.
    """
    router = _router(application)
    if isinstance(router, ProtocolTypeRouter):
        inner = router.application_mapping.get("websocket")
        return inner is not None and resolves(inner, path)
    if not isinstance(router, URLRouter):
        return True
    rest = path.removeprefix("/")
    return any(_route_resolves(route, rest) for route in router.routes)


@dataclass(frozen=True, slots=True)
class Route:
    """A WebSocket that the routing leads to.

    Attributes:
        address: With its parameters in braces: `/ws/rooms/{room_id}/`.
        parameters: What the routing says of each parameter.
        name: What `path(..., name=...)` says; empty where it says nothing.
        application: The consumer, or another ASGI application.
        layers: The middlewares that lead there, from the outside.
    """

    address: str
    parameters: Mapping[str, str]
    name: str
    application: Any
    layers: tuple[Any, ...]


def walk(application: Any) -> Iterator[Route]:
    """All WebSockets behind an ASGI application, in the order in which the routing tries them.

    Args:
        application: As for `resolves`.
    """
    yield from _walk(application, Route("/", {}, "", None, ()))


def _walk(application: Any, here: Route) -> Iterator[Route]:
    layers = [*here.layers]
    while not isinstance(application, (URLRouter, ProtocolTypeRouter)) and (inner := _inner(application)) is not None:
        layers.append(application)
        application = inner
    here = replace(here, application=application, layers=tuple(layers))
    if isinstance(application, ProtocolTypeRouter):
        if (inner := application.application_mapping.get("websocket")) is not None:
            yield from _walk(inner, here)
    elif isinstance(application, URLRouter):
        for route in application.routes:
            yield from _walk(route.callback, _below(here, route))
    elif application is not None and not isinstance(application, ASGIHandler):
        yield here


def _below(here: Route, route: Any) -> Route:
    """Where a route leads from here, as far as its pattern tells."""
    pattern = route.pattern
    if isinstance(pattern, RoutePattern):
        text = _CONVERTED.sub(r"{\1}", str(pattern))
        parameters = {name: _CONVERTERS.get(type(of), type(of).__name__) for name, of in pattern.converters.items()}
    else:
        text, names = _template(str(pattern), here.address.count(_UNNAMED))
        parameters = dict.fromkeys(names, f"As `{pattern}` has it.")
    address = here.address + text.lstrip("/")
    return replace(here, address=address, parameters={**here.parameters, **parameters}, name=route.name or "")


_UNNAMED = "{arg"
_CONVERTED = re.compile(r"<(?:[^>:]+:)?([^>]+)>")
WHOLE_NUMBER = "A whole number."
TEXT = "Text without `/`."
SLUG = "Letters, digits, `-` and `_`."
UUID = "A UUID in lower case."
PATH = "Text that may have `/` in it."
_CONVERTERS = {
    converters.IntConverter: WHOLE_NUMBER,
    converters.StringConverter: TEXT,
    converters.SlugConverter: SLUG,
    converters.UUIDConverter: UUID,
    converters.PathConverter: PATH,
}


def _template(expression: str, first: int) -> tuple[str, list[str]]:
    """A regular expression as an address, by what Django's `reverse()` makes of it, and its parameters.

    A choice without a name varies too, and becomes a parameter. What `reverse()` cannot do stays as it is.
    """
    try:
        text, groups = normalize(expression.replace("%", "%%").replace("(?:", "("))[0]
    except (NotImplementedError, ValueError):
        text, groups = "", []
    if not text:
        return re.sub(r"[{}^$]", "", expression), []
    names = {group: _spoken(group, first) for group in groups}
    return text % {group: f"{{{name}}}" for group, name in names.items()}, list(names.values())


def _spoken(group: str, first: int) -> str:
    """`_0`, as Django calls a group without a name, is `arg0`; below a router that has one too, `arg1`."""
    return f"arg{int(group[1:]) + first}" if group.startswith("_") else group


def _router(application: Any) -> Any:
    """The router inside any middleware."""
    while not isinstance(application, (URLRouter, ProtocolTypeRouter)):
        inner = _inner(application)
        if inner is None:
            return application
        application = inner
    return application


def _inner(application: Any) -> Any:
    """What a middleware wraps: it keeps that at `inner` or `application`, as all of Channels' do."""
    return getattr(application, "inner", None) or getattr(application, "application", None)


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
