"""The contract of this project, read from what runs: its routing, its middleware, its consumers, its settings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from channels.auth import AuthMiddleware
from django.urls import NoReverseMatch, get_script_prefix, resolve, reverse
from pydantic import BaseModel

from ticketauth import conf, routing, tickets
from ticketauth.consumers import Handled, TypedConsumer, handlers_of, pushes_of
from ticketauth.frames import Expiring, NotRenewed, Renew, Renewed
from ticketauth.middleware import TicketAuthMiddleware
from ticketauth.routing import Route
from ticketauth.schemes.session import Session
from ticketauth.serializers import LONGEST_PATH
from ticketauth.types import SecurityScheme

from . import document as asyncapi
from . import schemas
from .parts import Channel, Contract, Message, Object, Operation, TicketEndpoint
from .schemas import Directed, Schema


def document(base_url: str) -> Object:
    """The AsyncAPI document of this project.

    Args:
        base_url: Where the service is, such as `https://example.com`.

    Raises:
        Misconfigured: A typed handler is not annotated as it should be; `manage.py check` says the same.
    """
    return at(base_url, anywhere())


def anywhere() -> Contract:
    """The contract of this project, but for its address; all that takes time."""
    return contract("", routing.project_application())


def at(base_url: str, told: Contract) -> Object:
    """The document of a contract at an address."""
    return asyncapi.build(replace(told, base_url=base_url))


def contract(base_url: str, application: Any) -> Contract:
    """All that the document of an ASGI application tells.

    Args:
        base_url: Where the service is.
        application: What `ASGI_APPLICATION` names.
    """
    routes = list(routing.walk(application))
    models = list(dict.fromkeys(directed for route in routes for directed in _models_of(route)))
    names, components = schemas.components(models)
    return Contract(
        info=conf.current().ASYNCAPI_INFO,
        base_url=base_url,
        channels=[_channel(route, names) for route in routes],
        messages=_messages(routes, names, components),
        schemas=components,
        endpoint=ticket_endpoint(),
        openapi_url=conf.current().OPENAPI_URL,
        token_url=conf.current().TOKEN_URL,
    )


# --- Channels


def consumer_of(route: Route) -> Any:
    """The consumer's class, or the ASGI application itself."""
    return getattr(route.application, "consumer_class", route.application)


def channel_id(route: Route) -> str:
    """The name of the route, else its address in one word: `wsRoomsByRoomId`."""
    words = re.findall(r"[A-Za-z0-9]+", route.name or route.address.replace("{", " by "))
    return route.name if re.fullmatch(r"[\w-]+", route.name, re.ASCII) else _joined(words) or "root"


def _joined(words: Sequence[str]) -> str:
    return "".join([*words[:1], *(word[:1].upper() + word[1:] for word in words[1:])])


def _channel(route: Route, names: dict[Directed, str]) -> Channel:
    consumer = consumer_of(route)
    gate = _gate(route)
    described = getattr(consumer, "parameters", {}) if _is_typed(consumer) else {}
    return Channel(
        id=channel_id(route),
        address=route.address,
        title=_title(consumer),
        doc=_doc(consumer),
        parameters={name: _parameter(said, described.get(name, said)) for name, said in route.parameters.items()},
        schemes=_schemes(gate),
        anonymous=gate is None or isinstance(gate, AuthMiddleware) or not gate.required,
        guarded=_is_guarded(route),
        operations=list(_operations(route, names)),
    )


def _parameter(routed: str, said: str) -> Object:
    """A Parameter Object: what the consumer says, else what the routing says."""
    example = _EXAMPLES.get(routed)
    return {"description": said, **({"examples": [example]} if example else {})}


_EXAMPLES = {
    routing.WHOLE_NUMBER: "42",
    routing.SLUG: "blue-room",
    routing.TEXT: "blue",
    routing.UUID: "0b8d7f0e-4c1a-4b52-9a54-6f4b6f5f6a10",
    routing.PATH: "blue/room",
}


def _gate(route: Route) -> Any:
    """The innermost middleware that says who is there: ours, or Channels' own."""
    gates = [layer for layer in route.layers if isinstance(layer, (TicketAuthMiddleware, AuthMiddleware))]
    return gates[-1] if gates else None


def _is_guarded(route: Route) -> bool:
    return isinstance(_gate(route), TicketAuthMiddleware)


def _schemes(gate: Any) -> list[SecurityScheme]:
    if isinstance(gate, AuthMiddleware):
        return [Session().security_scheme()]
    described = [scheme.security_scheme() for scheme in gate.schemes] if gate else []
    return [scheme for scheme in described if scheme is not None]


def _title(consumer: Any) -> str:
    name = getattr(consumer, "__name__", type(consumer).__name__)
    return _spaced(name.removesuffix("Consumer") or name)


def _spaced(name: str) -> str:
    """`RoomEvents` and `room_events` as words; `Box[int]` as it is."""
    if not name.isidentifier():
        return name
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", name).split()
    return " ".join([*(word.capitalize() for word in words[:1]), *(word.lower() for word in words[1:])])


