"""What the panel reads in the document, and how it says what happened."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.try_it.parts import Parts

ROOT: dict[str, Any] = {
    "channels": {
        "room": {
            "address": "/ws/rooms/{room_id}/{name}/",
            "parameters": {"room_id": {"examples": ["42"], "description": "Number"}, "name": {}},
            "messages": {
                "Ready": {"$ref": "#/components/messages/Ready"},
                "Say": {"$ref": "#/components/messages/Say"},
            },
            "x-security": ["ticket", "jwtCookie", "sessionCookie"],
        },
        "plain": {"address": "/ws/plain/", "x-anonymous": True, "x-security": ["bearerAuth"]},
        "tickets": {"address": "/somewhere/tickets/"},
    },
    "operations": {
        "say": {
            "action": "receive",
            "channel": {"$ref": "#/channels/room"},
            "messages": [{"$ref": "#/channels/room/messages/Say"}],
        },
        "told": {
            "action": "send",
            "channel": {"$ref": "#/channels/room"},
            "messages": [{"$ref": "#/channels/room/messages/Ready"}],
        },
        "anything": {"action": "receive", "channel": {"$ref": "#/channels/plain"}},
    },
    "components": {
        "securitySchemes": {
            "ticket": {"name": "ticket_uuid", "x-scheme": "ticket_query"},
            "jwtCookie": {"name": "jwt", "x-scheme": "jwt_cookie"},
            "sessionCookie": {"name": "sid", "x-scheme": "session"},
            "bearerAuth": {"x-scheme": "jwt_header"},
        },
        "messages": {
            "Ready": {"payload": {"$ref": "#/components/schemas/Ready"}},
            "Say": {
                "title": "Say it",
                "payload": {"$ref": "#/components/schemas/Say"},
                "examples": [{"payload": {"a": 1}}],
            },
        },
        "schemas": {"Ready": {"properties": {"type": {"const": "ticketauth.ready"}}}, "Say": {"type": "object"}},
    },
}


def channel(parts: Parts, name: str) -> dict[str, Any]:
    found: dict[str, Any] = parts.run("return parts.document.channelOf(given[0], given[1])", [ROOT, name])
    return found


def methods(parts: Parts, name: str, *, jwt_query: bool = False, endpoint: str = "/t/") -> dict[str, str]:
    """Each method with the reason why it is off."""
    names = {"ticket": "ticket_uuid", "session": "sid", "cookie": "jwt", "query": "token"}
    code = "return parts.methods.methodsOf(parts.document.channelOf(given[0], given[1]), given[2], given[3])"
    found = parts.run(code, [ROOT, name, {"names": names, "jwt_query": jwt_query}, endpoint])
    return {method["value"]: method.get("off", "") for method in found}


class TestChannel:
    def test_parameters_with_their_examples(self, parts: Parts) -> None:
        assert channel(parts, "room")["parameters"] == [
            {"name": "room_id", "description": "Number", "example": "42"},
            {"name": "name", "description": "", "example": ""},
        ]

    def test_it_says_when_it_is_ready(self, parts: Parts) -> None:
        assert (channel(parts, "room")["ready"], channel(parts, "plain")["ready"]) == (True, False)

    def test_what_may_be_sent(self, parts: Parts) -> None:
        (message,) = channel(parts, "room")["messages"]
        assert (message["title"], message["examples"]) == ("Say it", [{"payload": {"a": 1}}])

    def test_anything_may_be_sent(self, parts: Parts) -> None:
        assert channel(parts, "plain")["messages"] == []

    def test_where_tickets_are(self, parts: Parts) -> None:
        assert parts.run("return parts.document.ticketUrl(given)", ROOT) == "/somewhere/tickets/"

    def test_behind_a_prefix_addresses_have_it(self, parts: Parts) -> None:
        mounted = {**ROOT, "servers": {"websocket": {"pathname": "/app"}}}
        assert parts.run("return parts.document.ticketUrl(given)", mounted) == "/app/somewhere/tickets/"

    def test_the_path_is_plain_for_the_ticket_and_encoded_in_the_address(self, parts: Parts) -> None:
        code = "return parts.document.pathOf(given[0], given[1])"
        filled = parts.run(code, ["/ws/{a}/{b}/", {"a": "1 2", "b": "x/y?ü"}])
        assert filled == {"plain": "/ws/1 2/x/y?ü/", "encoded": "/ws/1%202/x%2Fy%3F%C3%BC/"}


class TestMethods:
    def test_those_that_the_path_takes(self, parts: Parts) -> None:
        assert list(methods(parts, "room")) == ["ticket", "session", "cookie", "query"]

    def test_none_at_all(self, parts: Parts) -> None:
        assert list(methods(parts, "plain")) == ["query", "none"]

    def test_why_not_in_the_query(self, parts: Parts) -> None:
        assert 'TICKETAUTH["JWT_QUERY"]' in methods(parts, "room")["query"]

    def test_why_not_in_the_query_where_it_is_on(self, parts: Parts) -> None:
        assert "this path does not take" in methods(parts, "room", jwt_query=True)["query"]

    def test_why_no_ticket(self, parts: Parts) -> None:
        assert "no ticket endpoint" in methods(parts, "room", endpoint="")["ticket"]


_CLOSES = {
    "4401": {"meaning": "no good", "retry": "new ticket, reconnect"},
    "1012": {"meaning": "restart", "retry": "back off, then new ticket"},
    "1013": {"meaning": "down", "retry": "back off, then new ticket"},
    "4403": {"meaning": "over", "retry": "stop"},
    "4429": {"meaning": "too many", "retry": "back off, then new ticket"},
}

_AROUND = {
    "method": "ticket", "byToken": True, "closes": _CLOSES, "advice": {"back off, then new ticket": "Back off."},
    "reachable": True, "origin": None, "welcome": True, "ending": "", "renewing": False, "reconnectWithin": 0,
}  # fmt: skip


def words(parts: Parts, outcome: dict[str, Any], **around: Any) -> dict[str, Any]:
    known = {**_AROUND, **around}
    said: dict[str, Any] = parts.run("return parts.explain.explain(given[0], given[1])", [outcome, known])
    return said


def closed(code: int, reason: str = "", by: str = "server", during: str = "open") -> dict[str, Any]:
    return {"kind": "closed", "by": by, "code": code, "reason": reason, "during": during}


class TestWords:
    @pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1011, 1013, 3999, 4000, 4401])
    def test_every_code_has_a_meaning_and_an_advice(self, parts: Parts, code: int) -> None:
        said = words(parts, closed(code))
        assert f"({code})" in said["title"]
        assert said["advice"]

    def test_a_code_means_what_the_document_says(self, parts: Parts) -> None:
        assert words(parts, closed(4401))["title"] == "Closed by the server: no good (4401)"

    def test_a_refusal_is_told_from_an_end(self, parts: Parts) -> None:
        assert words(parts, closed(4401), welcome=False)["title"] == "Refused: no good (4401)"

    def test_the_time_to_wait_is_in_the_reason(self, parts: Parts) -> None:
        said = words(parts, closed(1013, '{"code":"unavailable","retry_after":2}'))
        assert (said["retryAfter"], said["lines"]) == (2, ["Reason: unavailable."])

    def test_an_origin_that_may_not_connect_is_named_first(self, parts: Parts) -> None:
        said = words(parts, {"kind": "failed"}, origin={"value": "http://a", "allowed": False})
        assert "http://a" in said["lines"][1]

    def test_a_server_that_is_away(self, parts: Parts) -> None:
        assert words(parts, {"kind": "failed"}, reachable=False)["title"] == "The server cannot be reached"

    @pytest.mark.parametrize("status", [0, 400, 401, 403, 404, 409, 418, 429, 500, 503])
    def test_every_status_has_words(self, parts: Parts, status: int) -> None:
        answer = {"status": status, "code": "", "detail": "", "retryAfter": 0}
        said = words(parts, {"kind": "refused", "during": "getting", "answer": answer})
        assert said["title"]
        assert said["advice"]

    @pytest.mark.parametrize("during", ["getting", "connecting", "waiting"])
    def test_every_time_limit_has_words(self, parts: Parts, during: str) -> None:
        assert "within" in words(parts, {"kind": "late", "during": during})["title"]


class TestEnds:
    """What a code means by the time at which it comes."""

    @pytest.mark.parametrize(
        ("ending", "line"),
        [
            ("credential", "Its login or token has ended, as announced."),
            ("age", "It was open for as long as a socket may be, as announced."),
            ("idle", "Nothing was sent for too long, as announced."),
            ("", "Its time was up"),
            ("moonrise", "Its time was up"),
        ],
    )
    def test_of_time(self, parts: Parts, ending: str, line: str) -> None:
        assert words(parts, closed(4401), ending=ending)["lines"][0].startswith(line)

    def test_of_a_handshake(self, parts: Parts) -> None:
        assert words(parts, closed(4401), welcome=False)["lines"][0].startswith("The ticket was unknown")
        assert words(parts, closed(4429), welcome=False)["lines"][0].startswith("Too many sockets")
        assert words(parts, closed(4403), welcome=False)["lines"] == []

    def test_of_a_login(self, parts: Parts) -> None:
        assert words(parts, closed(4403))["lines"][0].startswith("Its login is over")
        assert words(parts, closed(4403), renewing=True)["lines"][0].startswith("The ticket of the renewal")

    def test_of_too_much(self, parts: Parts) -> None:
        assert words(parts, closed(4429, '{"code":"too_many","retry_after":60}'))["lines"][0].startswith(
            "More messages"
        )
        assert "left unread" in words(parts, closed(4429, "too_many"))["lines"][0]

    def test_of_a_server_that_restarts(self, parts: Parts) -> None:
        assert words(parts, closed(1012))["advice"] == "Back off."
        assert "up to 5 s" in words(parts, closed(1012), reconnectWithin=5)["advice"]

    def test_the_advice_is_the_pages(self, parts: Parts) -> None:
        assert words(parts, closed(1013))["advice"] == words(parts, closed(1006))["advice"] == "Back off."


_MESSAGES = """
const sent = (word) => ({ payload: { properties: { type: { const: word } } } });
const taken = [sent("hello"), sent("ticketauth.renew")];
const root = {
  channels: { it: { address: "/it/", messages: { ...taken } } },
  operations: { all: { action: "receive", channel: { $ref: "#/channels/it" }, messages: taken } },
};
const { renews, ready, messages } = parts.document.channelOf(root, "it");
return [renews, ready, messages.map(({ schema }) => schema.properties.type.const)];
"""


def test_a_renewal_is_no_message_to_try(parts: Parts) -> None:
    assert parts.run(_MESSAGES) == [True, False, ["hello"]]
