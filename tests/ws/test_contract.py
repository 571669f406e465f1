"""The service's AsyncAPI document: beside this file, valid, and what a client that knows nothing else meets."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from tests import npm
from tests.conftest import Service
from tests.sockets import Handshake
from ticketauth.asyncapi import project
from ws.events import publish

GOLDEN = Path(__file__).with_name("asyncapi.yaml")
DOCUMENT: dict[str, Any] = yaml.safe_load(GOLDEN.read_text(encoding="utf-8"))
SCHEMES: dict[str, dict[str, Any]] = DOCUMENT["components"]["securitySchemes"]
ADDRESSES = [channel["address"] for name, channel in DOCUMENT["channels"].items() if name != "tickets"]
GOOD = "https://good.example"


def test_the_committed_document_is_what_runs() -> None:
    """To take a change over: `python -m tests.ticketauth.asyncapi`."""
    call_command("asyncapi", check=str(GOLDEN), stdout=StringIO())


def test_the_official_parser_finds_nothing() -> None:
    assert npm.run("validate.js", str(GOLDEN)) == [[]]


def _connect(service: Service, address: str, scheme: dict[str, Any], credential: str) -> Handshake:
    """A handshake, by nothing but what the document says of a scheme."""
    if scheme["type"] == "http":
        return service.connect(path=address, headers=[("Authorization", f"{scheme['scheme']} {credential}")])
    if scheme["in"] == "query":
        return service.connect(f"{scheme['name']}={credential}", path=address)
    if scheme["in"] == "cookie":
        cookie = ("Cookie", f"{scheme['name']}={credential}")
        return service.connect(path=address, headers=[cookie, ("Origin", GOOD)])
    offer = f"ticketauth.v1, ticketauth.ticket.{credential}"
    return service.connect(path=address, headers=[(scheme["name"], offer)])


def _credential(service: Service, owner: User, scheme: str) -> str:
    if scheme == "session":
        client = Client()
        client.force_login(owner)
        return client.cookies["sessionid"].value
    access = service.login(owner)["access"]
    return service.ticket(access) if scheme.startswith("ticket") else access


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_of_the_document_connects(service: Service, owner: User, address: str, scheme: str) -> None:
    described = SCHEMES[scheme]
    answer = _connect(service, address, described, _credential(service, owner, described["x-scheme"]))
    assert answer.accepted, answer.body


def test_what_the_document_leaves_out_does_not_connect(service: Service, owner: User) -> None:
    assert "jwtQuery" not in SCHEMES
    token = _credential(service, owner, "jwt_header")
    assert service.connect(f"token={token}").status == 401


def test_a_token_in_the_query_is_in_the_document_where_it_connects(
    service: Service, owner: User, settings: Any
) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "JWT_QUERY": True, "JWT_QUERY_PARAM": "jwt"}
    scheme = project.document("https://sockets.example")["components"]["securitySchemes"]["jwtQuery"]
    assert _connect(service, "/ws/echo/", scheme, _credential(service, owner, scheme["x-scheme"])).accepted


def _schema(message: str) -> dict[str, Any]:
    payload = DOCUMENT["components"]["messages"][message]["payload"]
    return {"$ref": payload["$ref"], "components": DOCUMENT["components"]}


def _is(message: str, frame: Any) -> None:
    checker = jsonschema.FormatChecker()
    jsonschema.Draft7Validator(_schema(message), format_checker=checker).validate(frame)


@pytest.fixture
def events(service: Service, ticket: str) -> Handshake:
    """An open socket of the owner."""
    return service.connect(f"ticket_uuid={ticket}", path="/ws/events/")


def test_what_the_server_sends_is_of_its_schema(owner: User, events: Handshake) -> None:
    _is("Ready", events.json())
    async_to_sync(publish)(owner, "order.shipped", {"order": 7})
    _is("Event", events.json())


def test_what_is_no_message_is_answered_as_the_document_says(events: Handshake) -> None:
    events.json()
    events.send("{}")
    _is("Error", events.json())


def test_the_example_of_a_message_is_understood(events: Handshake) -> None:
    events.json()
    events.send(json.dumps(DOCUMENT["components"]["messages"]["Ping"]["examples"][0]["payload"]))
    _is("Pong", events.json())


def test_the_ticket_is_of_its_schema(service: Service, access: str) -> None:
    channel = DOCUMENT["channels"]["tickets"]
    example = DOCUMENT["components"]["messages"]["TicketRequest"]["examples"][0]["payload"]
    _is("TicketIssued", service.post(channel["address"], example, access).json())


@pytest.mark.parametrize("body", [{"path": "no path"}, {"other": 1}, None], ids=["path", "member", "no token"])
def test_a_refused_ticket_is_of_its_schema(service: Service, access: str, body: Any) -> None:
    answer = service.post(DOCUMENT["channels"]["tickets"]["address"], body, access if body else "")
    assert answer.status_code in {400, 401}
    _is("TicketRefused", answer.json())
