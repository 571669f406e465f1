"""What ends a login without a word to it, written into the database at once: a user who is out, a deleted row.

Open sockets are closed by what the database says was revoked. What sends no signal, such as
`QuerySet.update`, they learn of when their users are read again.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db.models.signals import post_save, pre_delete, pre_save
from django.utils import timezone
from rest_framework_simplejwt import settings as simplejwt

from . import logins, users, wake
from .models import ForeignIdentity, Login, Revocation
from .types import OURS, Issuer, Subject


def connect() -> None:
    """Listen. A proxy of the user model sends signals of its own."""
    user_model = get_user_model()
    for model in apps.get_models():
        if issubclass(model, user_model):
            post_save.connect(_user_saved, sender=model, dispatch_uid="ticketauth.causes")
            pre_delete.connect(_user_deleted, sender=model, dispatch_uid="ticketauth.causes")
    post_save.connect(_revoked, sender=Revocation, dispatch_uid="ticketauth.causes")
    pre_delete.connect(_login_deleted, sender=Login, dispatch_uid="ticketauth.causes")
    pre_save.connect(_identity_saved, sender=ForeignIdentity, dispatch_uid="ticketauth.causes")
    pre_delete.connect(_identity_deleted, sender=ForeignIdentity, dispatch_uid="ticketauth.causes")


def _user_saved(
    *, instance: Any, created: bool, raw: bool, update_fields: Collection[str] | None, **kwargs: object
) -> None:
    if created or raw or (update_fields is not None and not {"is_active", "password"} & set(update_fields)):
        return
    if instance.is_active:
        logins.end_stale(instance)
        if simplejwt.api_settings.CHECK_REVOKE_TOKEN:
            # A new password ends tokens without a login too, of which no row says anything.
            for whom in users.subjects_of(instance):
                wake.hubs(whom)
    else:
        logins.end_all(instance)


def _revoked(**kwargs: object) -> None:
    """By the admin, or by a project: a provider's back-channel logout."""
    wake.hubs()


def _user_deleted(*, instance: Any, **kwargs: object) -> None:
    logins.deny(OURS, users.subject_of(instance))


def _login_deleted(*, instance: Login, **kwargs: object) -> None:
    # Also one that was revoked: perhaps so shortly before that nobody has read it yet.
    if instance.expires_at > timezone.now():
        logins.deny(OURS, users.subject_of(instance.user), instance.sid)


def _identity_saved(*, instance: ForeignIdentity, raw: bool, **kwargs: object) -> None:
    """A subject that is somebody else's from now on is not to go on as who it was."""
    known = None if raw else ForeignIdentity.objects.filter(pk=instance.pk).first()
    if known is not None and _mapped(known) != _mapped(instance):
        logins.deny(Issuer(known.issuer), Subject(known.subject))


def _mapped(identity: ForeignIdentity) -> tuple[str, str, Any]:
    return identity.issuer, identity.subject, identity.user_id


def _identity_deleted(*, instance: ForeignIdentity, **kwargs: object) -> None:
    logins.deny(Issuer(instance.issuer), Subject(instance.subject))
