"""What would make the document wrong is a system check, with a hint."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import URLRouter
from django.core import checks
from django.test import override_settings
from django.urls import path, re_path
from pydantic import BaseModel, ConfigDict, Field, field_validator

from ticketauth import routing
from ticketauth.asyncapi import document, project, render
from ticketauth.consumers import TypedConsumer, receives

from . import zoo


class Wrong(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"type": "right"}]})

    type: Literal["wrong"]


class Small(BaseModel):
    number: Annotated[int, Field(lt=10, examples=[7, 77])]


class TicketIssued(BaseModel):
    number: int


class Bad(TypedConsumer):
    pushes = (Wrong,)


class Counting(TypedConsumer):
    pushes = (Small,)


class Issuing(TypedConsumer):
    pushes = (TicketIssued,)


class Lost(TypedConsumer):
    @receives
    async def ping(self, message: Wrong) -> str:
        return ""


class Rolls(TypedConsumer):
    @receives
    async def ping(self, message: Small) -> None:
        """Takes one."""


class Rooms(TypedConsumer):
    parameters = {"rom": "Which room."}


class Opaque:
    pass


class Holding(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    thing: Opaque


class Holder(TypedConsumer):
    pushes = (Holding,)


class Sent(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"by": "ada"}]})

    who: str = Field(serialization_alias="by")


class Split(BaseModel):
    words: list[str] = Field(examples=["a,b"])

    @field_validator("words", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return value.split(",") if isinstance(value, str) else value


class Limits(BaseModel):
    most: float = math.inf
    word: Annotated[str, Field(pattern=r"^\p{L}+$")]


class Odd(TypedConsumer):
    pushes = (Sent, Split, Limits)


class Plain(AsyncWebsocketConsumer):
    pass


ROUTES: dict[str, list[Any]] = {
    "same_name": [path("a/", Plain.as_asgi(), name="room"), path("b/", Plain.as_asgi(), name="room")],
    "same_slug": [path("a-b/", Plain.as_asgi()), path("a/b/", Plain.as_asgi())],
    "tickets": [path("a/", Plain.as_asgi(), name="tickets")],
    "model": [path("a/", Issuing.as_asgi())],
    "parameter": [path("rooms/<int:room>/", Rooms.as_asgi())],
    "example": [path("a/", Bad.as_asgi())],
    "field": [path("a/", Counting.as_asgi())],
    "reply": [path("a/", Lost.as_asgi())],
    "schema": [path("a/", Holder.as_asgi())],
    "operations": [
        path("chat/", Rolls.as_asgi(), name="chat"),
        path("chat/ping/", Plain.as_asgi(), name="chatPing"),
    ],
    "odd": [path("a/", Odd.as_asgi()), re_path(r"(?i)^ws/chat/$", Plain.as_asgi()), path("<int:a>/", Plain.as_asgi())],
}


@pytest.fixture
def found(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[checks.CheckMessage]:
    application = zoo.application if request.param == "zoo" else URLRouter(ROUTES[request.param])
    monkeypatch.setattr(routing, "project_application", lambda: application)
    return [
        message
        for message in checks.run_checks()
        if "ticketauth.E012" <= str(message.id) <= "ticketauth.E017" or message.id == "ticketauth.W016"
    ]


@pytest.mark.parametrize(
    ("found", "id", "sentence"),
    [
        ("same_name", "E013", "/a/ and /b/: the id 'room' is taken."),
        ("same_slug", "E013", "/a-b/ and /a/b/: the id 'aB' is taken."),
        ("tickets", "E013", "/a/: the id 'tickets' is taken by the ticket endpoint."),
        ("model", "E013", "TicketIssued is a message of the ticket endpoint already."),
        ("parameter", "E014", "/rooms/{room}/: the parameter 'rom' is not in the path."),
        ("example", "E015", "Wrong: the example {'type': 'right'} is refused: type: Input should be 'wrong'."),
        ("field", "E015", "Small.number: the example 77 is refused."),
        ("reply", "E016", "Lost.ping: <class 'str'> is no pydantic model, so nothing says what is sent."),
        ("operations", "E013", "Two operations have the id 'receiveChatPing'."),
    ],
    indirect=["found"],
)
def test_a_mistake_is_named(found: list[checks.CheckMessage], id: str, sentence: str) -> None:  # noqa: A002
    (mistake,) = [message for message in found if message.msg.endswith(sentence)]
    assert mistake.id == f"ticketauth.{id}"
    assert mistake.hint


@pytest.mark.parametrize("found", ["zoo", "odd"], indirect=True)
def test_the_zoo_has_no_mistakes(found: list[checks.CheckMessage]) -> None:
    assert found == []


@pytest.mark.parametrize("found", ["schema"], indirect=True)
def test_a_message_without_a_schema_is_named(found: list[checks.CheckMessage]) -> None:
    assert {message.id for message in found} == {"ticketauth.E017"}


@pytest.mark.parametrize("found", ["odd"], indirect=True)
def test_odd_messages_have_a_document(found: list[checks.CheckMessage]) -> None:
    made = document.build(project.contract("https://example.com", routing.project_application()))
    assert "default" not in made["components"]["schemas"]["Limits"]["properties"]["most"]
    assert render.to_json(made)


def test_an_application_that_cannot_be_imported_is_named() -> None:
    routing.project_application.cache_clear()
    with override_settings(ASGI_APPLICATION="tests.nowhere.application"):
        found = [message for message in checks.run_checks() if message.id == "ticketauth.E012"]
    routing.project_application.cache_clear()
    assert found[0].hint
