"""The AsyncAPI document as it is served: it depends on code and settings, and in a few places on its address."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from django.contrib.auth import get_user_model
from django.core.signals import setting_changed

from ticketauth import conf
from ticketauth.exceptions import Misconfigured

from .page import Page, page

if TYPE_CHECKING:
    from ticketauth.asyncapi.parts import Contract

KEPT = 16
"""Documents. Where `PUBLIC_URLS` is empty, the `Host` header names the address, and who sends it may invent some.

So what takes time is done once for all addresses: the walk through the project, and most of the YAML.
"""


@dataclass(frozen=True, slots=True)
class Body:
    """A document as text, and its tag (RFC 9110 8.8.3)."""

    content: bytes
    etag: str


def _body(text: str) -> Body:
    content = text.encode()
    return Body(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


@functools.lru_cache(1)
def _contract() -> Contract:
    from ticketauth.asyncapi import project

    return project.anywhere()


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
    return project.at(base_url, _contract())


@functools.lru_cache(KEPT)
def as_json(base_url: str) -> Body:
    """The document as JSON."""
    made = document(base_url)
    from ticketauth.asyncapi import render

    return _body(render.to_json(made))


@functools.lru_cache(KEPT)
def as_yaml(base_url: str) -> Body:
    """The document as YAML."""
    return _body("".join(_yaml(document(base_url))))


def _yaml(made: dict[str, Any]) -> Iterator[str]:
    """Its text in pieces, of which most are the same at every address."""
    from ticketauth.asyncapi import render

    pieces = _pieces()
    for name, member in made.items():
        if not isinstance(member, dict) or not member:
            yield render.to_yaml({name: member})
            continue
        yield f"{name}:\n"
        for key, inner in member.items():
            is_known = (name, key) in pieces and pieces[name, key][0] == inner
            yield pieces[name, key][1] if is_known else _piece(name, key, inner)


@functools.lru_cache(1)
def _pieces() -> dict[tuple[str, str], tuple[Any, str]]:
    """The members of the document's members without an address, and their YAML; by both names."""
    from ticketauth.asyncapi import project

    members = {name: member for name, member in project.at("", _contract()).items() if isinstance(member, dict)}
    return {
        (name, key): (inner, _piece(name, key, inner))
        for name, member in members.items()
        for key, inner in member.items()
    }


def _piece(name: str, key: str, inner: Any) -> str:
    from ticketauth.asyncapi import render

    return render.to_yaml({name: {key: inner}}).removeprefix(f"{name}:\n")


@functools.lru_cache(KEPT)
def as_page(base_url: str) -> Page:
    """What the page shows of the document."""
    token_url = conf.current().TOKEN_URL
    address = urljoin(base_url, token_url) if token_url else ""
    return page(document(base_url), address, get_user_model().USERNAME_FIELD)


def _forget(**kwargs: object) -> None:
    """Django's `override_settings` has put other values in place."""
    for made in (_contract, document, as_json, _pieces, as_yaml, as_page):
        made.cache_clear()


setting_changed.connect(_forget, dispatch_uid="ticketauth.contract.documents")
