"""What a document is made of, and the few shapes that are the same everywhere in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

from ticketauth.types import SecurityScheme

from .schemas import Schema

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """A message, under the name of its schema.

    Attributes:
        id: The name of its schema.
        name: The word on the wire, as far as it has one.
        title: A word for a person.
        doc: What it is for.
        examples: At least one where one could be made.
        correlated: Whether its `id` ties question and answer together.
    """

    id: str
    name: str
    title: str
    doc: str
    examples: Sequence[Any] = ()
    correlated: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """What a client may send, or what the server sends by itself.

    Attributes:
        id: Its name in the document.
        action: `receive` or `send`.
        title: A word for a person.
        doc: What it is for.
        messages: Names of messages; none where anything goes.
        replies: Names of those that answer.
    """

    id: str
    action: str
    title: str
    doc: str
    messages: Sequence[str] = ()
    replies: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Channel:
    """A WebSocket address.

    Attributes:
        id: Its name in the document.
        address: With parameters in braces.
        title: A word for a person.
        doc: What it is for.
        parameters: A Parameter Object for each.
        schemes: Those that its handshake accepts.
        anonymous: Whether a handshake without a credential is let in.
        guarded: Whether it is ours that lets in and refuses, with our close codes.
        operations: What travels.
    """

    id: str
    address: str
    title: str
    doc: str
    parameters: Mapping[str, Object]
    schemes: Sequence[SecurityScheme]
    anonymous: bool
    guarded: bool
    operations: Sequence[Operation]


@dataclass(frozen=True, slots=True)
class TicketEndpoint:
    """Where tickets come from, over HTTP.

    Attributes:
        address: Its path.
        schemes: Those that its request may use.
        request: The JSON schema of the body.
        ticket: The JSON schema of a ticket.
        ttl: Seconds that a ticket lives.
    """

    address: str
    schemes: Sequence[SecurityScheme]
    request: Schema
    ticket: Schema
    ttl: int


@dataclass(frozen=True, slots=True)
class Contract:
    """All that a document tells.

    Attributes:
        info: Members of the `info` object that the project gives.
        base_url: Where the service is, such as `https://example.com`.
        channels: The WebSockets.
        messages: What the operations name.
        schemas: What the messages are made of, by name.
        endpoint: None where the project serves no tickets.
        openapi_url: The OpenAPI document; empty where there is none.
        token_url: Where user name and password become an access token; empty where nothing says so.
    """

    info: Mapping[str, Any]
    base_url: str
    channels: Sequence[Channel]
    messages: Sequence[Message] = ()
    schemas: Mapping[str, Schema] = field(default_factory=dict)
    endpoint: TicketEndpoint | None = None
    openapi_url: str = ""
    token_url: str = ""


def filled(**members: Any) -> Object:
    """An object without its empty members."""
    return {name: value for name, value in members.items() if value not in (None, "", {}, [], ())}


def ref(*parts: str) -> Object:
    """A reference to something else in the document."""
    return {"$ref": "/".join(("#", *parts))}


def sentences(doc: str) -> tuple[str, str]:
    """The first sentence, for `summary`, and the rest."""
    first, _, rest = doc.strip().partition("\n\n")
    return " ".join(first.split()), rest.strip()


def reply(channel: str, replies: Sequence[str]) -> Object:
    """The answers on a channel."""
    if not replies:
        return {}
    return {
        "channel": ref("channels", channel),
        "messages": [ref("channels", channel, "messages", name) for name in replies],
    }


def openapi(contract: Contract) -> Object:
    """The link to the document of the HTTP half; empty where there is none."""
    if not contract.openapi_url:
        return {}
    return {
        "description": "OpenAPI document of the HTTP API",
        "url": urljoin(contract.base_url, contract.openapi_url),
    }
