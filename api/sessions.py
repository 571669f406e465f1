"""One's own logins: which there are, and their end. Each answer of 204 comes after the database's commit."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model, logout
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from ticketauth import logins, logs, registry, users
from ticketauth.authentication import BearerAuthentication, SessionLoginAuthentication, identity_of
from ticketauth.exceptions import Unavailable
from ticketauth.models import Login
from ticketauth.types import OURS, Identity, Sid
from ticketauth.views import address_of

from . import openapi
from .serializers import RevokeAll, Session
from .views import HEADERS, LoginView, valid

MOST_LISTED = 200
"""Of the logins seen last. Programs that log in for every call have more than anybody reads."""


class OwnLoginsView(LoginView):
    """Of whoever asks, with a token or a session."""

    authentication_classes = (BearerAuthentication, SessionLoginAuthentication)

    def identity(self, request: Request) -> Identity:
        """Who asks.

        Raises:
            NotAuthenticated: Nobody.
        """
        return identity_of(request.user, request.auth)

    def done(self, request: Request, **facts: Any) -> Response:
        """204. The session that asked is over with its login."""
        identity = self.identity(request)
        facts = {"outcome": "done", "user": identity.subject, **facts, "address": address_of(request._request)}
        logs.event(logging.INFO, self.event, facts)
        return Response(status=204, headers=HEADERS)


def _of_the_database(user: Any) -> bool:
    """Users made of a provider's claims have no logins here."""
    return isinstance(user, get_user_model())


class SessionsView(OwnLoginsView):
    """`GET /api/sessions/`."""

    event = "sessions"

    @openapi.list_sessions
    def get(self, request: Request) -> Response:
        """The logins that are not over, the last seen first."""
        identity = self.identity(request)
        own = logins.live(request.user) if _of_the_database(request.user) else Login.objects.none()
        context = {"current": _sid(identity), "connections": _connections(request.user, identity)}
        body = Session(own.order_by("-refreshed_at", "pk")[:MOST_LISTED], many=True, context=context)
        return Response(body.data, headers=HEADERS)


class SessionView(OwnLoginsView):
    """`DELETE /api/sessions/<sid>/`."""

    event = "revoke"

    @openapi.end_session
    def delete(self, request: Request, sid: str) -> Response:
        """End it. Again 204 for one that is over; 404 for a stranger's, as for one that does not exist."""
        identity = self.identity(request)
        own = Login.objects.filter(user=request.user) if _of_the_database(request.user) else Login.objects.none()
        if not own.filter(pk=sid).exists():
            raise NotFound
        logins.end(Sid(sid))
        _flush_session(request, ended=_sid(identity) == sid)
        return self.done(request, sid=sid)


class RevokeAllView(OwnLoginsView):
    """`POST /api/sessions/revoke-all/`."""

    event = "revoke"

    @openapi.revoke_all
    def post(self, request: Request) -> Response:
        """End all, or all others."""
        identity = self.identity(request)
        keep_current = valid(RevokeAll(data=request.data))["keep_current"]
        ended = _end_all(request.user, identity, keep_current=keep_current)
        _flush_session(request, ended=not keep_current)
        return self.done(request, logins=ended)


def _sid(identity: Identity) -> str:
    """Of a login here; a provider's means nothing."""
    return identity.sid if identity.issuer == OURS else ""


def _connections(user: Any, identity: Identity) -> Mapping[Sid, int] | None:
    """The open sockets of each login; None where nobody knows."""
    try:
        return async_to_sync(registry.sockets().counts)(*users.owner_of(user, identity))
    except Unavailable:
        return None


def _end_all(user: Any, identity: Identity, *, keep_current: bool) -> int:
    if _of_the_database(user):
        return logins.end_all(user, keep=identity if keep_current else None)
    if not keep_current:
        logins.deny(identity.issuer, identity.subject)
    return 0


def _flush_session(request: Request, *, ended: bool) -> None:
    """The browser that asked loses its session now, others at their next request."""
    if ended and isinstance(request.successful_authenticator, SessionLoginAuthentication):
        logout(request._request)
