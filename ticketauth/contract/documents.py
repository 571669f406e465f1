"""The AsyncAPI document as it is served: made once per address, for it depends on code and settings alone."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from django.core.signals import setting_changed

from ticketauth import conf
from ticketauth.exceptions import Misconfigured

from .page import Page, page

KEPT = 16
"""Documents. Where `PUBLIC_URLS` is empty, the `Host` header names the address, and who sends it may invent some."""


@dataclass(frozen=True, slots=True)
class Body:
    """A document as text, and its tag (RFC 9110 8.8.3)."""

    content: bytes
    etag: str


def _body(text: str) -> Body:
    content = text.encode()
    return Body(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


@functools.lru_cache(KEPT)
def document(base_url: str) -> dict[str, Any]:
    """The AsyncAPI document of this project.

    Raises:
        Misconfigured: What makes it is not installed.
    """
    try:
        from ticketauth.asyncapi import project
    except ImportError as error:
        raise Misconfigured(
            f"{error}. The AsyncAPI document needs more: pip install 'ticketauth[asyncapi]'."
        ) from error
    return project.document(base_url)


@functools.lru_cache(KEPT)
def as_json(base_url: str) -> Body:
    """The document as JSON."""
    made = document(base_url)
    from ticketauth.asyncapi import render

    return _body(render.to_json(made))


@functools.lru_cache(KEPT)
def as_yaml(base_url: str) -> Body:
    """The document as YAML."""
    made = document(base_url)
    from ticketauth.asyncapi import render

    return _body(render.to_yaml(made))


@functools.lru_cache(KEPT)
def as_page(base_url: str) -> Page:
    """What the page shows of the document."""
    token_url = conf.current().TOKEN_URL
    return page(document(base_url), urljoin(base_url, token_url) if token_url else "")


def _forget(**kwargs: object) -> None:
    """Django's `override_settings` has put other values in place."""
    for made in (document, as_json, as_yaml, as_page):
        made.cache_clear()


setting_changed.connect(_forget, dispatch_uid="ticketauth.contract.documents")
