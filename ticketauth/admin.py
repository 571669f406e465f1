"""Django's admin: who is which subject, and what is refused. Logins are shown, and may be deleted, which ends them."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from .models import ForeignIdentity, Login, Revocation


@admin.register(Login)
class LoginAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Logins, to look at and to end."""

    list_display = ("user", "created_at", "refreshed_at", "expires_at", "revoked_at")
    list_filter = ("revoked_at",)
    search_fields = ("sid",)
    exclude = ("auth_hash", "refresh_jti", "previous_jti")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A login begins with a password."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Login | None = None) -> bool:
        """Rows are the truth about live credentials."""
        return False


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
