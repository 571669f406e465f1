"""What the service's OpenAPI document says of `POST /api/events/`."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import exceptions as drf

from ticketauth.exceptions import NotAuthenticated, Unavailable
from ticketauth.openapi import Refusals, no_store_headers

from .serializers import LONGEST_NAME, LONGEST_TYPE, Publication


def _text(longest: int, description: str) -> dict[str, Any]:
    pattern = r"^[^\x00]+$"
    return {"type": "string", "minLength": 1, "maxLength": longest, "pattern": pattern, "description": description}


def _only(name: str, description: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: _text(LONGEST_NAME, description)},
        "required": [name],
        "additionalProperties": False,
    }


class PublicationSchema(OpenApiSerializerExtension):
    """With the three kinds of addressees, and no other member."""

    target_class = Publication

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        fields = Publication().fields
        to = [
            {"type": "string", "enum": ["everyone"], "description": "All sockets."},
            _only("user", "The sockets of a user, named as in `ticketauth.ready`."),
            _only("sid", "The sockets of one login, named as in the list of logins."),
        ]
        return {
            "type": "object",
            "properties": {
                "to": {"oneOf": to},
                "type": _text(LONGEST_TYPE, str(fields["type"].help_text)),
                "data": {"description": str(fields["data"].help_text)},
            },
            "required": ["to", "type", "data"],
            "additionalProperties": False,
        }


_REFUSALS = Refusals(
    (drf.ParseError(), "the body is not JSON"),
    (
        drf.ValidationError({"to": ["This field is required."]}),
        "a field is missing or not valid, or the event too large",
    ),
    (NotAuthenticated("no_credential"), "there is no credential, or one that is no good"),
    (drf.PermissionDenied(), "one is no staff, or a session cookie comes without a valid CSRF token"),
    (drf.NotFound(), "there is no such user; no such login, or it is over"),
    (drf.MethodNotAllowed("GET"), "another method than POST"),
    (drf.NotAcceptable(), "`Accept` without JSON"),
    (drf.UnsupportedMediaType("text/plain"), "a body that is not `application/json`"),
    (Unavailable("channel_layer"), "a dependency is down; the event may be delivered all the same"),
)

publish = extend_schema(
    operation_id="publish_event",
    summary="Publish an event",
    description="For staff. To the open sockets of a user, of a login or of everyone, at most once. "
    "Nobody says whether it was heard.",
    tags=["events"],
    request=Publication,
    responses={202: OpenApiResponse(description="It was given to the channel layer."), **_REFUSALS.responses},
    parameters=[*no_store_headers(202), *_REFUSALS.headers],
    examples=[
        OpenApiExample("to everyone", {"to": "everyone", "type": "news", "data": {"at": "noon"}}, request_only=True),
        OpenApiExample("to a user", {"to": {"user": "42"}, "type": "order.shipped", "data": 7}, request_only=True),
        OpenApiExample(
            "to a login",
            {"to": {"sid": "5f0c8f4d0b6e4a1c9d2e7a3b8c41f690"}, "type": "hint", "data": None},
            request_only=True,
        ),
    ],
)
