"""The service's AsyncAPI document: beside this file, valid, and what the service does."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from django.core.management import call_command

from tests import npm

GOLDEN = Path(__file__).with_name("asyncapi.yaml")


def test_the_committed_document_is_what_runs() -> None:
    """To take a change over: `python -m tests.ticketauth.asyncapi`."""
    call_command("asyncapi", check=str(GOLDEN), stdout=StringIO())


def test_the_official_parser_finds_nothing() -> None:
    assert npm.run("validate.js", str(GOLDEN)) == [[]]
