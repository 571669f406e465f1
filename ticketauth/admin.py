"""Django's admin: who is which subject, what is refused, and the logins and live sockets, to look at and to end."""

from __future__ import annotations

import logging
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path

from . import logins, logs, registry, users
from .exceptions import Unavailable
from .models import ForeignIdentity, Login, Revocation
from .types import LiveSocket, Sid

MOST_SHOWN = 300
"""Live sockets on their page."""

_HEADINGS = ("User", "Path", "Address", "Program", "Scheme", "Since", "Login", "Connection")


@admin.register(Login)
class LoginAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Logins, to look at and to end; with a page for their sockets, under the same permissions."""

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

    def get_urls(self) -> list[Any]:
        """With the page of live sockets."""
        page = self.admin_site.admin_view(self.sockets_view)
        return [path("sockets/", page, name="ticketauth_login_sockets"), *super().get_urls()]

    def sockets_view(self, request: HttpRequest) -> HttpResponse:
        """The live sockets of all workers, whoever's. Who may delete logins may end them."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._end_sockets(request)
        query = request.GET.get("q", "").strip()
        found, more, unknown = list[LiveSocket](), False, False
        try:
            found, more = async_to_sync(_found)(query)
        except Unavailable:
            unknown = True
        context = {
            **self.admin_site.each_context(request),
            "title": "Live sockets",
            "opts": self.opts,
            "query": query,
            "headings": _HEADINGS,
            "sockets": [(socket, datetime.fromtimestamp(socket.since, UTC)) for socket in found],
            "more": more,
            "unknown": unknown,
            "may_end": self.has_delete_permission(request),
        }
        template = "admin/ticketauth/login/sockets.html"
        return TemplateResponse(request, template, context, status=503 if unknown else 200)

    def _end_sockets(self, request: HttpRequest) -> HttpResponse:
        if not self.has_delete_permission(request):
            raise PermissionDenied
        try:
            ended = async_to_sync(registry.end)(request.POST.getlist("chosen")[:MOST_SHOWN])
        except Unavailable:
            self.message_user(request, "Redis cannot be asked: nothing was ended. Try again.", messages.ERROR)
        else:
            facts = {"outcome": "done", "connections": ended, "by": users.subject_of(request.user)}
            logs.event(logging.INFO, "disconnect", facts)
            self.message_user(request, f"Ended {ended} sockets.")
        return HttpResponseRedirect(request.get_full_path())


async def _found(query: str) -> tuple[list[LiveSocket], bool]:
    """The newest first of those that were found, and whether there are more."""
    found: list[LiveSocket] = []
    async with aclosing(registry.sockets().everybodys()) as sockets:
        async for socket in sockets:
            if len(found) > MOST_SHOWN:
                break
            if _matches(socket, query.casefold()):
                found.append(socket)
    shown = sorted(found[:MOST_SHOWN], key=lambda socket: socket.since, reverse=True)
    return shown, len(found) > MOST_SHOWN


def _matches(socket: LiveSocket, query: str) -> bool:
    texts = (socket.name, socket.subject, socket.sid, socket.address, socket.path)
    return any(query in text.casefold() for text in texts)


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
