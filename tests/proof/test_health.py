"""`/healthz` needs the event loop and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import Service


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was given to a thread."""
    submitted: list[Any] = []
    submit = ThreadPoolExecutor.submit

    def watched(self: ThreadPoolExecutor, work: Any, /, *args: Any, **kwargs: Any) -> Any:
        submitted.append(work)
        return submit(self, work, *args, **kwargs)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", watched)
    return submitted


def test_it_waits_for_no_thread(service: Service, submitted: list[Any]) -> None:
    assert service.http.get("/healthz").status_code == 200
    assert submitted == []


def test_a_view_of_django_does(service: Service, submitted: list[Any]) -> None:
    """The twin."""
    assert service.http.get("/readyz").status_code == 200
    assert submitted


def test_whoever_asks_may_name_an_address_as_orchestrators_do(service: Service, settings) -> None:
    settings.ALLOWED_HOSTS = ["sockets.example"]
    assert service.http.get("/healthz", headers={"Host": "10.0.0.7:8000"}).status_code == 200
    assert service.http.get("/readyz", headers={"Host": "10.0.0.7:8000"}).status_code == 400


def test_its_answer_is_never_kept(service: Service) -> None:
    assert service.http.get("/healthz").headers["cache-control"] == "no-store"
    assert service.http.head("/healthz").text == ""
