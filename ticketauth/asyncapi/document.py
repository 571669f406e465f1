"""Channels and schemes in, one AsyncAPI 3.1.0 document out. Pure.

The document takes the server's view: what a client sends is `receive`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

from ticketauth.types import SecurityScheme
from ticketauth.wire import CLOSES

from . import endpoint
from .parts import Channel, Contract, Message, Object, Operation, filled, openapi, ref, reply, sentences
from .schemas import REF

VERSION = "3.1.0"


def build(contract: Contract) -> Object:
    """The document of a contract."""
    union = _union(channel.schemes for channel in contract.channels)
    asked = _union([contract.endpoint.schemes]) if contract.endpoint else {}
    messages = [*endpoint.messages(contract), *contract.messages]
    channels = {channel.id: _channel(channel) for channel in contract.channels}
    operations = {op.id: _operation(op, channel, union) for channel in contract.channels for op in channel.operations}
    return {
        "asyncapi": VERSION,
        "id": urljoin(contract.base_url, "/"),
        "info": _info(contract),
        "defaultContentType": "application/json",
        "servers": _servers(contract, union, asked),
        "channels": {**endpoint.channel(contract), **channels},
        "operations": {**endpoint.operation(contract), **operations},
        "components": filled(
            securitySchemes={name: _scheme(scheme) for name, scheme in {**union, **asked}.items()},
            messages={message.id: _message(message) for message in messages},
            schemas={**endpoint.schemas(contract), **contract.schemas},
        ),
    }


def _union(many: Iterable[Sequence[SecurityScheme]]) -> dict[str, SecurityScheme]:
    return {scheme.id: scheme for schemes in many for scheme in schemes}


def _security(names: Iterable[str]) -> list[Object]:
    return [ref("components", "securitySchemes", name) for name in names]


# --- The document's head


def _info(contract: Contract) -> Object:
    given = dict(contract.info)
    described = given.pop("description", "") or _introduction(contract)
    return {
        "title": "WebSockets",
        "version": "1.0.0",
        **given,
        "description": f"{described}\n\n{_close_table()}\n",
        **filled(externalDocs=openapi(contract)),
    }


def _introduction(contract: Contract) -> str:
    """How to connect, in steps."""
    if contract.endpoint is None:
        return "Messages over WebSockets."
    address = f"{_websocket(contract)}{endpoint.some_path(contract)}"
    return (
        "Messages over WebSockets, authenticated with one-time tickets.\n\n"
        f"1. Log in{f': `POST {contract.token_url}`' if contract.token_url else ''}. You get an access token.\n"
        f"2. `POST {contract.endpoint.address}` with `Authorization: Bearer <access token>` gives a ticket.\n"
        f"3. Open `{address}` with the ticket within {contract.endpoint.ttl} seconds. The handshake "
        "consumes it, whether it succeeds or not: for the next one ask for another ticket."
    )


def _close_table() -> str:
    rows = [f"| {close.code} | {close.meaning} | {close.retry.value} |" for close in CLOSES]
    return "\n".join(["| Close code | Meaning | What a client does |", "|---|---|---|", *rows])


def _websocket(contract: Contract) -> str:
    url = urlsplit(contract.base_url)
    return f"{'wss' if url.scheme == 'https' else 'ws'}://{url.netloc}{url.path.rstrip('/')}"


def _servers(contract: Contract, union: Iterable[str], asked: Iterable[str]) -> Object:
    url = urlsplit(contract.base_url)
    path = url.path.rstrip("/")
    http = filled(
        host=url.netloc,
        protocol=url.scheme,
        pathname=path,
        description="HTTP API that issues tickets.",
        security=_security(asked),
    )
    websocket = filled(
        host=url.netloc,
        protocol=urlsplit(_websocket(contract)).scheme,
        pathname=path,
        description="WebSockets. Any one of the schemes authorises the handshake.",
        security=_security(union),
    )
    return {**({"http": http} if contract.endpoint else {}), "websocket": websocket}


# --- Channels and operations


def _channel(channel: Channel) -> Object:
    named = [name for operation in channel.operations for name in (*operation.messages, *operation.replies)]
    summary, rest = sentences(channel.doc)
    return filled(
        address=channel.address,
        title=channel.title,
        summary=summary,
        description=rest,
        servers=[ref("servers", "websocket")],
        parameters=dict(channel.parameters),
        bindings={"ws": _handshake(channel)},
        messages={name: ref("components", "messages", name) for name in dict.fromkeys(named)},
    ) | {
        "x-close-codes": _closes() if channel.guarded else {},
        "x-security": [scheme.id for scheme in channel.schemes],
        "x-anonymous": channel.anonymous,
    }


def _handshake(channel: Channel) -> Object:
    """The binding: the query parameters and headers of the handshake, as the schemes have them."""
    query: dict[str, list[SecurityScheme]] = {}
    headers: dict[str, list[SecurityScheme]] = {}
    for scheme in channel.schemes:
        place, name = _place(scheme)
        (query if place == "query" else headers).setdefault(name, []).append(scheme)
    origin = {"Origin": {"type": "string", "description": "Sent by browsers. Must be an allowed origin."}}
    return {
        "bindingVersion": "0.1.0",
        "method": "GET",
        **_object("query", {name: _carrier(schemes) for name, schemes in query.items()}),
        **_object(
            "headers",
            {name: _carrier(schemes) for name, schemes in headers.items()} | (origin if channel.guarded else {}),
        ),
    }


def _object(kind: str, properties: Object) -> Object:
    return {kind: {"type": "object", "properties": properties}} if properties else {}


def _place(scheme: SecurityScheme) -> tuple[str, str]:
    """Where a credential travels: the query or the headers, and the name there."""
    if scheme.definition["type"] == "http":
        return "header", "Authorization"
    if scheme.definition["in"] == "cookie":
        return "header", "Cookie"
    return scheme.definition["in"], scheme.definition["name"]


def _carrier(schemes: Sequence[SecurityScheme]) -> Object:
    ids = ", ".join(f"`{scheme.id}`" for scheme in schemes)
    return {
        **schemes[0].schema,
        "description": f"As the security {'schemes say' if schemes[1:] else 'scheme says'}: {ids}.",
    }


def _closes() -> Object:
    return {
        str(close.code): {"meaning": close.meaning, "retry": close.retry.value, "status": close.status}
        for close in CLOSES
    }


def _operation(operation: Operation, channel: Channel, union: Mapping[str, Any]) -> Object:
    summary, rest = sentences(operation.doc)
    accepted = [scheme.id for scheme in channel.schemes]
    fewer = {"security": _security(accepted)} if set(accepted) != set(union) else {}
    return filled(
        action=operation.action,
        channel=ref("channels", channel.id),
        title=operation.title,
        summary=summary,
        description=rest,
        **fewer,
        messages=[ref("channels", channel.id, "messages", name) for name in operation.messages],
        reply=reply(channel.id, operation.replies),
    )


# --- Components


def _scheme(scheme: SecurityScheme) -> Object:
    return {**scheme.definition, "x-scheme": scheme.name}


def _message(message: Message) -> Object:
    summary, rest = sentences(message.doc)
    return filled(
        name=message.name,
        title=message.title,
        summary=summary,
        description=rest,
        contentType="application/json",
        correlationId={"location": "$message.payload#/id"} if message.correlated else {},
        payload={"$ref": REF + message.id},
        examples=[
            {"name": f"{message.id}{number or ''}", "payload": example}
            for number, example in enumerate(message.examples)
        ],
    )
