"""Typed consumers at run time: what comes is of the models that the document shows, and so is what goes."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from channels.testing import WebsocketCommunicator
from pydantic import BaseModel

from ticketauth.consumers import Error, TypedConsumer, handlers_of, pushes_of, receives
from ticketauth.exceptions import Misconfigured

# Channels closes old connections before each message, also those that another test has left in that thread.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_channel_layer(settings: Any) -> None:
    """Whose connections would outlive the event loop of a test."""
    settings.CHANNEL_LAYERS = {}


class Ping(BaseModel):
    type: Literal["ping"]
    id: int


class Pong(BaseModel):
    type: Literal["pong"] = "pong"
    id: int


class Say(BaseModel):
    type: Literal["say"]
    text: str


class Secret(BaseModel):
    type: Literal["secret"] = "secret"


class Talk(TypedConsumer):
    pushes = (Say,)

    @receives
    async def ping(self, message: Ping) -> Pong | Error:
        if message.id < 0:
            return Error(code="negative", detail="Expected a positive id.")
        return Pong(id=message.id)

    @receives
    async def say(self, message: Say) -> None:
        if message.text == "secret":
            await self.tell(Secret())
        await self.tell(Say(type="say", text=message.text.upper()))


class Silent(TypedConsumer):
    pushes = (Say,)


async def _answer(consumer: type[TypedConsumer], *, text: str | None = None, data: bytes | None = None) -> Any:
    socket = WebsocketCommunicator(consumer.as_asgi(), "/")
    await socket.connect()
    await socket.send_to(text_data=text, bytes_data=data)
    answer = json.loads(await socket.receive_from())
    await socket.disconnect()
    return answer


async def test_a_message_reaches_the_handler_of_its_type() -> None:
    assert await _answer(Talk, text='{"type": "ping", "id": 7}') == {"type": "pong", "id": 7}


async def test_a_handler_may_answer_with_another_of_its_models() -> None:
    assert (await _answer(Talk, text='{"type": "ping", "id": -1}'))["code"] == "negative"


async def test_a_handler_may_answer_nothing_and_push() -> None:
    assert await _answer(Talk, text='{"type": "say", "text": "hi"}') == {"type": "say", "text": "HI"}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "null",
        '{"type": "shout"}',
        '{"id": 1}',
        '{"type": "ping", "id": "x"}',
        "[" * 10000,
        '{"type": "ping", "id": 1e999}',
    ],
)
async def test_what_is_no_message_is_answered_with_what_is_wrong(text: str) -> None:
    answer = await _answer(Talk, text=text)
    assert (answer["type"], answer["code"]) == ("error", "invalid")
    assert answer["detail"]


async def test_a_wrong_field_is_named() -> None:
    answer = await _answer(Talk, text='{"type": "ping", "id": "x"}')
    assert answer["detail"].startswith("ping.id: ")


async def test_a_binary_message_is_answered_with_what_is_wrong() -> None:
    assert (await _answer(Talk, data=b"\x00"))["code"] == "not_text"


async def test_a_consumer_without_handlers_takes_nothing() -> None:
    assert (await _answer(Silent, text="{}"))["detail"] == "No message is expected here."


async def test_what_the_document_does_not_tell_of_is_not_sent() -> None:
    socket = WebsocketCommunicator(Talk.as_asgi(), "/")
    await socket.connect()
    await socket.send_to(text_data='{"type": "say", "text": "secret"}')
    assert (await socket.receive_output())["code"] == 1011
    with pytest.raises(TypeError, match="Talk sends Secret, which is not in its `pushes`"):
        await socket.wait()


async def test_a_subclass_may_drop_a_handler() -> None:
    class Mute(Talk):
        ping = None  # type: ignore[assignment]

    assert [handled.name for handled in handlers_of(Mute)] == ["say"]


@pytest.mark.parametrize("pushes", [Say, "Say", (int,), ("Say",)], ids=str)
def test_pushes_that_are_no_models_are_named(pushes: Any) -> None:
    with pytest.raises(Misconfigured, match=r"Wrong\.pushes"):
        pushes_of(type("Wrong", (TypedConsumer,), {"pushes": pushes}))


async def test_a_handler_of_a_subclass_stands_in_for_that_of_its_base() -> None:
    class Louder(Talk):
        @receives
        async def ping(self, message: Ping) -> Pong:
            return Pong(id=message.id * 10)

    assert await _answer(Louder, text='{"type": "ping", "id": 7}') == {"type": "pong", "id": 70}


class Unfinished(BaseModel):
    other: Nowhere  # type: ignore[name-defined]  # noqa: F821


def _consumer(**methods: Any) -> Any:
    return type("Wrong", (TypedConsumer,), {name: receives(method) for name, method in methods.items()})


async def _bare(self: Any, message: Ping) -> Any: ...
async def _unknown(self: Any, message: Ping) -> Nowhere: ...  # type: ignore[name-defined]  # noqa: F821
async def _text(self: Any, message: str) -> None: ...
async def _number(self: Any, message: Ping) -> int:
    return 0


async def _two(self: Any, message: Ping, other: Ping) -> None: ...
async def _none(self: Any) -> None: ...
async def _unanswered(self: Any, message: Ping): ...
async def _unfinished(self: Any, message: Unfinished) -> None: ...
def _synchronous(self: Any, message: Ping) -> None: ...


@pytest.mark.parametrize(
    "method",
    [_bare, _unknown, _text, _number, _two, _none, _unanswered, _unfinished, _synchronous],
    ids=lambda each: each.__name__,
)
def test_a_handler_without_models_is_named(method: Any) -> None:
    with pytest.raises(Misconfigured, match=r"Wrong\.handle"):
        handlers_of(_consumer(handle=method))


async def _first(self: Any, message: Ping) -> None: ...
async def _second(self: Any, message: Ping) -> None: ...
async def _untagged(self: Any, message: Error | Pong2) -> None: ...


class Pong2(BaseModel):
    id: int


@pytest.mark.parametrize("methods", [{"one": _first, "two": _second}, {"one": _untagged}], ids=["same", "no type"])
def test_messages_that_cannot_be_told_apart_are_named(methods: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured, match="Wrong"):
        handlers_of(_consumer(**methods))
