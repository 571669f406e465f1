"""What the page shows, of a document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.template.loader import render_to_string

from ticketauth.contract.page import Channel, Page, page

ZOO = Path(__file__).parents[1] / "asyncapi" / "zoo.yaml"


def ref(*parts: str) -> dict[str, str]:
    return {"$ref": "/".join(("#", *parts))}


def document(**changes: Any) -> dict[str, Any]:
    """A small contract: one channel, where a client greets and is answered."""
    schemes = {
        "ticket": {"type": "httpApiKey", "in": "query", "name": "ticket_uuid", "x-scheme": "ticket_query"},
        "badge": {
            "type": "httpApiKey",
            "in": "header",
            "name": "X-Badge",
            "x-scheme": "badge",
            "description": "**Own**",
        },
    }
    greeting = {
        "type": "object",
        "additionalProperties": False,
        "required": ["type"],
        "properties": {"type": {"const": "hello"}, "id": {"type": "string"}},
    }
    hello = {
        "name": "hello",
        "title": "Hello",
        "summary": "A greeting.",
        "correlationId": {"location": "$message.payload#/id"},
        "payload": ref("components", "schemas", "Hello"),
        "examples": [{"name": "One", "payload": {"type": "hello", "id": "1"}}],
    }
    room = {
        "address": "/rooms/{number}/",
        "title": "Room",
        "summary": "Talk.",
        "servers": [ref("servers", "websocket")],
        "parameters": {"number": {"description": "Which *room*.", "examples": ["42"]}},
        "messages": {"Hello": ref("components", "messages", "Hello")},
        "x-security": ["badge", "ticket"],
        "x-close-codes": {"4401": {"meaning": "who are you", "retry": "new ticket, reconnect", "status": 401}},
    }
    greet = {
        "action": "receive",
        "title": "Greet",
        "channel": ref("channels", "room"),
        "messages": [ref("channels", "room", "messages", "Hello")],
        "reply": {"channel": ref("channels", "room"), "messages": [ref("channels", "room", "messages", "Hello")]},
    }
    made = {
        "asyncapi": "3.1.0",
        "info": {"title": "Rooms & more", "version": "7", "description": "1. first"},
        "servers": {"websocket": {"host": "rooms.example", "protocol": "wss"}},
        "channels": {"room": room},
        "operations": {"greet": greet},
        "components": {"securitySchemes": schemes, "messages": {"Hello": hello}, "schemas": {"Hello": greeting}},
    }
    return {**made, **changes}


@pytest.fixture
def room() -> Channel:
    return page(document()).channels[0]


def test_the_head() -> None:
    shown = page(document())
    assert (shown.title, shown.version, shown.description) == ("Rooms & more", "7", "<ol><li>first</li></ol>")


def test_a_channel_says_where_it_is(room: Channel) -> None:
    assert (room.anchor, room.url, room.websocket) == ("channel-room", "wss://rooms.example/rooms/{number}/", True)


def test_its_parameters(room: Channel) -> None:
    [number] = room.parameters
    assert (number.name, number.examples) == ("number", ("42",))
    assert number.description == "<p>Which <em>room</em>.</p>"


def test_its_schemes_in_its_own_order(room: Channel) -> None:
    assert [scheme.method for scheme in room.schemes] == ["badge", "ticket_query"]


def test_a_scheme_of_ours_has_a_weakness_and_one_of_a_project_its_own_words() -> None:
    ticket, badge = page(document()).schemes
    assert (ticket.title, ticket.carried) == ("Ticket in the query", "?ticket_uuid=<ticket>")
    assert "access logs" in ticket.weakness
    assert (badge.title, badge.carried, badge.weakness) == ("badge", "X-Badge: <credential>", "")
    assert badge.description == "<p><strong>Own</strong></p>"


def test_who_sends_is_seen_from_the_client(room: Channel) -> None:
    assert room.operations[0].from_client


def test_a_message_is_shown_in_full_once(room: Channel) -> None:
    greet = room.operations[0]
    assert [shown.in_full for shown in (*greet.messages, *greet.replies)] == [True, False]


def test_a_message(room: Channel) -> None:
    [hello] = room.messages
    assert (hello.anchor, hello.name, hello.correlation) == ("message-room.Hello", "hello", "id")
    assert [field.name for field in hello.fields] == ["type", "id"]
    assert hello.is_closed
    assert hello.examples[0].json == '{\n  "type": "hello",\n  "id": "1"\n}'


def test_a_close_code_says_what_to_do(room: Channel) -> None:
    [close] = room.close_codes
    assert (close.code, close.status, close.advice) == ("4401", 401, "Get a new ticket and reconnect.")


def test_every_scheme_has_snippets_in_every_language(room: Channel) -> None:
    assert [choice.scheme.id for choice in room.choices] == ["badge", "ticket"]
    for choice in room.choices:
        assert [s.language for s in choice.snippets] == ["bash", "javascript", "python", "kotlin", "swift"]
        assert all("wss://rooms.example/rooms/42/" in s.code for s in choice.snippets)


def test_without_a_frame_that_says_so_nobody_waits_for_it(room: Channel) -> None:
    assert not room.ready_frame
    assert not any("ticketauth.ready" in s.code for choice in room.choices for s in choice.snippets)


def test_a_login_is_shown_where_the_project_has_one() -> None:
    assert page(document()).login is None
    login = page(document(), "https://rooms.example/api/token/").login
    assert login
    assert "https://rooms.example/api/token/" in login.code


def test_of_nothing_nothing_is_shown() -> None:
    shown = page({"asyncapi": "3.1.0", "info": {"title": "", "version": ""}})
    assert (shown.channels, shown.servers, shown.schemes) == ((), (), ())


@pytest.fixture
def zoo() -> Page:
    return page(yaml.safe_load(ZOO.read_text(encoding="utf-8")))


class TestTheZoo:
    def test_every_channel_is_shown(self, zoo: Page) -> None:
        known = yaml.safe_load(ZOO.read_text(encoding="utf-8"))["channels"]
        assert [channel.id for channel in (*zoo.endpoints, *zoo.channels)] == list(known)

    def test_no_two_things_have_one_anchor(self, zoo: Page) -> None:
        channels = (*zoo.endpoints, *zoo.channels)
        anchors = [scheme.anchor for scheme in zoo.schemes]
        for channel in channels:
            anchors += [channel.anchor, *(operation.anchor for operation in channel.operations)]
            for message in channel.messages:
                anchors += [message.anchor, *(field.anchor for field in message.fields)]
        assert len(set(anchors)) == len(anchors)

    def test_every_link_within_the_page_leads_somewhere(self, zoo: Page) -> None:
        html = render_to_string("ticketauth/contract/page.html", {"page": zoo, "try_it": False})
        links = {part.split('"')[0] for part in html.split('href="#')[1:]}
        ids = [part.split('"')[0] for part in html.split(' id="')[1:]]
        assert links <= set(ids)
        assert len(ids) == len(set(ids))


def test_what_a_document_says_is_escaped() -> None:
    evil = document(info={"title": "<script>t()</script>", "version": "<b>", "description": "<img onerror=x>"})
    evil["channels"]["room"]["title"] = "<script>c()</script>"
    evil["components"]["messages"]["Hello"]["examples"] = [{"payload": "</code><script>e()</script>"}]
    html = render_to_string("ticketauth/contract/page.html", {"page": page(evil), "try_it": False})
    assert "<script>" not in html
    assert "<img onerror" not in html
