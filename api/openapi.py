"""The service's OpenAPI document: what `views.py` answers, and what Django and the health checks answer beside it."""

from __future__ import annotations

import functools
import json
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import conditional_page, require_safe
from drf_spectacular.extensions import OpenApiSerializerExtension, OpenApiSerializerFieldExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import exceptions as drf
from rest_framework.renderers import BaseRenderer

from ticketauth.contract.views import cache_control, may_read
from ticketauth.exceptions import NotAuthenticated, Unavailable
from ticketauth.openapi import Refusals, no_store_headers
from ticketauth.problems import CONTENT_TYPE

from . import errors
from .serializers import Connection, Credentials, JSONBoolean, Refresh, RevokeAll, Session, TokenPair

_PATTERNS = {
    "username": r"^[^\x00]*[^\s\x00][^\x00]*$",
    "password": r"^[^\x00]+$",
    "refresh": r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$",
}
"""What the fields of Django REST framework ask for, or find without being asked."""


class CredentialsSchema(OpenApiSerializerExtension):
    """With the patterns."""

    target_class: Any = Credentials

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = super().map_serializer(auto_schema, direction)
        for name, member in schema["properties"].items():
            member["pattern"] = _PATTERNS[name]
        return schema


class JSONBooleanField(OpenApiSerializerFieldExtension):
    """Nothing else that Python takes for true."""

    target_class = JSONBoolean

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        return {"type": "boolean"}


class RefreshSchema(CredentialsSchema):
    """With the pattern."""

    target_class = Refresh


def _body(field: str) -> list[tuple[Exception, str]]:
    missing = drf.ValidationError({field: ["This field is required."]})
    return [(drf.ParseError(), "the body is not JSON"), (missing, "a field is missing or not valid")]


_REQUEST = (
    (drf.MethodNotAllowed("GET"), "another method than POST"),
    (drf.NotAcceptable(), "`Accept` without JSON"),
    (drf.UnsupportedMediaType("text/plain"), "a body that is not `application/json`"),
    (Unavailable("database"), "a dependency is down"),
)
_LOGIN = Refusals(
    *_body("username"),
    (NotAuthenticated("password", "User name or password is wrong."), "user name or password is wrong"),
    (drf.Throttled(6), "too many attempts to log in"),
    *_REQUEST,
)
_TOKEN = Refusals(
    *_body("refresh"),
    (NotAuthenticated("signature"), "the refresh token is no good, or its login is over"),
    *_REQUEST,
)

_JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbl90eXBlIjoi{0}In0.c2lnbmF0dXJl"
_PAIR = OpenApiExample("a pair", {"access": _JWT.format("YWNjZXNz"), "refresh": _JWT.format("cmVmcmVzaA")})
_REFRESH = OpenApiExample("a refresh token", {"refresh": _JWT.format("cmVmcmVzaA")}, request_only=True)
_CREDENTIALS = OpenApiExample("credentials", {"username": "ada", "password": "correct horse"}, request_only=True)

log_in = extend_schema(
    operation_id="log_in",
    summary="Log in",
    description="User name and password become a login, with an access and a refresh token. Each login is its own.",
    request=Credentials,
    responses={200: OpenApiResponse(TokenPair, "Keep both.", [_PAIR]), **_LOGIN.responses},
    parameters=[*no_store_headers(200), *_LOGIN.headers],
    examples=[_CREDENTIALS],
)
refresh = extend_schema(
    operation_id="refresh_tokens",
    summary="Get the next tokens",
    description="A refresh token becomes the next pair, and is spent. The immediate predecessor is accepted for some "
    "seconds more, for a client that lost the answer; one that is older ends the login.",
    request=Refresh,
    responses={200: OpenApiResponse(TokenPair, "Replace both.", [_PAIR]), **_TOKEN.responses},
    parameters=[*no_store_headers(200), *_TOKEN.headers],
    examples=[_REFRESH],
)
log_out = extend_schema(
    operation_id="log_out",
    summary="Log out",
    description="The login of this refresh token is over: no ticket, handshake or refresh succeeds any more. It may be "
    "any of the login's refresh tokens, an expired one too, and sent again.",
    request=Refresh,
    responses={204: OpenApiResponse(description="The login is over."), **_TOKEN.responses},
    parameters=[*no_store_headers(204), *_TOKEN.headers],
    examples=[_REFRESH],
)

