"""The ticket endpoint in a project's OpenAPI document, for drf-spectacular.

Loaded where `drf_spectacular` is one of the project's apps. Refusals are documented from the exceptions themselves,
so bodies and headers are those that are sent; the settings that change the contract are read at generation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, cast

from django.conf import settings
from django.urls import NoReverseMatch, reverse
from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerExtension,
    OpenApiViewExtension,
)
from drf_spectacular.plumbing import append_meta
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import exceptions as drf
from rest_framework.permissions import AllowAny
from rest_framework.views import APIView

from . import conf, problems, tickets
from .exceptions import NotAuthenticated, TooMany, Unavailable
from .serializers import LONGEST_PATH, TicketRequest

# --- Refusals


class Problem:
    """What every refusal says (RFC 9457 3.1)."""


class ProblemSchema(OpenApiSerializerExtension):
    """`code` is no enumeration: a client treats one that it does not know like its status alone."""

    target_class = Problem

    def get_name(self, auto_schema: Any, direction: Any) -> str:
        return "ProblemDetails"

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        sentences = {"type": "array", "items": {"type": "string"}}
        return {
            "type": "object",
            "description": "A refusal. Decide by `status` and `code`, never by `title` or `detail`.",
            "properties": {
                "title": {"type": "string", "description": "The kind of problem, for a person."},
                "status": {"type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status again."},
                "detail": {"type": "string", "description": "A sentence for a person."},
                "code": {"type": "string", "description": "A word for a program."},
                "errors": {
                    "type": "object",
                    "additionalProperties": sentences,
                    "description": "Only with `code` `invalid`: for each field a list of sentences.",
                },
            },
            "required": ["title", "status", "detail", "code"],
        }


NO_STORE = {"Cache-Control": "no-store"}
"""Of every answer that is about somebody's credentials."""

_HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "Allow": ({"type": "string"}, "The methods that there are."),
    "Cache-Control": ({"type": "string", "enum": ["no-store"]}, "Nobody keeps this answer."),
    "Referrer-Policy": ({"type": "string", "enum": ["no-referrer"]}, "No referrer is sent from this answer."),
    "Retry-After": ({"type": "integer", "minimum": 1}, "Seconds to wait before the next attempt."),
    "WWW-Authenticate": ({"type": "string", "pattern": "^Bearer"}, "The challenge (RFC 6750 3)."),
    "X-Content-Type-Options": ({"type": "string", "enum": ["nosniff"]}, "The type is what `Content-Type` says."),
}


def header(name: str, *statuses: int) -> OpenApiParameter:
    """A header that the answers with these statuses always have."""
    schema, description = _HEADERS[name]
    return OpenApiParameter(
        name, schema, OpenApiParameter.HEADER, required=True, description=description, response=list(statuses)
    )


def no_store_headers(status: int) -> list[OpenApiParameter]:
    """Those of an answer about somebody's credentials that is no refusal."""
    return [header(name, status) for name in ("Cache-Control", "Referrer-Policy")]


class Refusals:
    """What an endpoint refuses with, for `extend_schema`.

    Args:
        refusals: The exceptions that it raises, and when, as half a sentence.
    """

    def __init__(self, *refusals: tuple[Exception, str]) -> None:
        self._answers = defaultdict[int, list[tuple[Any, str]]](list)
        for exception, when in refusals:
            answer = problems.exception_handler(exception, {})
            if answer is None:
                raise TypeError(f"{exception!r} is no refusal")
            if isinstance(exception, drf.MethodNotAllowed):
                # Of the view, which knows its methods.
                answer["Allow"] = "POST, OPTIONS"
            self._answers[answer.status_code].append((answer, when))

    @property
    def responses(self) -> dict[tuple[int, str], OpenApiResponse]:
        """By status: the codes, each with when it is sent and an example."""
        return {(status, problems.CONTENT_TYPE): _response(answers) for status, answers in self._answers.items()}

    @property
    def headers(self) -> list[OpenApiParameter]:
        """By name: the statuses that have it."""
        statuses = defaultdict[str, list[int]](list)
        for status, answers in self._answers.items():
            for name in _HEADERS.keys() & set(answers[0][0].headers):
                statuses[name].append(status)
        return [header(name, *found) for name, found in sorted(statuses.items())]


def _response(answers: Sequence[tuple[Any, str]]) -> OpenApiResponse:
    whens = [f"`{answer.data['code']}`: {when}." for answer, when in answers]
    examples = [OpenApiExample(answer.data["code"], answer.data) for answer, _ in answers]
    return OpenApiResponse(Problem, "\n\n".join(whens), examples)


# --- Tickets


class IssuedTicket:
    """What `POST /api/tickets/` gives."""


class IssuedTicketSchema(OpenApiSerializerExtension):
    """As `TICKET_SECRET` and `TICKET_TTL` have it."""

    target_class = IssuedTicket

    def get_name(self, auto_schema: Any, direction: Any) -> str:
        return "SocketTicket"

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        ticket = tickets.schema(secret=conf.current().TICKET_SECRET)
        return {
            "type": "object",
            "properties": {
                "ticket_uuid": {**ticket, "description": "The ticket: opaque, 80 characters at most."},
                "expires_in": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": conf.current().TICKET_TTL,
                    "description": "Seconds that it lives. Count from the moment when you sent the request.",
                },
                "expires_at": {
                    "type": "string",
                    "format": "date-time",
                    "description": "The same by the server's clock. Never compare it with your own.",
                },
            },
            "required": ["ticket_uuid", "expires_in", "expires_at"],
        }


