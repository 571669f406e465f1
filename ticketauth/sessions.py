"""A session whose login is over is over for Django's own pages too."""

from __future__ import annotations

from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user
from django.contrib.auth import middleware as django
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from . import logins
from .exceptions import NotAuthenticated


class AuthenticationMiddleware(django.AuthenticationMiddleware):
    """In `MIDDLEWARE`, in the place of Django's own: `request.user` is nobody once the session's login is over.

    Such a session is flushed by the first request that asks who its user is. That is one query more, and only there.
    """

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        user: Any = SimpleLazyObject(partial(_live_user, request))
        request.user = user
        request.auser = partial(sync_to_async(_evaluated), user)


def _evaluated(user: Any) -> Any:
    """What is behind a lazy user: read now, in the thread that calls."""
    return user if user.is_authenticated else AnonymousUser()


def _live_user(request: Any) -> Any:
    user = get_user(request)
    if not user.is_authenticated:
        return user
    try:
        request.ticketauth_session = logins.of_session(request.session, user)
    except NotAuthenticated as over:
        request.ticketauth_session = over
        request.session.flush()
        return AnonymousUser()
    return user
