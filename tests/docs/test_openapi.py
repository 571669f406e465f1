"""The OpenAPI document says what `docs/protocol.md` says."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.docs.tables import read, rows, section

TEXT = read("docs/protocol.md")
PATHS: dict[str, Any] = json.loads(read("tests/e2e/openapi.json"))["paths"]
ENDPOINTS = [path for path in PATHS if path.startswith("/api/")]


def statuses(path: str) -> set[str]:
    """Those of the endpoint's section; the ticket endpoint's table is further down in the one around it."""
    heading = f"{next(iter(PATHS[path])).upper()} {path}"
    told = section(TEXT, "Ticket endpoint" if path == "/api/tickets/" else heading)
    return set(re.findall(r"\b(?:20[0-4]|4\d\d|50[03])\b", told))


def responses(path: str) -> dict[str, Any]:
    (operation,) = PATHS[path].values()
    found: dict[str, Any] = operation["responses"]
    return found


@pytest.mark.parametrize("path", ENDPOINTS)
def test_every_status_of_an_endpoint_is_in_it(path: str) -> None:
    assert statuses(path)
    assert statuses(path) <= set(responses(path))


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_every_status_of_a_health_check_is_in_it(path: str) -> None:
    (told,) = [answer for call, answer in rows(section(TEXT, "Health")) if call == f"`GET {path}`"]
    assert set(re.findall(r"\b[25]\d\d\b", told)) | {"405"} == set(PATHS[path]["get"]["responses"])


def test_every_code_is_in_it_with_its_status_and_no_other() -> None:
    table = rows(section(TEXT, "Errors over HTTP"))
    told = {(cells[0], cells[1].strip("`")) for cells in table if cells[0].isdigit()}
    answers = [item for path in ENDPOINTS for item in responses(path).items()]
    problems = [(status, answer["content"]["application/problem+json"]) for status, answer in answers if status > "3"]
    found = {(status, told["value"]["code"]) for status, problem in problems for told in problem["examples"].values()}
    assert found == told
