"""Logins: begun with a password or a session, kept through refresh, ended once and for all.

A project's own token views call `start`, `rotate` and `end`; those of the service do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.contrib.sessions.backends.base import SessionBase
from django.db import models, router, transaction
from django.db.models.functions import Length
from django.utils import timezone
from django.utils.crypto import salted_hmac
from rest_framework_simplejwt import settings as simplejwt
from rest_framework_simplejwt.tokens import RefreshToken

from . import conf, users, wake
from .exceptions import NotAuthenticated
from .labels import LONGEST_LABEL
from .models import Login, Revocation, new_sid
from .types import OURS, Identity, Issuer, Sid, Subject

SESSION_KEY = "ticketauth_sid"
"""Where a session keeps its `sid`: random, never the session key, which is a credential."""

DERIVED_LENGTH = 64
"""Characters of a `sid` that follows from a session's key. All others have fewer."""


def start(user: Any, label: str = "") -> RefreshToken:
    """Begin a login. The refresh token, and every access token made of it, carries its `sid`.

    Args:
        user: Who has just proved who they are.
        label: What they will know it by in the list of their logins; `labels.label_of` makes one of a user agent.
    """
    now = timezone.now()
    login = Login.objects.create(
        user=user,
        auth_hash=user.get_session_auth_hash(),
        label=label[:LONGEST_LABEL],
        created_at=now,
        refreshed_at=now,
        expires_at=_end(now, now),
        refresh_jti=uuid4().hex,
    )
    return _token(login, {})


def rotate(claims: Mapping[str, Any]) -> RefreshToken:
    """Exchange a refresh token for the next one (RFC 9700 4.14.2).

    The immediate predecessor of the token that is good now gets that same token again for `REFRESH_GRACE` seconds: a
    phone lost the answer, or two tabs asked at once. Anything older was copied, and ends the login.

    Args:
        claims: Of a verified refresh token.

    Raises:
        NotAuthenticated: The login is over, or the token was used before.
    """
    login = _live(claims["sid"])
    jti = claims[simplejwt.api_settings.JTI_CLAIM]
    if jti == login.refresh_jti:
        if _advance(login, jti):
            return _token(login, claims)
        login = _live(login.sid)
    if not _in_grace(login, jti):
        end(Sid(login.sid))
        raise _over("refresh_reused", login)
    return _token(login, claims)


def end(sid: Sid) -> bool:
    """End a login. Ending it again, or one that does not exist, changes nothing, and gives False."""
    return bool(_revoke(Login.objects.filter(pk=sid, revoked_at=None)))


def end_all(user: Any, *, keep: Identity | None = None) -> int:
    """End every login of a user, and refuse what they hold without one: tokens without `sid`, a provider's tokens.

    Those are refused that were issued before now.

    Args:
        user: Of the database.
        keep: The credential that goes on. One without a login here goes on together with all of its kind.

    Returns:
        How many logins there were.
    """
    subjects = users.subjects_of(user)
    logins = Login.objects.filter(user=user, revoked_at=None, expires_at__gt=timezone.now())
    if keep is not None and keep.issuer == OURS and logins.filter(pk=keep.sid).exists():
        logins = logins.exclude(pk=keep.sid)
    elif keep is not None:
        subjects.discard((keep.issuer, keep.subject))
    with transaction.atomic(using=router.db_for_write(Login)):
        ended = _revoke(logins)
        for issuer, subject in subjects:
            deny(issuer, subject)
    return ended


def end_stale(user: Any) -> None:
    """End the logins from before a user's password changed, where the database does not say so yet."""
    logins = Login.objects.filter(user=user, revoked_at=None)
    _revoke(logins.exclude(auth_hash__in=users.auth_hashes(user)))


def _revoke(logins: models.QuerySet[Login]) -> int:
    count: int = logins.update(revoked_at=timezone.now())
    if count:
        wake.hubs()
    return count


def live(user: Any) -> models.QuerySet[Login]:
    """The logins of a user of the database that are not over."""
    logins: models.QuerySet[Login] = Login.objects.filter(user=user, revoked_at=None, expires_at__gt=timezone.now())
    return logins.filter(auth_hash__in=users.auth_hashes(user))


def deny(issuer: Issuer, subject: Subject, sid: str = "") -> None:
    """Refuse what a subject was issued before now and has no login here for: of one `sid`, or without, all of it."""
    now = timezone.now()
    age = max(timedelta(seconds=conf.current().LOGIN_MAX_AGE), simplejwt.api_settings.ACCESS_TOKEN_LIFETIME)
    known = Revocation.objects.filter(issuer=issuer, subject=subject, sid=sid, expires_at__lte=now + age)
    # One row, however often an inactive user is saved.
    if not known.update(revoked_at=now, expires_at=now + age):
        Revocation.objects.create(issuer=issuer, subject=subject, sid=sid, revoked_at=now, expires_at=now + age)
    wake.hubs()


def start_session(session: SessionBase, user: Any, label: str = "") -> None:
    """Begin a session's login: a new one, whatever the session had before."""
    end_session(session, user)
    session[SESSION_KEY] = _create(new_sid(), session, user, label).sid


def end_session(session: SessionBase, user: Any) -> None:
    """End a session's login."""
    for sid in _sids(session, user):
        end(Sid(sid))