class TicketRequestSchema(OpenApiSerializerExtension):
    """As `TICKET_PATH_REQUIRED` and `TICKET_CLAIMS` have it."""

    target_class = TicketRequest

    def get_name(self, auto_schema: Any, direction: Any) -> str:
        return "SocketTicketOrder"

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        given = conf.current()
        path = {
            "type": "string",
            "pattern": r"^/[^?#\x00]*$",
            "maxLength": LONGEST_PATH,
            "description": str(TicketRequest().fields["path"].help_text),
        }
        schema = {
            "type": "object",
            "properties": {"path": path},
            # The project's callable reads members of its own.
            "additionalProperties": bool(given.TICKET_CLAIMS),
        }
        if given.TICKET_PATH_REQUIRED:
            return {**schema, "required": ["path"]}
        return append_meta(schema, {"nullable": True})


_DESCRIPTION = """
Get one for every connection attempt; do not store or share it. It opens one WebSocket, once, within {ttl} seconds.
{body}
{guests}
"""


class TicketViewDocumented(OpenApiViewExtension):
    """The ticket view and its subclasses, but for one that has an `extend_schema` of its own."""

    target_class = "ticketauth.views.TicketView"
    match_subclasses = True
    priority = -1

    def view_replacement(self) -> type[APIView]:
        view: Any = self.target
        if type(view.schema) is not type(APIView.schema) or hasattr(view.post, "kwargs"):
            return cast("type[APIView]", view)
        refusals = _refusals()
        post = extend_schema(
            operation_id="issue_ticket",
            summary="Get a ticket",
            description=_description(),
            external_docs=_page(),
            request=TicketRequest,
            responses={
                201: OpenApiResponse(IssuedTicket, "The ticket: connect now.", [_issued()]),
                **refusals.responses,
            },
            parameters=[*(header(name, 201) for name in _OF_A_TICKET), *refusals.headers],
            examples=[OpenApiExample("for one path", {"path": "/ws/events/"}, request_only=True)],
        )(lambda view, request: None)
        # What drf-spectacular takes for "or without any of these".
        permissions = (AllowAny,) if conf.current().GUEST_TICKETS else ()
        return type(view.__name__, (view,), {"post": post, "permission_classes": permissions, "__doc__": view.__doc__})


def _refusals() -> Refusals:
    return Refusals(
        (drf.ParseError(), "the body is not JSON"),
        (drf.ValidationError({"path": ["There is no WebSocket at this path."]}), "a member is unknown or not valid"),
        (NotAuthenticated("no_credential"), "there is no credential, or one that is no good"),
        (drf.PermissionDenied("CSRF Failed: CSRF token missing."), "a session cookie without a valid CSRF token"),
        (drf.MethodNotAllowed("GET"), "another method than POST"),
        (drf.UnsupportedMediaType("text/plain"), "a body that is not `application/json`"),
        (TooMany("rate", retry_after=7), "too many tickets"),
        (Unavailable("store"), "a dependency is down"),
    )


_OF_A_TICKET = ("Cache-Control", "Referrer-Policy", "X-Content-Type-Options")


def _description() -> str:
    given = conf.current()
    body = "`path` is required." if given.TICKET_PATH_REQUIRED else "The body is optional, but name the `path`."
    guests = "Without a credential you get a guest's ticket, for paths that allow anonymous users."
    return _DESCRIPTION.format(ttl=given.TICKET_TTL, body=body, guests=guests if given.GUEST_TICKETS else "").strip()


def _issued() -> OpenApiExample:
    given = conf.current()
    ticket = "0b1f8f04-6a4c-4d0b-9a53-6b6e0f8c8a0e" + (f".{'Zm9v' * 10}Zm9" if given.TICKET_SECRET else "")
    ends = "2026-11-21T10:00:30.123456Z"
    return OpenApiExample("a ticket", {"ticket_uuid": ticket, "expires_in": given.TICKET_TTL, "expires_at": ends})


def _page() -> dict[str, str] | None:
    """The page of the WebSockets that the ticket opens, where the project has it."""
    try:
        url = reverse("ticketauth_contract:page")
    except NoReverseMatch:
        return None
    return {"url": url, "description": "The WebSockets that it opens, and what travels there (AsyncAPI)"}


# --- Who asks


class BearerScheme(OpenApiAuthenticationExtension):
    """`bearerAuth`, as in the AsyncAPI document."""

    target_class = "ticketauth.authentication.BearerAuthentication"
    name = "bearerAuth"
    match_subclasses = True
    priority = -1

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token: this project's own, or one of an identity provider that it accepts.",
        }


class SessionScheme(OpenApiAuthenticationExtension):
    """Cookie and CSRF token, both."""

    target_class = "ticketauth.authentication.SessionLoginAuthentication"
    name = ["sessionCookie", "csrfToken"]
    match_subclasses = True
    priority = -1

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        return [
            {
                "type": "apiKey",
                "in": "cookie",
                "name": settings.SESSION_COOKIE_NAME,
                "description": "Django's session, of a user who has logged in.",
            },
            {
                "type": "apiKey",
                "in": "header",
                "name": _csrf_header(),
                "description": f"The value of the cookie `{settings.CSRF_COOKIE_NAME}`.",
            },
        ]


def _csrf_header() -> str:
    name = settings.CSRF_HEADER_NAME
    return "X-CSRFToken" if name == "HTTP_X_CSRFTOKEN" else name.removeprefix("HTTP_").replace("_", "-")
