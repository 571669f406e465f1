"""Django's session cookie. Browsers send it by themselves: Origin must be on the list."""

from __future__ import annotations

import asyncio
from importlib import import_module
from types import SimpleNamespace
from typing import Any, ClassVar, cast

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from ticketauth import conf, logins
from ticketauth.exceptions import NotAuthenticated
from ticketauth.types import Identity, Opening

from .base import Scope


class Session:
    """A login by Django's sessions."""

    name: ClassVar[str] = "session"
    ambient: ClassVar[bool] = True
    challenge: ClassVar[str] = ""

    def find(self, opening: Opening) -> str | None:
        values = opening.cookie(settings.SESSION_COOKIE_NAME)
        if len(values) > 1:
            raise NotAuthenticated("cookie_twice")
        return values[0] if values else None

    async def authenticate(self, credential: str, opening: Opening) -> Identity:
        async with asyncio.timeout(conf.current().DATABASE_DEADLINE):
            identity: Identity = await database_sync_to_async(_identify)(credential)
        return identity

    def hide(self, scope: Scope) -> Scope:
        """The cookie stays: what is inside may want the session."""
        return scope


def _identify(session_key: str) -> Identity:
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore
    session: SessionBase = store(session_key)
    # All that `get_user` looks at is the session; it checks the backend and the auth hash.
    user = get_user(cast("HttpRequest", SimpleNamespace(session=session)))
    if not user.is_authenticated:
        raise NotAuthenticated("session_unknown")
    identity = logins.of_session(session, user)
    if session.modified:
        session.save(must_create=False)
    return identity