_ASKED = (
    (NotAuthenticated("no_credential"), "there is no credential, or one that is no good"),
    (drf.MethodNotAllowed("PUT"), "another method"),
    (drf.NotAcceptable(), "`Accept` without JSON"),
    (Unavailable("database"), "a dependency is down"),
)
_CSRF = (drf.PermissionDenied("CSRF Failed: CSRF token missing."), "a session cookie without a valid CSRF token")
_LIST = Refusals(*_ASKED)
_END = Refusals(*_ASKED, _CSRF, (drf.NotFound(), "one has no such login"))
_END_ALL = Refusals(
    *_body("keep_current"),
    *_ASKED,
    _CSRF,
    (drf.UnsupportedMediaType("text/plain"), "a body that is not `application/json`"),
)
_OVER = "No ticket, handshake or refresh succeeds any more. A session is over for every page."
_SESSION = {
    "sid": "5f0c8f4d0b6e4a1c9d2e7a3b8c41f690",
    "label": "Firefox on Linux",
    "created_at": "2026-11-21T10:00:00.123456Z",
    "last_seen": "2026-11-21T10:05:00.123456Z",
    "expires_at": "2026-11-22T10:05:00.123456Z",
    "current": True,
    "connections": 2,
}

list_sessions = extend_schema(
    operation_id="list_sessions",
    summary="List one's own logins",
    description="Those that are not over, the last seen first; the 200 last seen, where there are more.",
    tags=["sessions"],
    responses={
        200: OpenApiResponse(Session(many=True), "The logins.", [OpenApiExample("one login", _SESSION)]),
        **_LIST.responses,
    },
    parameters=[*no_store_headers(200), *_LIST.headers],
)
end_session = extend_schema(
    operation_id="end_session",
    summary="End one of one's own logins",
    description=f"{_OVER} Sent again, it is 204 again.",
    tags=["sessions"],
    responses={204: OpenApiResponse(description="The login is over."), **_END.responses},
    parameters=[
        OpenApiParameter("sid", {"type": "string", "pattern": "^[-a-zA-Z0-9_]+$"}, OpenApiParameter.PATH),
        *no_store_headers(204),
        *_END.headers,
    ],
)
revoke_all = extend_schema(
    operation_id="revoke_all_sessions",
    summary="End all of one's own logins, or all others",
    description=f"{_OVER} Tokens without login and those of an identity provider are refused that were issued before.",
    tags=["sessions"],
    request=RevokeAll,
    responses={204: OpenApiResponse(description="They are over."), **_END_ALL.responses},
    parameters=[*no_store_headers(204), *_END_ALL.headers],
    examples=[OpenApiExample("all others", {"keep_current": True}, request_only=True)],
)

_CONNECTION = {
    "connection_id": "6dc67cee506e4e3ca063e7937fdb5737",
    "sid": "5f0c8f4d0b6e4a1c9d2e7a3b8c41f690",
    "path": "/ws/events/",
    "scheme": "ticket_subprotocol",
    "address": "198.51.100.7",
    "label": "Firefox on Linux",
    "since": "2026-11-21T10:00:00.123000Z",
}
_CLOSE = Refusals(*_ASKED, _CSRF, (drf.NotFound(), "one has no such socket open"))

list_connections = extend_schema(
    operation_id="list_connections",
    summary="List one's own open sockets",
    description="Those of all one's logins, the newest first; the 200 newest, where there are more.",
    tags=["connections"],
    responses={
        200: OpenApiResponse(Connection(many=True), "The sockets.", [OpenApiExample("one socket", _CONNECTION)]),
        **_LIST.responses,
    },
    parameters=[*no_store_headers(200), *_LIST.headers],
)
end_connection = extend_schema(
    operation_id="end_connection",
    summary="Close one of one's own sockets",
    description="It is closed with 4403 within seconds. Its login goes on.",
    tags=["connections"],
    responses={204: OpenApiResponse(description="It is about to be closed."), **_CLOSE.responses},
    parameters=[
        OpenApiParameter("connection_id", {"type": "string", "pattern": "^[-a-zA-Z0-9_]+$"}, OpenApiParameter.PATH),
        *no_store_headers(204),
        *_CLOSE.headers,
    ],
)


@require_safe
@conditional_page
def as_json(request: HttpRequest) -> HttpResponse:
    """`GET /api/openapi.json`."""
    return _served(request, "json")


