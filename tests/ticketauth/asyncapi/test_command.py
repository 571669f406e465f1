"""`manage.py asyncapi`."""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.test import override_settings

from ticketauth.contract import documents


def _printed(**options: Any) -> str:
    out = StringIO()
    call_command("asyncapi", stdout=out, **options)
    return out.getvalue()


def test_it_prints_yaml() -> None:
    assert yaml.safe_load(_printed())["asyncapi"] == "3.1.0"


def test_it_prints_json() -> None:
    assert json.loads(_printed(format="json")) == yaml.safe_load(_printed())


def test_the_service_is_at_the_first_public_url() -> None:
    assert yaml.safe_load(_printed())["servers"]["websocket"]["host"] == "sockets.example"


@override_settings(TICKETAUTH={"PUBLIC_URLS": []})
def test_without_one_it_is_the_development_servers() -> None:
    server = yaml.safe_load(_printed())["servers"]["websocket"]
    assert (server["protocol"], server["host"]) == ("ws", "127.0.0.1:8000")


def test_it_is_where_one_says() -> None:
    server = yaml.safe_load(_printed(url="http://127.0.0.1:9000"))["servers"]["websocket"]
    assert (server["protocol"], server["host"]) == ("ws", "127.0.0.1:9000")


@pytest.mark.parametrize("format", ["yaml", "json"])
def test_a_committed_document_that_is_the_same_passes(tmp_path: Path, format: str) -> None:  # noqa: A002
    (tmp_path / "asyncapi").write_text(_printed(format=format), encoding="utf-8")
    assert _printed(check=str(tmp_path / "asyncapi")) == f"{tmp_path / 'asyncapi'} is what runs.\n"


def test_a_committed_document_that_differs_fails_with_the_difference(tmp_path: Path) -> None:
    file = tmp_path / "asyncapi.yaml"
    file.write_text(_printed().replace("title: Events", "title: Old"), encoding="utf-8")
    out = StringIO()
    with pytest.raises(CommandError, match="is not what runs"):
        call_command("asyncapi", check=str(file), stdout=out)
    assert "-    title: Old\n" in out.getvalue()
    assert "+    title: Events\n" in out.getvalue()


@pytest.mark.parametrize("content", [None, "- a list", "a: [", "\x00"])
def test_a_file_that_is_no_document_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "asyncapi.yaml"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(CommandError, match=r"asyncapi\.yaml"):
        _printed(check=str(file))


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    documents.document.cache_clear()
    monkeypatch.setitem(sys.modules, "ticketauth.asyncapi.project", None)
    monkeypatch.delattr("ticketauth.asyncapi.project", raising=False)
    with pytest.raises(CommandError, match=r"ticketauth\[asyncapi\]"):
        _printed()
