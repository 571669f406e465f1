"""The Django app."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_out


class TicketAuthConfig(AppConfig):
    """`INSTALLED_APPS = [..., "ticketauth"]`."""

    name = "ticketauth"
    verbose_name = "Ticket authentication"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401 -- registers them

        user_logged_out.connect(_end_session_login, dispatch_uid="ticketauth.session_login")


def _end_session_login(*, request: Any, **kwargs: object) -> None:
    """`django.contrib.auth.logout()` ends the session's login too, before it flushes the session."""
    from . import logins

    session = getattr(request, "session", None)
    if session is not None and (sid := session.get(logins.SESSION_KEY)):
        logins.end(sid)
