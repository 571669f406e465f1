"""What the page shows, of a document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.template.loader import render_to_string

from ticketauth import wire
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
    assert [scheme.id for scheme in room.schemes] == ["badge", "ticket"]


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
    assert (close.code, close.status) == ("4401", 401)
    assert close.advice == "Get a new credential (a ticket; a refreshed token; a login) and reconnect."


class TestAfterAClose:
    def test_the_close_codes_of_all_channels_are_there_once(self, zoo: Page) -> None:
        assert zoo.after
        codes = [close.code for close in zoo.after.close_codes]
        assert codes == ["4400", "4401", "4403", "4429", "1009", "1012", "1013", "4503"]

    def test_and_not_in_the_introduction(self, zoo: Page) -> None:
        assert "<ol>" in zoo.description
        assert "<table>" not in zoo.description

    def test_another_table_of_the_introduction_stays(self) -> None:
        description = (
            "before\n\n| Close code | Meaning |\n|---|---|\n| 1 | x |\n\n| Room | Size |\n|---|---|\n| a | 1 |"
        )
        shown = page(document(info={"title": "", "version": "", "description": description})).description
        assert "<p>before</p>" in shown
        assert "Room" in shown
        assert "Close code" not in shown

    def test_without_close_codes_there_is_nothing_to_say(self) -> None:
        silent = document()
        silent["channels"]["room"]["x-close-codes"] = {}
        assert page(silent).after is None

    def test_without_a_ticket_endpoint_no_program_asks_for_tickets(self) -> None:
        after = page(document()).after
        assert after
        assert after.snippets == ()

    def test_a_program_goes_where_no_parameter_is_to_be_chosen(self, zoo: Page) -> None:
        assert zoo.after
        assert zoo.after.example
        assert zoo.after.example.parameters == ()
        assert [s.language for s in zoo.after.snippets] == ["javascript", "python", "kotlin", "swift"]

    @pytest.mark.parametrize("language", ["python", "kotlin", "swift"])
    def test_a_program_that_sees_statuses_knows_them(self, zoo: Page, language: str) -> None:
        assert zoo.after
        [code] = [snippet.code for snippet in zoo.after.snippets if snippet.language == language]
        assert "4400, 4403, 1009, 400, 403, 413, 404" in code
        assert "4401, 401" in code


class TestLife:
    def test_the_frames_of_the_library_are_there_once(self, zoo: Page) -> None:
        assert zoo.life
        assert [operation.anchor for operation in zoo.life.operations] == [
            "operation-ticketauth.expiring",
            "operation-ticketauth.renew",
        ]
        assert not any(operation.is_the_librarys for channel in zoo.channels for operation in channel.operations)

    def test_it_says_where_they_are_spoken(self, zoo: Page) -> None:
        assert zoo.life
        assert [c.id for c in zoo.life.channels] == [c.id for c in zoo.channels if c.close_codes]

    def test_every_end_that_is_announced_is_explained(self, zoo: Page) -> None:
        assert zoo.life
        assert {ending.reason for ending in zoo.life.endings} == {ending.value for ending in wire.Ending}

    def test_where_they_are_not_spoken_there_is_nothing_to_say(self) -> None:
        assert page(document()).life is None

    def test_the_panel_says_what_the_page_says(self, zoo: Page) -> None:
        words = json.loads(zoo.words)
        assert zoo.after
        assert zoo.after.lost in words["advice"].values()
        assert set(words["advice"]) == {retry.value for retry in wire.Retry}
        assert set(words["endings"]) == {ending.value for ending in wire.Ending}


class TestAuthentication:
    def test_what_opens_a_socket_is_told_from_what_asks_for_a_ticket(self, zoo: Page) -> None:
        assert {scheme.id for scheme in zoo.openers} == {s.id for channel in zoo.channels for s in channel.schemes}
        assert {scheme.id for scheme in zoo.askers} == {"bearerAuth", "sessionCookie"}

    def test_what_does_both_is_shown_once(self, zoo: Page) -> None:
        assert len({scheme.id for scheme in zoo.schemes}) == len(zoo.schemes)

    def test_only_what_cannot_open_a_socket_from_a_browser_says_so(self) -> None:
        made = document()
        made["components"]["securitySchemes"]["bearerAuth"] = {"type": "http", "scheme": "bearer"}
        made["servers"]["http"] = {"host": "rooms.example", "protocol": "https"}
        tickets = {"address": "/t/", "servers": [ref("servers", "http")], "x-security": ["bearerAuth"]}
        made["channels"]["tickets"] = tickets
        html = render_to_string("ticketauth/contract/page.html", {"page": page(made), "try_it": False})
        assert html.count("A browser cannot open a socket with it.") == 1  # The badge; the token asks for tickets only.

    def test_a_recommendation(self, zoo: Page) -> None:
        said = {scheme.id: scheme.recommended for scheme in zoo.schemes if scheme.recommended}
        assert said == {"ticketSubprotocol": "recommended in browsers", "ticketHeader": "recommended for apps"}


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
    assert '"username": "<user>"' in login.code


def test_a_login_asks_for_what_the_user_model_calls_a_name() -> None:
    login = page(document(), "https://rooms.example/api/token/", "email").login
    assert login
    assert '{"email": "<user>", "password": "<password>"}' in login.code


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
        assert zoo.life
        anchors = [scheme.anchor for scheme in zoo.schemes] + [operation.anchor for operation in zoo.life.operations]
        for channel in channels:
            anchors += [channel.anchor, *(operation.anchor for operation in channel.operations)]
            for message in channel.messages:
                anchors += [message.anchor, *(field.anchor for field in message.fields)]
        assert len(set(anchors)) == len(anchors)

    def test_every_link_within_the_page_leads_somewhere(self, zoo: Page) -> None:
        self.assert_links_lead_somewhere(zoo)

    def test_also_where_many_models_hold_one_another(self) -> None:
        made, kinds = document(), [f"Node{number}" for number in range(12)]
        tree = {"oneOf": [ref("components", "schemas", kind) for kind in kinds]}
        hello = {"type": "object", "properties": {"left": tree, "right": tree}}
        made["components"]["schemas"] = dict.fromkeys(["Hello", *kinds], hello)
        self.assert_links_lead_somewhere(page(made))

    def assert_links_lead_somewhere(self, shown: Page) -> None:
        html = render_to_string("ticketauth/contract/page.html", {"page": shown, "try_it": False})
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
