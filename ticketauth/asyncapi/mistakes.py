"""What would make the document wrong: each with a sentence, and a hint that says what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_json

from ticketauth import conf, routing
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


def without_schema(application: Any) -> Iterator[Mistake]:
    """Messages of which nothing can be told."""
    for route in routing.walk(application):
        try:
            models = list(project.models_of(project.consumer_of(route)))
        except Misconfigured:
            continue  # `unreadable` says so.
        try:
            schemas.components(models)
        except Misconfigured as error:
            yield f"{route.address}: {error}", "Give the field a type that pydantic knows, or a `WithJsonSchema`."


def same_ids(application: Any) -> Iterator[Mistake]:
    """Two things of one id, of which the document would keep one."""
    try:
        contract = project.contract(conf.public_url(), application)
    except Misconfigured:
        return  # `unreadable` says so.
    taken = [endpoint.CHANNEL] if contract.endpoint else []
    for name in _twice([*(channel.id for channel in contract.channels), *taken]):
        addresses = [channel.address for channel in contract.channels if channel.id == name]
        by = " by the ticket endpoint" if len(addresses) == 1 else ""
        yield f"{' and '.join(addresses)}: the id {name!r} is taken{by}.", _NAME_IT
    for name in _twice([operation.id for channel in contract.channels for operation in channel.operations]):
        yield f"Two operations have the id {name!r}.", _NAME_IT
    for name in sorted({*contract.schemas} & {*endpoint.NAMES}) if contract.endpoint else ():
        yield f"{name} is a message of the ticket endpoint already.", "Give the model another name."


_NAME_IT = 'Give each route a name of its own: path("...", consumer, name="room").'


def _twice(names: list[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


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
    """Examples that their own model refuses. What is sent in another form than it is received cannot be told."""
    for model in filter(schemas.is_read_as_sent, _models(application)):
        for example in model.model_json_schema().get("examples", []):
            if reason := schemas.why_not(model, example):
                yield f"{model.__name__}: the example {example!r} is refused: {reason}.", _REPAIR
        for name, field in model.model_fields.items():
            for example in () if _validates(model, name) else field.examples or ():
                if _refused(TypeAdapter(field.rebuild_annotation()), example):
                    yield f"{model.__name__}.{name}: the example {example!r} is refused.", _REPAIR


_REPAIR = "Repair the example, or the model: clients copy it."


def _models(application: Any) -> list[type[BaseModel]]:
    return list({model: None for route in routing.walk(application) for model in _models_at(route)})


def _models_at(route: Route) -> Iterator[type[BaseModel]]:
    try:
        yield from (model for model, _ in project.models_of(project.consumer_of(route)))
    except Misconfigured:
        return  # `unreadable` says so.


def _validates(model: type[BaseModel], name: str) -> bool:
    """Whether a field has a validator of the model's, which may make of a value what its annotation asks for."""
    validators = model.__pydantic_decorators__.field_validators.values()
    return any(name in validator.info.fields or "*" in validator.info.fields for validator in validators)


def _refused(adapter: TypeAdapter[Any], example: Any) -> bool:
    try:
        adapter.validate_json(to_json(example))
    except ValidationError:
        return True
    return False
