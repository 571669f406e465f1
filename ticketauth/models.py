"""Logins, subjects of identity providers, and what was revoked that has no login here."""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.db import models, router

from .labels import LONGEST_LABEL


def new_sid() -> str:
    """128 random bits in hexadecimal. Not base64url: one of 64 begins with `-`, an option to every command line."""
    return secrets.token_hex(16)


class PrimaryManager(models.Manager):  # type: ignore[type-arg]
    """Reads where is written: a replica that lags would bring back what was just revoked."""

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().using(self._db or router.db_for_write(self.model))


class Login(models.Model):
    """One login of one user of this project: from a password or a session to the logout.

    Tokens and sessions carry its `sid`; where there is no live row, they are refused.
    """

    sid = models.CharField(primary_key=True, max_length=64, default=new_sid, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    auth_hash = models.CharField(max_length=128, help_text="The user's session auth hash: a password change ends it.")
    label = models.CharField(max_length=LONGEST_LABEL, blank=True, help_text="What it was begun with, for its user.")
    created_at = models.DateTimeField()
    refreshed_at = models.DateTimeField(help_text="Last seen: a refresh, or a use of the session.")
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True, blank=True, db_index=True)
    refresh_jti = models.CharField(max_length=64, blank=True, help_text="The refresh token that is good now.")
    previous_jti = models.CharField(max_length=64, blank=True, help_text="Its immediate predecessor.")

    objects = PrimaryManager()

    def __str__(self) -> str:
        return f"{self.user} since {self.created_at:%Y-%m-%d %H:%M}"


class ForeignIdentity(models.Model):
    """Which user a subject of an identity provider is. Its subject "1" is not our user 1 unless a row says so."""

    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")

    class Meta:
        verbose_name_plural = "foreign identities"
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="ticketauth_foreign_identity")]

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"


class Revocation(models.Model):
    """A deny-list entry for credentials that have no login here: a provider's, or ours without `sid`.

    With a `sid` it refuses that login at the issuer; without, all that the subject was issued before.
    """

    issuer = models.CharField(max_length=255, blank=True, help_text="Empty for this project's own tokens.")
    subject = models.CharField(max_length=255)
    sid = models.CharField(max_length=255, blank=True)
    revoked_at = models.DateTimeField(db_index=True)
    expires_at = models.DateTimeField(db_index=True, help_text="When all that it refuses has expired anyway.")

    objects = PrimaryManager()

    class Meta:
        indexes = [models.Index(fields=["issuer", "subject"], name="ticketauth_revocation_idx")]

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer or 'this project'}"
