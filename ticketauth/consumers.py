"""Consumers whose messages have types: what comes is checked by them, and the AsyncAPI document is made of them.

class ChatConsumer(TypedConsumer):
    pushes = (Event,)

    @receives
    async def ping(self, message: Ping) -> Pong | Error: ...

Needs pydantic, `ticketauth[asyncapi]`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from channels.generic.websocket import AsyncWebsocketConsumer
from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, TypeAdapter, ValidationError

from .exceptions import Misconfigured

Models = tuple[type[BaseModel], ...]
Consumer = Any
"""A subclass of `TypedConsumer`. (To mypy, classes whose base is Any are not hashable.)"""

_Handler = TypeVar("_Handler", bound=Callable[..., Awaitable[Any]])


class Error(BaseModel):
    """A message was not understood. The socket stays open."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["error"] = "error"
    code: str = Field(description="A word for a program.", examples=["invalid"])
    detail: str = Field(description="A sentence for a person.", examples=["text: Field required"])


def receives(handler: _Handler) -> _Handler:
    """Mark a method of a `TypedConsumer` as the handler of the message that its argument is annotated with.

    Its return annotation says what it answers: models, `None` where it may say nothing. What it returns is sent.
    """
    handler.receives = True  # type: ignore[attr-defined]
    return handler


@dataclass(frozen=True, slots=True)
class Handled:
    """What a handler takes and answers.

    Attributes:
        name: The method's.
        doc: Its docstring.
        takes: The models of its argument.
        replies: The models that it returns, and the consumer's refusal of what it does not understand.
    """

    name: str
    doc: str
    takes: Models
    replies: Models