def of_session(session: SessionBase, user: Any) -> Identity:
    """The identity of a user whom Django's session names. Writes nothing to the session.

    Args:
        session: With a `sid`, where the login came after this app was installed.
        user: Whom the session has just been found to belong to.

    Raises:
        NotAuthenticated: The session's login is over.
    """
    login = _session_login(session, user)
    if login.revoked_at is not None:
        raise _over("login_revoked", login)
    now = timezone.now()
    if login.expires_at <= now:
        raise _over("login_expired", login)
    if now - login.refreshed_at > timedelta(minutes=1):
        expires_at = max(login.expires_at, _session_end(session, login.created_at))
        Login.objects.filter(pk=login.pk).update(refreshed_at=now, expires_at=expires_at)
    return Identity(OURS, users.subject_of(user), Sid(login.sid), issued_at=login.created_at.timestamp())


def _session_login(session: SessionBase, user: Any) -> Login:
    *kept, derived = _sids(session, user)
    label = ""
    if kept:
        login: Login | None = Login.objects.filter(pk=kept[0], user=user).first()
        if login is None:
            raise NotAuthenticated("login_unknown")
        if users.has_auth_hash(user, login.auth_hash):
            return login
        label = login.label
    # A session from before this app was installed; or one that outlived a change of its user's own password, as
    # `update_session_auth_hash` lets it: the login before the change is over, this is the next.
    known: Login | None = Login.objects.filter(pk=derived).first()
    return known or _create(derived, session, user, label)


def _sids(session: SessionBase, user: Any) -> list[str]:
    """The `sid` that the session keeps, if it does, and the one that follows from its key, which gives neither away."""
    kept = session.get(SESSION_KEY)
    derived = salted_hmac("ticketauth.sid", f"{session.session_key} {user.pk}", algorithm="sha256").hexdigest()
    return [*([kept] if kept else []), derived]


def _create(sid: str, session: SessionBase, user: Any, label: str) -> Login:
    now = timezone.now()
    fields = {
        "user": user,
        "auth_hash": user.get_session_auth_hash(),
        "label": label[:LONGEST_LABEL],
        "created_at": now,
        "refreshed_at": now,
        "expires_at": _session_end(session, now),
    }
    login: Login = Login.objects.get_or_create(pk=sid, defaults=fields)[0]
    return login


def clear(now: datetime | None = None) -> int:
    """Delete the rows of logins that have expired, whether revoked or not. Returns how many.

    A revoked row stays until its tokens have expired: a missing row refuses too, but says less in the log. That of a
    session which keeps no `sid` stays for ever: its session may live on, and would begin it anew.
    """
    count, before = 0, now or timezone.now()
    expired = Login.objects.filter(expires_at__lt=before).alias(length=Length("pk")).exclude(length=DERIVED_LENGTH)
    # In parts: Django reads what it deletes.
    while sids := list(expired.values_list("pk", flat=True)[:500]):
        count += Login.objects.filter(pk__in=sids).delete()[0]
    return count


def _over(reason: str, login: Login) -> NotAuthenticated:
    refusal = NotAuthenticated(reason)
    refusal.facts |= {"user": users.subject_of(login.user), "sid": login.sid}
    return refusal


def _live(sid: str) -> Login:
    login: Login | None = Login.objects.select_related("user").filter(pk=sid).first()
    if login is None:
        raise NotAuthenticated("login_unknown")
    # First what ended it, where that is known.
    if not login.user.is_active:
        raise _over("user_inactive", login)
    if not users.has_auth_hash(login.user, login.auth_hash):
        raise _over("password_changed", login)
    if login.revoked_at is not None:
        raise _over("login_revoked", login)
    if login.expires_at <= timezone.now():
        raise _over("login_expired", login)
    return login


def _advance(login: Login, jti: str) -> bool:
    """Make the next refresh token the good one. False where another request did so first."""
    now = timezone.now()
    login.previous_jti, login.refresh_jti = jti, uuid4().hex
    login.refreshed_at, login.expires_at = now, _end(login.created_at, now)
    changed = Login.objects.filter(pk=login.pk, refresh_jti=jti, revoked_at=None).update(
        previous_jti=login.previous_jti,
        refresh_jti=login.refresh_jti,
        refreshed_at=login.refreshed_at,
        expires_at=login.expires_at,
    )
    return bool(changed)


def _in_grace(login: Login, jti: str) -> bool:
    grace = timedelta(seconds=conf.current().REFRESH_GRACE)
    return jti == login.previous_jti and timezone.now() - login.refreshed_at <= grace


def _end(created_at: datetime, refreshed_at: datetime) -> datetime:
    max_age = timedelta(seconds=conf.current().LOGIN_MAX_AGE)
    lifetime: timedelta = simplejwt.api_settings.REFRESH_TOKEN_LIFETIME
    return min(created_at + max_age, refreshed_at + lifetime)


def _session_end(session: SessionBase, created_at: datetime) -> datetime:
    max_age = timedelta(seconds=conf.current().LOGIN_MAX_AGE)
    return min(created_at + max_age, session.get_expiry_date())


def _token(login: Login, claims: Mapping[str, Any]) -> RefreshToken:
    """The login's good refresh token, with what a project added to its predecessor."""
    token = RefreshToken.for_user(login.user)
    token[simplejwt.api_settings.JTI_CLAIM] = login.refresh_jti
    token["sid"] = login.sid
    token["exp"] = int(login.expires_at.timestamp())
    for name, value in claims.items():
        if name not in token:
            token[name] = value
    return token
