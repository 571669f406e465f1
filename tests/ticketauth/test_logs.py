"""What is logged, and what is not."""

import json
import logging
import sys
from typing import Any

import pytest
from django.test import RequestFactory
from django.utils.functional import SimpleLazyObject
from hypothesis import given
from hypothesis import strategies as st
from pythonjsonlogger.json import JsonFormatter

from tests.strategies import generated
from ticketauth import logs

TICKET = "0b0f4a3c-6f0c-4a43-9d0f-2f1f5d5c7a11"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "text",
    [
        f"GET /ws/?ticket_uuid={TICKET} HTTP/1.1",
        f"GET /ws/?ticket%5Fuuid={TICKET} HTTP/1.1",
        f"GET /ws/?a=1&ticket_uuid={TICKET}.{'A' * 43}&b=2",
        f"Sec-WebSocket-Protocol: ticketauth.v1, ticketauth.ticket.{TICKET}",
        f"Authorization: Ticket {TICKET}",
        f"authorization: bearer {JWT}",
        f"GET /ws/?token={JWT}",
        "GET /ws/?token=opaque" + TICKET,
        f"Cookie: access_token={JWT}; a=b",
        f"a JWT anywhere {JWT}",
        json.dumps({"ticket_uuid": TICKET}),
        repr({"ticket_uuid": TICKET}),
    ],
)
def test_a_credential_is_redacted(text: str) -> None:
    redacted = logs.redact(text)
    assert TICKET not in redacted
    assert JWT not in redacted
    assert "[redacted]" in redacted


def test_other_ids_stay() -> None:
    assert TICKET in logs.redact(f"user={TICKET} /rooms/{TICKET}/")


def test_nobody_writes_lines_of_their_own() -> None:
    assert logs.redact("a\nb\x1b[31m\u2028c") == "a\\x0ab\\x1b[31m\\x2028c"


def test_the_names_follow_the_settings(settings) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "TICKET_QUERY_PARAM": "pass"}
    assert TICKET not in logs.redact(f"?pass={TICKET}")


def test_wrong_settings_do_not_stop_the_log(settings) -> None:
    settings.TICKETAUTH = {"NO_SUCH": 1}
    assert TICKET not in logs.redact(f"?ticket_uuid={TICKET}")


def test_the_filter_redacts_message_and_arguments() -> None:
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "%s and %d", (f"?ticket_uuid={TICKET}", 7), None)
    assert logs.RedactFilter().filter(record)
    assert record.getMessage() == "?ticket_uuid=[redacted] and 7"


def test_the_filter_redacts_a_mapping_of_arguments_and_further_attributes() -> None:
    record: Any = logging.LogRecord(
        "x", logging.INFO, __file__, 1, "%(url)s", ({"url": f"?ticket_uuid={TICKET}"},), None
    )
    record.header = f"Bearer {JWT}"
    record.number = 7
    logs.RedactFilter().filter(record)
    assert record.getMessage() == "?ticket_uuid=[redacted]"
    assert (record.header, record.number) == ("Bearer [redacted]", 7)


@pytest.mark.parametrize("formatter", [logging.Formatter(), JsonFormatter()])
def test_the_filter_redacts_a_traceback_and_keeps_its_lines(formatter: logging.Formatter) -> None:
    try:
        raise RuntimeError(f"refused ?ticket_uuid={TICKET}")
    except RuntimeError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "it failed", (), sys.exc_info())
    logs.RedactFilter().filter(record)
    written = formatter.format(record)
    assert "RuntimeError: refused ?ticket_uuid=[redacted]" in written
    assert TICKET not in written


def test_a_value_from_outside_is_quoted(caplog: pytest.LogCaptureFixture) -> None:
    logs.event(logging.WARNING, "handshake", {"origin": 'x" outcome=admitted\n', "empty": "", "none": None})
    assert caplog.records[0].getMessage() == 'handshake origin="x\\" outcome=admitted\\n"'


def test_the_filter_redacts_what_is_no_text_yet() -> None:
    record: Any = logging.LogRecord("django.request", logging.WARNING, __file__, 1, "Not Found", (), None)
    record.request = RequestFactory().get(f"/?ticket_uuid={TICKET}")
    record.status_code = 404
    logs.RedactFilter().filter(record)
    assert TICKET not in JsonFormatter().format(record)
    assert record.status_code == 404


_PIECES = ["ticket_uuid", "=", ":", " ", "?", "&", "%3D", "%3F", '"', ";", "Bearer ", "Ticket", TICKET, JWT, "eyJ", "."]
_TEXTS = st.lists(st.sampled_from([*_PIECES, "[redacted]", "\n", "\u017f", "x"]), max_size=6).map("".join)


@generated(300)
@given(message=_TEXTS, first=_TEXTS, second=_TEXTS)
def test_one_look_at_everything_misses_nothing(message: str, first: str, second: str) -> None:
    record: Any = logging.LogRecord("x", logging.INFO, __file__, 1, message, (), None)
    record.first, record.second = first, second
    logs.RedactFilter().filter(record)
    told = (record.getMessage(), record.first, record.second)
    assert told == (logs.redact(message), logs.redact(first), logs.redact(second))


def test_a_call_with_the_wrong_arguments_does_not_fail_its_caller() -> None:
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "%d users", (f"?ticket_uuid={TICKET}",), None)
    assert logs.RedactFilter().filter(record)
    assert "%d users" in record.getMessage()
    assert TICKET not in record.getMessage()


async def test_nor_does_one_with_an_object_that_cannot_be_shown_here() -> None:
    def user() -> Any:
        raise RuntimeError("not from the event loop")

    record: Any = logging.LogRecord("x", logging.INFO, __file__, 1, "hello", (), None)
    record.user = SimpleLazyObject(user)
    assert logs.RedactFilter().filter(record)
    assert "SimpleLazyObject" in JsonFormatter().format(record)


@pytest.mark.parametrize("text", [f"t\u0131cket_uuid={TICKET}", f"T\u0130CKET {TICKET}", "pa\u017f\u017fword=hunter2"])
def test_letters_that_expressions_take_for_others_hide_nothing(text: str) -> None:
    told = logs.redact(text)
    assert TICKET not in told
    assert "hunter2" not in told
