"""`docs/asyncapi.md`: its consumer works, and appears as it says."""

from __future__ import annotations

import json
import re
import sys
from types import ModuleType
from typing import Any

import jsonschema
import pytest
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser
from django.urls import path

from tests.docs.tables import read
from ticketauth.asyncapi import document, project

TEXT = read("docs/asyncapi.md")


@pytest.fixture(autouse=True)
def _channel_layer(settings: Any) -> None:
    """As the text has it."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}


@pytest.fixture(scope="module")
def application() -> Any:
    block = re.search(r"<!-- asyncapi: write mysite/consumers.py -->\n```python\n(.*?)```", TEXT, re.DOTALL)
    assert block
    module = ModuleType("mysite_of_asyncapi_md")
    sys.modules[module.__name__] = module  # Where pydantic looks up what annotations name.
    exec(compile(block[1], "asyncapi.md", "exec", dont_inherit=True), vars(module))  # noqa: S102 -- our own document
    line = re.search(r"<!-- asyncapi: route -->.*?URLRouter\((\[.*?\])\)", TEXT, re.DOTALL)
    assert line
    return URLRouter(eval(line[1], {"path": path, **vars(module)}))  # noqa: S307 -- our own document


async def _socket(application: Any) -> WebsocketCommunicator:
    socket = WebsocketCommunicator(application, "/ws/rooms/7/")
    socket.scope["user"] = AnonymousUser()
    assert (await socket.connect())[0]
    return socket


async def _answer(application: Any, message: dict[str, Any]) -> Any:
    socket = await _socket(application)
    await socket.send_json_to(message)
    answer = await socket.receive_json_from()
    await socket.disconnect()
    return answer


async def test_a_roll_is_answered(application: Any) -> None:
    answer = await _answer(application, {"type": "roll", "sides": 2})
    assert answer in ({"type": "rolled", "shows": 1}, {"type": "rolled", "shows": 2})


async def test_all_in_the_room_hear_all(application: Any) -> None:
    ada, ben = await _socket(application), await _socket(application)
    await ada.send_json_to({"type": "say", "text": "hi"})
    assert await ben.receive_json_from() == await ada.receive_json_from() == {"type": "said", "who": "", "text": "hi"}
    await ada.disconnect()
    await ben.disconnect()


async def test_the_refusal_is_the_one_in_the_text(application: Any) -> None:
    answer = await _answer(application, {"type": "roll", "sides": 1000})
    assert json.dumps(answer) in TEXT


def test_the_document_tells_of_it(application: Any) -> None:
    made = document.build(project.contract("https://example.com", application))
    room = made["channels"]["room"]
    assert room["parameters"] == {"room": {"description": "Number of the room.", "examples": ["42"]}}
    assert set(room["messages"]) == {"Say", "Roll", "Rolled", "Said", "Error"}
    for message in made["components"]["messages"].values():
        schema = {"$ref": message["payload"]["$ref"], "components": made["components"]}
        jsonschema.Draft7Validator(schema).validate(message["examples"][0]["payload"])