class TypedConsumer(AsyncWebsocketConsumer):
    """Text frames with JSON, each of one of the models that a method marked with `receives` takes.

    Attributes:
        pushes: The models that are sent without being asked for, with `tell`.
        parameters: A sentence for each parameter of the path, for the document.
        discriminator: The field, a `Literal` in every model, by which several messages are told apart.
    """

    pushes: ClassVar[Sequence[type[BaseModel]]] = ()
    parameters: ClassVar[Mapping[str, str]] = {}
    discriminator: ClassVar[str] = "type"

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Give a message to its handler, and send what that returns; refuse what is none.

        Raises:
            Misconfigured: The handlers are not annotated as `receives` asks.
        """
        if text_data is None:
            await self.tell(self.refusal("not_text", "Expected a text message with JSON."))
            return
        dispatch = self._dispatch()
        if not dispatch.handlers:
            await self.tell(self.refusal("invalid", "No message is expected here."))
            return
        try:
            message = dispatch.parse(text_data)
        except ValidationError as error:
            await self.tell(self.refusal("invalid", _sentence(error)))
            return
        reply = await getattr(self, dispatch.handlers[type(message)])(message)
        if reply is not None:
            await self.tell(reply)

    def refusal(self, code: str, detail: str) -> Error:
        """What is answered to a message that no handler takes. A subclass may return a model of its own.

        Args:
            code: `not_text` for a binary message, `invalid` for any other.
            detail: What is wrong with it.
        """
        return Error(code=code, detail=detail)

    async def tell(self, message: BaseModel) -> None:
        """Send a message.

        Raises:
            TypeError: It is neither an answer of a handler nor in `pushes`; the document would not tell of it.
        """
        if type(message) not in self._dispatch().sends:
            await self.close(code=1011)
            raise TypeError(f"{type(self).__name__} sends {type(message).__name__}, which is not in its `pushes`")
        await self.send(text_data=message.model_dump_json(by_alias=True))

    def _dispatch(self) -> _Dispatch:
        consumer: Consumer = type(self)
        return _dispatch(consumer)


@dataclass(frozen=True, slots=True)
class _Dispatch:
    parse: Callable[[str], BaseModel]
    handlers: Mapping[type[BaseModel], str]
    sends: frozenset[type[BaseModel]]


@functools.cache
def _dispatch(consumer: Consumer) -> _Dispatch:
    handled = handlers_of(consumer)
    taken = {model: handler.name for handler in handled for model in handler.takes}
    replies = [model for handler in handled for model in handler.replies]
    return _Dispatch(
        _parser(consumer, tuple(taken)), taken, frozenset({*replies, *refusals_of(consumer), *pushes_of(consumer)})
    )


@functools.cache
def handlers_of(consumer: Consumer) -> tuple[Handled, ...]:
    """The handlers of a consumer, in the order in which they are written.

    Raises:
        Misconfigured: One is not a coroutine function of one message and an answer, annotated with models; or two
            messages cannot be told apart.
    """
    methods: dict[str, Any] = {}
    for ancestor in reversed(consumer.__mro__):
        methods.update({name: method for name, method in vars(ancestor).items() if hasattr(method, "receives")})
    kept = {name: method for name in methods if (method := getattr(consumer, name)) is not None}
    handled = tuple(_handled(consumer, name, method) for name, method in kept.items())
    taken = [model for handler in handled for model in handler.takes]
    if len(set(taken)) < len(taken):
        raise Misconfigured(f"{_name(consumer)}: two handlers take the same message.")
    _parser(consumer, tuple(taken))
    return handled


def pushes_of(consumer: Consumer) -> Models:
    """The models in `pushes`.

    Raises:
        Misconfigured: It is no sequence of models.
    """
    if not isinstance(consumer.pushes, (tuple, list)):
        raise Misconfigured(f"{_name(consumer)}.pushes is no tuple of models. A tuple of one has a comma: (Event,).")
    return tuple(model for hint in consumer.pushes for model in _models(consumer, "pushes", hint))


def refusals_of(consumer: Consumer) -> Models:
    """The models that `refusal` returns."""
    return _models(consumer, "refusal", _hints(consumer, "refusal").get("return", Any))


def _handled(consumer: Consumer, name: str, method: Any) -> Handled:
    if not inspect.iscoroutinefunction(method):
        raise Misconfigured(f"{_name(consumer)}.{name} is no coroutine function: write `async def {name}(...)`.")
    names = list(inspect.signature(method).parameters)[1:]
    if len(names) != 1:
        raise Misconfigured(f"{_name(consumer)}.{name} has {len(names)} arguments; expected one, the message.")
    hints = _hints(consumer, name)
    for annotated, what in ((names[0], "message"), ("return", "answer")):
        if annotated not in hints:
            raise Misconfigured(f"{_name(consumer)}.{name}: its {what} is not annotated.")
    takes, replies = _models(consumer, name, hints[names[0]]), _models(consumer, name, hints["return"])
    return Handled(name, inspect.getdoc(method) or "", takes, tuple(dict.fromkeys([*replies, *refusals_of(consumer)])))


def _hints(consumer: Consumer, name: str) -> dict[str, Any]:
    try:
        return get_type_hints(getattr(consumer, name))
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise Misconfigured(f"{_name(consumer)}.{name}: the annotation cannot be read: {error}.") from None


def _models(consumer: Consumer, name: str, hint: Any) -> Models:
    """The models in an annotation such as `Pong | Error | None`."""
    kinds = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
    models = tuple(kind for kind in kinds if kind is not NoneType)
    for kind in models:
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            said = f"{kind!r} is no pydantic model, so nothing says what is sent"
            raise Misconfigured(f"{_name(consumer)}.{name}: {said}.")
        try:
            kind.model_rebuild()
        except (PydanticUserError, NameError) as error:
            said = str(error).partition("\n")[0]
            raise Misconfigured(f"{_name(consumer)}.{name}: {kind.__name__} cannot be read: {said}.") from None
    return models


@functools.cache
def _parser(consumer: Consumer, models: Models) -> Callable[[str], BaseModel]:
    """JSON text to one of some models."""
    if len(models) <= 1:
        return models[0].model_validate_json if models else BaseModel.model_validate_json
    union: Any = Annotated[Union[models], Field(discriminator=consumer.discriminator)]  # noqa: UP007 -- of a tuple
    try:
        return TypeAdapter(union).validate_json
    except (PydanticUserError, TypeError) as error:
        names = ", ".join(model.__name__ for model in models)
        raise Misconfigured(
            f"{_name(consumer)}: {names} cannot be told apart by {consumer.discriminator!r}: {error}"
        ) from None


def _name(consumer: Consumer) -> str:
    return f"{consumer.__module__}.{consumer.__qualname__}"


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]
