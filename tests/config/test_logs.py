import io
import json
import logging
import logging.config
from datetime import datetime, timedelta

import pytest

from config import logs

TICKET = "0b0f4a3c-6f0c-4a43-9d0f-2f1f5d5c7a11"


@pytest.fixture(params=["json", "text"])
def lines(request):
    """What the configured handler writes, without touching the loggers of the test run."""
    made = logs.config("INFO", request.param)
    configurator = logging.config.DictConfigurator(made)
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(configurator.configure_formatter(made["formatters"][request.param]))
    handler.addFilter(configurator.configure_filter(made["filters"]["redact"]))

    def write(name, message, *arguments):
        record = logging.LogRecord(name, logging.INFO, __file__, 1, message, arguments, None)
        handler.handle(record)
        return written.getvalue()

    return write


def test_uvicorns_access_line_loses_the_ticket(lines):
    written = lines(
        "uvicorn.access", '%s - "%s %s HTTP/%s" %d', "1.2.3.4:5", "GET", f"/ws/?ticket_uuid={TICKET}", "1.1", 101
    )
    assert TICKET not in written
    assert "/ws/?ticket_uuid=" in written


def test_a_message_is_one_line(lines):
    assert lines("django", "first\nsecond %s", "third\x1b[2J\n").count("\n") == 1


@pytest.mark.parametrize("name", ["uvicorn", "uvicorn.access", "uvicorn.error", "django", "django.server"])
def test_no_logger_has_a_way_around_the_filter(name):
    made = logs.config("INFO", "json")
    assert made["loggers"][name]["handlers"] == []
    assert made["loggers"][name]["propagate"]
    assert all(handler["filters"] == ["redact"] for handler in made["handlers"].values())


def test_json_has_the_facts_as_fields(production, python):
    code = (
        "import django, logging; django.setup();"
        "logging.getLogger('ticketauth').info('handshake', extra={'event': 'handshake', 'scheme': 'ticket'})"
    )
    ended = python("-c", code, environment=production | {"DJANGO_SETTINGS_MODULE": "config.settings"})
    line = json.loads(ended.stderr)
    assert (line["level"], line["logger"], line["scheme"]) == ("INFO", "ticketauth", "ticket")
    assert datetime.fromisoformat(line["time"]).utcoffset() == timedelta(0)
