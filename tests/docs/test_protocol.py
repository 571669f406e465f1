"""`docs/protocol.md` says what the code says: clients are built on it alone."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import BaseModel

from api import serializers
from config import addresses
from config import settings as service
from tests.docs.tables import read, rows, section
from ticketauth import conf, consumers, exceptions, handshake, issuers, wire
from ticketauth.serializers import LONGEST_PATH
from ws import frames, listener
from ws.serializers import LONGEST_TYPE

TEXT = read("docs/protocol.md")


def test_the_close_codes_are_the_codes_of_the_wire() -> None:
    expected = [[str(c.code), str(c.status), c.meaning, c.retry.value] for c in wire.CLOSES]
    assert rows(section(TEXT, "Close codes")) == expected


def test_the_close_table_of_the_readme_says_the_same() -> None:
    found = {}
    for codes, advice in rows(section(read("README.md"), "Clients")):
        found.update({int(code): advice for code in re.findall(r"\d{4}", codes)})
    begins = {wire.Retry.STOP: "stop", wire.Retry.NEW_TICKET: "a new ticket", wire.Retry.BACK_OFF: "wait"}
    assert set(found) == {close.code for close in wire.CLOSES}
    assert all(found[close.code].startswith(begins[close.retry]) for close in wire.CLOSES)


REFUSALS: list[exceptions.Refusal] = [
    exceptions.Malformed(""),
    exceptions.NotAuthenticated(""),
    exceptions.Forbidden(""),
    exceptions.OriginRefused(""),
    exceptions.NotFound(""),
    exceptions.TooLong("", 414),
    exceptions.TooBig(""),
    exceptions.TooMany(""),
    exceptions.Unavailable(""),
    exceptions.Restarting(""),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.code)
def test_a_refusal_is_in_the_table_with_its_status_and_code(refusal: exceptions.Refusal) -> None:
    table = {cells[3].strip("`"): cells for cells in rows(section(TEXT, "Refusals"))}
    _, statuses, close, _ = table[refusal.code]
    assert str(refusal.status) in statuses
    upgrades = not isinstance(refusal, (exceptions.OriginRefused, exceptions.NotFound, exceptions.TooLong))
    assert close == (str(refusal.close.code) if upgrades else "never")


def test_no_refusal_is_missing() -> None:
    def below(kind: type[exceptions.Refusal]) -> set[type[exceptions.Refusal]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    ours = {kind for kind in below(exceptions.Refusal) if kind.__module__ == exceptions.__name__}
    assert ours - {exceptions.Refusal} == {type(refusal) for refusal in REFUSALS}


def _limits() -> dict[str, tuple[str, str]]:
    return {what: (limit, beyond) for what, limit, beyond in rows(section(TEXT, "Limits"))}


def _longest(serializer: Any, field: str) -> int:
    longest: int = serializer.fields[field].max_length
    return longest


@pytest.mark.parametrize(
    ("what", "limit"),
    [
        ("path and query of a handshake", f"{handshake.LONGEST_TARGET} bytes"),
        ("all headers of a handshake", f"{handshake.LONGEST_HEADERS} bytes"),
        ("parameters in the query of a handshake", f"{handshake.MOST_PARAMETERS}"),
        ("an access token", f"{issuers.LONGEST_TOKEN} characters"),
        ("a refresh token", f"{_longest(serializers.Refresh(), 'refresh')} characters"),
        ("`path` of a ticket", f"{LONGEST_PATH} characters"),
        ("user name", f"{_longest(serializers.Credentials(), 'username')} characters"),
        ("password", f"{_longest(serializers.Credentials(), 'password')} characters"),
        ("a message", f"{conf.Settings().MESSAGE_SIZE} bytes *(setting)*"),
        ("messages on one socket", f"{conf.Settings().MESSAGE_RATE} *(setting)*"),
        ("an event's frame", f"{frames.LARGEST_EVENT} bytes"),
        ("`type` of an event", f"{LONGEST_TYPE} characters"),
        ("tickets per user", f"{conf.Settings().RATE_PER_USER} *(setting)*"),
        ("tickets per address", f"{conf.Settings().RATE_PER_ADDRESS} *(setting)*"),
        ("open sockets per user", f"{conf.Settings().SOCKETS_PER_USER or 'any number'} *(setting)*"),
        ("open sockets per address", f"{conf.Settings().SOCKETS_PER_ADDRESS or 'any number'} *(setting)*"),
    ],
)
def test_a_limit_is_the_codes(what: str, limit: str) -> None:
    assert _limits()[what][0] == limit


def test_the_longest_life_of_a_ticket() -> None:
    text = section(TEXT, "Ticket endpoint")
    assert f"at most {conf.LONGEST_TTL}; {conf.Settings().TICKET_TTL} by default" in text


def test_the_grace_of_a_refresh_token() -> None:
    assert f"for {conf.Settings().REFRESH_GRACE} more seconds" in section(TEXT, "Token endpoints")


def test_every_scheme_of_the_service_is_in_the_table() -> None:
    from django.utils.module_loading import import_string

    schemes = [import_string(path) for path in service.TICKETAUTH["SCHEMES"]]
    expected = {scheme.name: "ambient" if scheme.ambient else "explicit" for scheme in schemes}
    found = {name.strip("`"): kind for name, _, kind in rows(section(TEXT, "Ways to carry a credential"))}
    assert found == expected


@pytest.mark.parametrize("word", [wire.SUBPROTOCOL, wire.SUBPROTOCOL_TICKET_PREFIX, wire.READY])
def test_the_words_of_the_wire_are_quoted(word: str) -> None:
    assert f"`{word}`" in TEXT


MODELS: dict[str, type[BaseModel]] = {
    "ticketauth.ready": frames.Ready,
    "pong": frames.Pong,
    "event": frames.Event,
    "error": consumers.Error,
    "ping": frames.Ping,
}


def _examples() -> dict[str, Any]:
    found = re.findall(r"^#### (\S+)\n\n    (\{.+\})$", section(TEXT, "/ws/events/"), re.MULTILINE)
    return {name: json.loads(example) for name, example in found}


def test_every_frame_has_an_example() -> None:
    assert set(_examples()) == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_an_example_is_a_frame(name: str) -> None:
    example = _examples()[name]
    frame = MODELS[name].model_validate(example)
    assert json.loads(frame.model_dump_json()) == example
    assert set(example) == set(MODELS[name].model_fields)


def test_what_is_lost_is_what_the_code_loses() -> None:
    text = section(TEXT, "/ws/events/")
    assert f"beyond {addresses.CHANNEL_CAPACITY} that wait for it" in text
    assert listener.MOST_WAITING == 1024**2
    assert "beyond a mebibyte" in text


def test_a_close_reason_with_a_time_is_as_quoted() -> None:
    told = handshake.answer(exceptions.Unavailable(""), [], {"websocket.http.response": {}})
    assert f"`{told.close_reason}`" in section(TEXT, "Refusals")
