"""What the log keeps: no credential, and not more than it may."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.browser.try_it.parts import Parts

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLW9mLWEtdG9rZW4"
TICKET = "0b8d7f0e-4c1a-4b52-9a54-6f4b6f5f6a10"

_LOG = """
const { Log } = parts.log;
const log = new Log(() => undefined);
for (const secret of given.secrets ?? []) parts.secrets.learn(secret);
const bytes = (text) => new TextEncoder().encode(text).buffer;
for (const text of given.texts ?? []) log.message("received", given.binary ? bytes(text) : text);
for (const text of given.notes ?? []) log.note(text);
return given.saved ? parts.log.saved(log.entries, { channel: "it" }) : log.entries;
"""


def kept(parts: Parts, *texts: str, **more: Any) -> Any:
    """The entries after some messages."""
    return parts.run(_LOG, {"texts": texts, **more})


class TestNoCredential:
    @pytest.mark.parametrize(
        "text",
        [
            TICKET,
            TICKET.upper(),
            f'{{"ticket": "{TICKET}"}}',
            f"ws://host/ws/?ticket_uuid={TICKET}",
            f"ticketauth.v1, ticketauth.ticket.{TICKET}",
            json.dumps({"type": "ticketauth.renew", "ticket_uuid": TICKET}),
            json.dumps({"again": f"say {TICKET}"}),
            # A server may spell a character otherwise; the reader of the log sees it all the same.
            '{"ticket": "' + TICKET.replace("0", "\\u0030") + '"}',
        ],
    )
    def test_that_this_page_has_held(self, parts: Parts, text: str) -> None:
        shown = json.dumps(kept(parts, text, secrets=[TICKET]))
        assert TICKET not in shown.lower()
        assert "‹" in json.loads(shown)[0]["text"]

    @pytest.mark.parametrize(
        "text", [JWT, f"Bearer {JWT}", f'["{JWT}"]', f"?token={JWT}", f"wss://host/?token={JWT}&a=1"]
    )
    def test_that_looks_like_a_jwt(self, parts: Parts, text: str) -> None:
        assert JWT not in json.dumps(kept(parts, text))

    def test_that_renews_a_socket_wherever_it_came_from(self, parts: Parts) -> None:
        (entry,) = kept(parts, json.dumps({"type": "ticketauth.renew", "ticket_uuid": "from-another-tab"}))
        assert json.loads(entry["text"]) == {"type": "ticketauth.renew", "ticket_uuid": "‹ticket›"}

    def test_in_a_binary_message(self, parts: Parts) -> None:
        (entry,) = kept(parts, f"\0\1{JWT}\2", binary=True)
        assert JWT not in entry["text"]
        assert "65 79 4a" not in entry["text"]
        assert "‹token›" in entry["text"]

    def test_in_a_note(self, parts: Parts) -> None:
        (entry,) = kept(parts, notes=[f"Connecting to ws://host/?token={JWT}"])
        assert entry["text"] == "Connecting to ws://host/?token=‹credential›"

    def test_in_what_is_saved(self, parts: Parts) -> None:
        saved = kept(parts, f'{{"a": "{TICKET}", "b": "{JWT}"}}', secrets=[TICKET], saved=True)
        assert json.loads(saved)["messages"][0]["data"] == {"a": "‹credential›", "b": "‹token›"}

    def test_not_half_of_one_where_a_long_message_is_cut(self, parts: Parts) -> None:
        (entry,) = kept(parts, "x" * (20_000 - 20) + " " + JWT)
        assert JWT[:10] not in entry["text"]

    def test_what_is_no_credential_stays(self, parts: Parts) -> None:
        (entry,) = kept(parts, "an eye on 7c0e0c5e-93a8-4bd1-a6e0-2d1e1b0e7c55 and a.b.c")
        assert entry["text"] == "an eye on 7c0e0c5e-93a8-4bd1-a6e0-2d1e1b0e7c55 and a.b.c"


class TestBounds:
    def test_the_oldest_go(self, parts: Parts) -> None:
        entries = kept(parts, *[f"message {number}" for number in range(501)])
        assert (len(entries), entries[0]["text"]) == (500, "message 1")

    def test_a_long_message_is_cut(self, parts: Parts) -> None:
        (entry,) = kept(parts, "x" * 20_005)
        assert (len(entry["text"]), entry["cut"], entry["size"]) == (20_000, 5, 20_005)


class TestShown:
    def test_json_is_pretty(self, parts: Parts) -> None:
        (entry,) = kept(parts, '{"type":"pong","id":"1"}')
        assert (entry["kind"], entry["text"]) == ("JSON", '{\n  "type": "pong",\n  "id": "1"\n}')

    def test_numbers_are_as_they_were_written(self, parts: Parts) -> None:
        (entry,) = kept(parts, '{"id":12345678901234567890}')
        assert "12345678901234567890" in entry["text"]

    def test_size_in_bytes(self, parts: Parts) -> None:
        (entry,) = kept(parts, "größer")
        assert entry["size"] == 8

    def test_what_is_no_json_is_text(self, parts: Parts) -> None:
        assert [entry["kind"] for entry in kept(parts, "{hello", "hello", "7")] == ["text"] * 3

    def test_binary_as_a_debugger_has_it(self, parts: Parts) -> None:
        (entry,) = kept(parts, "AB\0", binary=True)
        assert (entry["kind"], entry["text"].split()) == ("binary", ["0000", "41", "42", "00", "AB·"])

    @pytest.mark.parametrize(
        ("direction", "text", "found"),
        [("all", "", 3), ("received", "", 2), ("note", "", 1), ("all", "TWO", 1), ("sent", "", 0)],
    )
    def test_filter(self, parts: Parts, direction: str, text: str, found: int) -> None:
        entries = kept(parts, "one", "two", notes=["three"])
        code = "return parts.log.matching(given[0], given[1]).length"
        assert parts.run(code, [entries, {"direction": direction, "text": text}]) == found


class TestTicket:
    @pytest.mark.parametrize(
        ("now", "state", "opens"),
        [(0, "fresh", True), (28_900, "fresh", True), (29_500, "fresh", False), (30_000, "expired", False)],
    )
    def test_lives_from_when_it_was_asked_for(self, parts: Parts, now: int, state: str, opens: bool) -> None:
        code = "const t = new parts.ticket.Ticket('t', '/ws/', 30, 0, () => given); return [t.state, t.opens('/ws/')]"
        assert parts.run(code, now) == [state, opens]

    def test_is_given_out_once(self, parts: Parts) -> None:
        code = "const t = new parts.ticket.Ticket('t', '/', 30, 0, () => 0); return [t.spend(), t.spend(), t.state]"
        assert parts.run(code) == ["t", "", "used"]

    def test_opens_its_own_path_alone(self, parts: Parts) -> None:
        assert parts.run("return new parts.ticket.Ticket('t', '/a/', 30, 0, () => 0).opens('/b/')") is False

    def test_is_masked(self, parts: Parts) -> None:
        masked = parts.run("return new parts.ticket.Ticket(given, '/', 30, 0).masked", TICKET)
        assert masked == "0b8d••••-••••-••••"
