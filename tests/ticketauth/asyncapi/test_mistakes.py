"""What would make the document wrong is a system check, with a hint."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import URLRouter
from django.core import checks
from django.test import override_settings
from django.urls import path
from pydantic import BaseModel, ConfigDict, Field

from ticketauth import routing
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


class Rooms(TypedConsumer):
    parameters = {"rom": "Which room."}


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
}


@pytest.fixture
def found(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[checks.CheckMessage]:
    application = zoo.application if request.param == "zoo" else URLRouter(ROUTES[request.param])
    monkeypatch.setattr(routing, "project_application", lambda: application)
    return [message for message in checks.run_checks() if "ticketauth.E012" <= str(message.id) <= "ticketauth.E016"]


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
    ],
    indirect=["found"],
)
def test_a_mistake_is_named(found: list[checks.CheckMessage], id: str, sentence: str) -> None:  # noqa: A002
    assert found[0].id == f"ticketauth.{id}"
    assert found[0].msg.endswith(sentence)
    assert found[0].hint


@pytest.mark.parametrize("found", ["zoo"], indirect=True)
def test_the_zoo_has_no_mistakes(found: list[checks.CheckMessage]) -> None:
    assert found == []


def test_an_application_that_cannot_be_imported_is_named() -> None:
    routing.project_application.cache_clear()
    with override_settings(ASGI_APPLICATION="tests.nowhere.application"):
        found = [message for message in checks.run_checks() if message.id == "ticketauth.E012"]
    routing.project_application.cache_clear()
    assert found[0].hint