def _doc(consumer: Any) -> str:
    """The docstring of the consumer itself: that of Channels' class says nothing of this one."""
    return (
        inspect.cleandoc(consumer.__doc__ or "") if isinstance(consumer, type) or inspect.isfunction(consumer) else ""
    )


# --- Operations and messages


def _is_typed(consumer: Any) -> bool:
    return isinstance(consumer, type) and issubclass(consumer, TypedConsumer)


_RENEWS = Handled("renew", inspect.getdoc(Renew) or "", (Renew,), (Renewed, NotRenewed))
"""What our middleware does on every socket behind it, whatever the consumer."""


def _models_of(route: Route) -> Iterator[Directed]:
    """Each model of a route, with its direction."""
    yield from models_of(consumer_of(route))
    if _is_guarded(route):
        yield from _directed([_RENEWS], [Expiring])


def models_of(consumer: Any) -> Iterator[Directed]:
    """Each model of a typed consumer, with its direction."""
    if _is_typed(consumer):
        yield from _directed(handlers_of(consumer), pushes_of(consumer))


def _directed(handlers: Iterable[Handled], pushes: Iterable[type[BaseModel]]) -> Iterator[Directed]:
    for handled in handlers:
        yield from ((model, "validation") for model in handled.takes)
        yield from ((model, "serialization") for model in handled.replies)
    yield from ((model, "serialization") for model in pushes)


def _operations(route: Route, names: dict[Directed, str]) -> Iterator[Operation]:
    channel, consumer = channel_id(route), consumer_of(route)
    suffix = channel[:1].upper() + channel[1:]
    if _is_typed(consumer):
        yield from (_received(suffix, handled, names) for handled in handlers_of(consumer))
        yield from (_sent(suffix, model, names) for model in pushes_of(consumer))
    else:
        yield Operation(f"receive{suffix}", "receive", "Any message", "Text or binary, as the consumer takes it.")
    if _is_guarded(route):
        yield _received(f"{suffix}Ticketauth", _RENEWS, names)
        yield _sent(f"{suffix}Ticketauth", Expiring, names)


def _sent(suffix: str, model: type[BaseModel], names: dict[Directed, str]) -> Operation:
    name = names[model, "serialization"]
    return Operation(
        f"send{suffix}{name.removesuffix('-Output')}", "send", _spaced(model.__name__), _doc(model), [name]
    )


def _received(suffix: str, handled: Handled, names: dict[Directed, str]) -> Operation:
    key = f"receive{suffix}{_joined(['', *handled.name.split('_')])}"
    messages = [names[model, "validation"] for model in handled.takes]
    replies = [names[model, "serialization"] for model in handled.replies]
    return Operation(key, "receive", _spaced(handled.name), handled.doc, messages, replies)


def _messages(routes: Sequence[Route], names: dict[Directed, str], components: dict[str, Schema]) -> list[Message]:
    correlated = {directed for route in routes for directed in _correlated(consumer_of(route))}
    made: dict[str, Message] = {}
    for (model, mode), name in names.items():
        schema = components[name]
        made[name] = Message(
            name,
            _word(schema) or model.__name__,
            _spaced(model.__name__),
            _doc(model),
            schemas.examples(model, schema, components),
            any((model, way) in correlated for way in (mode, "validation", "serialization")),
        )
    return list(made.values())


def _word(schema: Schema) -> str:
    """The word on the wire: the `type` that is always the same."""
    return str(schema.get("properties", {}).get("type", {}).get("const", ""))


def _correlated(consumer: Any) -> Iterator[Directed]:
    """Questions with an `id`, and the answers that repeat it."""
    for handled in handlers_of(consumer) if _is_typed(consumer) else ():
        answers = [model for model in handled.replies if "id" in model.model_fields]
        asked = [model for model in handled.takes if "id" in model.model_fields]
        if asked and answers:
            yield from ((model, "validation") for model in asked)
            yield from ((model, "serialization") for model in answers)


# --- The ticket endpoint


def ticket_endpoint() -> TicketEndpoint | None:
    """Where the project serves tickets, or None."""
    try:
        address = reverse("ticketauth:tickets")
    except NoReverseMatch:
        return None
    given, address = conf.current(), f"/{address.removeprefix(get_script_prefix())}"
    view = getattr(resolve(address).func, "view_class", None)
    classes = getattr(view, "authentication_classes", ())
    described = [kind.security_scheme() for kind in classes if hasattr(kind, "security_scheme")]
    return TicketEndpoint(
        address=address,
        schemes=described,
        request=_ticket_request(given),
        ticket=tickets.schema(secret=given.TICKET_SECRET),
        ttl=given.TICKET_TTL,
    )


def _ticket_request(given: conf.Settings) -> Schema:
    path = {
        "type": "string",
        "maxLength": LONGEST_PATH,
        "pattern": "^/[^?#]*$",
        "description": "The only path that the ticket opens, decoded. Without it, every one.",
    }
    return {
        "type": "object",
        **({"required": ["path"]} if given.TICKET_PATH_REQUIRED else {}),
        "properties": {"path": path},
        **({} if given.TICKET_CLAIMS else {"additionalProperties": False}),
    }
