"""Django's admin: who is which subject, what is refused, and the logins, to look at and to end."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest

from . import logins, logs, users
from .models import ForeignIdentity, Login, Revocation
from .types import Sid


@admin.register(Login)
class LoginAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Logins, to look at and to end."""

    list_display = ("user", "label", "created_at", "refreshed_at", "expires_at", "revoked_at")
    list_filter = ("revoked_at",)
    list_select_related = ("user",)
    search_fields = ("sid", f"user__{get_user_model().USERNAME_FIELD}")
    actions = ("end_these",)
    exclude = ("auth_hash", "refresh_jti", "previous_jti")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A login begins with a password."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Login | None = None) -> bool:
        """Rows are the truth about live credentials."""
        return False

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        """Ended, not deleted: a row that stays says when. Where the actions are shown, Django asks from 6.1 on."""
        shown = () if action_location is None else (action_location,)
        actions: dict[str, Any] = super().get_actions(request, *shown)
        actions.pop("delete_selected", None)
        return actions

    @admin.action(description="End these logins", permissions=["delete"])
    def end_these(self, request: HttpRequest, queryset: QuerySet[Login]) -> None:
        """Who may delete them may."""
        ended = sum(logins.end(Sid(login.sid)) for login in queryset)
        facts = {"outcome": "done", "logins": ended, "by": users.subject_of(request.user)}
        logs.event(logging.INFO, "revoke", facts)
        self.message_user(request, f"Ended {ended} logins.")


@admin.register(ForeignIdentity)
class ForeignIdentityAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Which user a provider's subject is."""

    list_display = ("issuer", "subject", "user")
    search_fields = ("issuer", "subject")
    raw_id_fields = ("user",)


@admin.register(Revocation)
class RevocationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The deny-list."""

    list_display = ("issuer", "subject", "sid", "revoked_at", "expires_at")
    search_fields = ("issuer", "subject", "sid")
