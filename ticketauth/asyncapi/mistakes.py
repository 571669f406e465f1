"""What would make the document wrong: each with a sentence, and a hint that says what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_json

from ticketauth import routing
from ticketauth.exceptions import Misconfigured
from ticketauth.routing import Route

from . import endpoint, project, schemas

Mistake = tuple[str, str]
"""What is wrong, and what to do."""


def unreadable(application: Any) -> Iterator[Mistake]:
    """Handlers that are not annotated with messages, answers that are none, messages that cannot be told apart."""
    for route in routing.walk(application):
        try:
            list(project.models_of(project.consumer_of(route)))
        except Misconfigured as error:
            yield str(error), _ANNOTATE


_ANNOTATE = (
    "Annotate with pydantic models: `async def ping(self, message: Ping) -> Pong | None`. Of several messages each has "
    "`type: Literal[...]` with a word of its own."
)


def same_ids(application: Any) -> Iterator[Mistake]:
    """Two things of one id, of which the document would keep one."""
    routes = list(routing.walk(application))
    ids = Counter([*(project.channel_id(route) for route in routes), endpoint.CHANNEL])
    for name in [name for name, count in ids.items() if count > 1]:
        addresses = [route.address for route in routes if project.channel_id(route) == name]
        yield (
            f"{' and '.join(addresses)}: the id {name!r} is taken"
            + (" by the ticket endpoint." if name == endpoint.CHANNEL else "."),
            'Give each route a name of its own: path("...", consumer, name="room").',
        )
    for model in _models(application):
        if model.__name__ in endpoint.NAMES:
            yield f"{model.__name__} is a message of the ticket endpoint already.", "Give the model another name."


def wrong_parameters(application: Any) -> Iterator[Mistake]:
    """Parameters of the path that the consumer does not describe, or that are not in the path."""
    for route in routing.walk(application):
        described = getattr(project.consumer_of(route), "parameters", None)
        if not described or not isinstance(described, dict):
            continue
        for name in sorted({*described} ^ {*route.parameters}):
            where = "is not in the path" if name in described else "is not described by the consumer"
            yield (
                f"{route.address}: the parameter {name!r} {where}.",
                f"`parameters` of {project.consumer_of(route).__name__} has these keys: {sorted(route.parameters)}.",
            )


def wrong_examples(application: Any) -> Iterator[Mistake]:
    """Examples that their own model refuses."""
    for model in _models(application):
        for example in model.model_json_schema().get("examples", []):
            if reason := schemas.why_not(model, example):
                yield f"{model.__name__}: the example {example!r} is refused: {reason}.", _REPAIR
        for name, field in model.model_fields.items():
            for example in field.examples or ():
                if _refused(field.rebuild_annotation(), example):
                    yield f"{model.__name__}.{name}: the example {example!r} is refused.", _REPAIR


_REPAIR = "Repair the example, or the model: clients copy it."


def _models(application: Any) -> list[type[BaseModel]]:
    return list({model: None for route in routing.walk(application) for model in _models_at(route)})


def _models_at(route: Route) -> Iterator[type[BaseModel]]:
    try:
        yield from (model for model, _ in project.models_of(project.consumer_of(route)))
    except Misconfigured:
        return  # `unreadable` says so.


def _refused(annotation: Any, example: Any) -> bool:
    try:
        TypeAdapter(annotation).validate_json(to_json(example))
    except ValidationError:
        return True
    return False
