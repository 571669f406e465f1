"""The Django app."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth.signals import user_logged_in, user_logged_out

from .labels import label_of


class TicketAuthConfig(AppConfig):
    """`INSTALLED_APPS = [..., "ticketauth"]`."""

    name = "ticketauth"
    verbose_name = "Ticket authentication"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import causes, checks  # noqa: F401 -- registers its checks

        if apps.is_installed("drf_spectacular"):
            from . import openapi  # noqa: F401 -- registers its extensions

        user_logged_in.connect(_start_session_login, dispatch_uid="ticketauth.session_login")
        user_logged_out.connect(_end_session_login, dispatch_uid="ticketauth.session_login")
        causes.connect()


def _start_session_login(*, request: Any, user: Any, **kwargs: object) -> None:
    """`django.contrib.auth.login()` begins a login of its own."""
    from . import logins

    if (session := getattr(request, "session", None)) is not None:
        logins.start_session(session, user, label_of(request.META.get("HTTP_USER_AGENT", "")))


def _end_session_login(*, request: Any, user: Any, **kwargs: object) -> None:
    """`django.contrib.auth.logout()` ends the session's login too, before it flushes the session."""
    from . import logins

    if user is not None and (session := getattr(request, "session", None)) is not None:
        logins.end_session(session, user)