@require_safe
@conditional_page
def as_yaml(request: HttpRequest) -> HttpResponse:
    """`GET /api/openapi.yaml`."""
    return _served(request, "yaml")


_RENDERERS: dict[str, type[BaseRenderer]] = {"json": OpenApiJsonRenderer, "yaml": OpenApiYamlRenderer}


def _served(request: HttpRequest, form: str) -> HttpResponse:
    if not may_read(request):
        raise PermissionDenied
    response = HttpResponse(_rendered(form), content_type=f"application/{form}")
    response["Cache-Control"] = cache_control()
    return response


@functools.cache
def _rendered(form: str) -> Any:
    """Once: it depends on code and settings alone, and takes its time."""
    return _RENDERERS[form]().render(SchemaGenerator().get_schema(public=True))


def _forget(**kwargs: object) -> None:
    """Django's `override_settings` has put other values in place."""
    _rendered.cache_clear()


setting_changed.connect(_forget, dispatch_uid="api.openapi")


def complete(result: dict[str, Any], **kwargs: object) -> dict[str, Any]:
    """Add what no view of Django REST framework answers: Django's own refusals, and the health checks."""
    for path in result["paths"].values():
        for operation in path.values():
            responses = operation["responses"]
            responses.setdefault("400", _empty(responses["401"]))
            bad = _said(errors.bad_request(HttpRequest(), Exception()))
            responses["400"]["content"][CONTENT_TYPE]["examples"]["BadRequest"] = {"value": bad}
            told = (responses["400"]["description"], "`bad_request`: the request itself is not understood.")
            responses["400"]["description"] = "\n\n".join(part for part in told if part)
            responses["500"] = _internal(responses["400"])
            if operation["operationId"] in {"log_in", "refresh_tokens"}:
                responses["200"]["links"] = _LINKS
    result["paths"] = {**result["paths"], **HEALTH}
    return result


def _empty(like: dict[str, Any]) -> dict[str, Any]:
    """A refusal without a reason yet."""
    schema = like["content"][CONTENT_TYPE]["schema"]
    return {
        "headers": {"Cache-Control": like["headers"]["Cache-Control"]},
        "content": {CONTENT_TYPE: {"schema": schema, "examples": {}}},
        "description": "",
    }


_LINKS = {
    name: {"operationId": name, "requestBody": {"refresh": "$response.body#/refresh"}}
    for name in ("refresh_tokens", "log_out")
}


def _said(answer: HttpResponse) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(answer.content)
    return body


def _internal(like: dict[str, Any]) -> dict[str, Any]:
    internal = _empty(like)
    example = {"value": _said(errors.server_error(HttpRequest()))}
    internal["content"][CONTENT_TYPE]["examples"] = {"Internal": example}
    return {**internal, "description": "`internal`: a fault of the service."}


def _plain(description: str, example: str, **headers: Any) -> dict[str, Any]:
    return {
        "description": description,
        "headers": {name.replace("_", "-"): {"required": True, "schema": schema} for name, schema in headers.items()},
        "content": {"text/plain": {"schema": {"type": "string"}, "examples": {"Lines": {"value": example}}}},
    }


_NO_STORE = {"type": "string", "enum": ["no-store"]}
_ONLY_GET = {
    "description": "Another method than GET and HEAD.",
    "headers": {"Allow": {"required": True, "schema": {"type": "string"}}},
}

HEALTH: dict[str, Any] = {
    "/healthz": {
        "get": {
            "operationId": "get_liveness",
            "summary": "Is the process alive?",
            "tags": ["health"],
            "responses": {
                "200": _plain("It is.", "ok\n", Cache_Control=_NO_STORE),
                "405": _ONLY_GET,
            },
        }
    },
    "/readyz": {
        "get": {
            "operationId": "get_readiness",
            "summary": "Can it serve?",
            "description": "A line per dependency. A load balancer sends nobody to what fails here.",
            "tags": ["health"],
            "responses": {
                "200": _plain(
                    "Everything answers.", "database ok\ntickets ok\ncache ok\nchannels ok\n", Cache_Control=_NO_STORE
                ),
                "405": _ONLY_GET,
                "503": _plain(
                    "Something does not; or `draining`: the server is about to end.",
                    "database ok\ntickets failed (Unavailable)\ncache ok\nchannels ok\n",
                    Cache_Control=_NO_STORE,
                    Retry_After={"type": "integer", "minimum": 1},
                ),
            },
        }
    },
}
