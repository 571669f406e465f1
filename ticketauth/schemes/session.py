"""Django's session cookie. Browsers send it by themselves: Origin must be on the list."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model, load_backend
from django.contrib.sessions.backends.base import SessionBase

from ticketauth import conf, logins, users
from ticketauth.batch import query
from ticketauth.exceptions import NotAuthenticated
from ticketauth.types import Identity, Opening, SecurityScheme

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
        return await query(lambda: _identify(credential), conf.current().DATABASE_DEADLINE)

    def hide(self, scope: Scope) -> Scope:
        """The cookie stays: what is inside may want the session."""
        return scope

    def security_scheme(self) -> SecurityScheme:
        said = (
            "Django's session: log in with the browser. It sends the cookie by itself: its `Origin` must be an "
            "allowed one."
        )
        name = settings.SESSION_COOKIE_NAME
        return SecurityScheme(
            "sessionCookie", {"type": "httpApiKey", "in": "cookie", "name": name, "description": said}, self.name
        )


def _identify(session_key: str) -> Identity:
    """Who a session belongs to. Only read: a handshake cannot give the browser another cookie.

    Hence not `django.contrib.auth.get_user`, which after a rotation of `SECRET_KEY` takes the session a new key.
    """
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore
    session: SessionBase = store(session_key)
    user = _user_of(session)
    if user is None or not users.has_auth_hash(user, session.get(HASH_SESSION_KEY, "")):
        raise NotAuthenticated("session_unknown")
    return logins.of_session(session, user)


def _user_of(session: SessionBase) -> Any:
    path, key = session.get(BACKEND_SESSION_KEY, ""), session.get(SESSION_KEY)
    if path not in settings.AUTHENTICATION_BACKENDS or key is None:
        return None
    backend: Any = load_backend(path)
    return backend.get_user(get_user_model()._meta.pk.to_python(key))
