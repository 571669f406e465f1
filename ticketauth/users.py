"""The subject of a user, the user of a subject, and whether they are still allowed: read again at every step.

One query reads user and login. Concurrent readers share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import FieldError, ValidationError
from django.db import Error as DatabaseError
from django.db import models
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from rest_framework_simplejwt import settings as simplejwt
from rest_framework_simplejwt.models import TokenUser
from rest_framework_simplejwt.utils import get_md5_hash_password

from . import conf
from .batch import Batcher, query
from .exceptions import NotAuthenticated, Unavailable
from .loops import PerLoop
from .models import ForeignIdentity, Login, Revocation
from .types import OURS, Identity, Issuer, Subject


@dataclass(frozen=True, slots=True)
class Standing:
    """An identity that still holds.

    Attributes:
        user: What becomes `scope["user"]` and `request.user`.
        expires_at: Unix time in seconds at which it ends: the login's end where there is one, else the credential's.
    """

    user: Any
    expires_at: float | None


def subject_of(user: Any) -> Subject:
    """What a token of ours says of a user, and nothing else: simplejwt's `USER_ID_FIELD`."""
    return Subject(str(getattr(user, simplejwt.api_settings.USER_ID_FIELD)))


def subjects_of(user: Any) -> set[tuple[Issuer, Subject]]:
    """Everything that a user of the database is called: by this project, and by identity providers."""
    rows = ForeignIdentity.objects.filter(user=user)
    return {(OURS, subject_of(user)), *((Issuer(row.issuer), Subject(row.subject)) for row in rows)}


def from_claims(issuer: Issuer) -> bool:
    """Whether users of this issuer are made of claims alone."""
    given = conf.current()
    return (given.USERS if issuer == OURS else given.ISSUERS.get(issuer, {}).get("USERS")) == "claims"


def find(identity: Identity) -> Any | None:
    """The user of an identity, whether or not it still holds; None where there is none."""
    return _users([identity]).get(identity)


def owner_of(user: Any, identity: Identity) -> tuple[Issuer, Subject]:
    """Whose a socket is: the user's of this project, however they proved it; without one, the subject's."""
    if identity.is_guest or from_claims(identity.issuer):
        return identity.issuer, identity.subject
    return OURS, subject_of(user)


async def read(identity: Identity) -> Standing:
    """Whether somebody may still come in, as the database has it now.

    Raises:
        NotAuthenticated: The user is gone or inactive, the password changed, or the login is over.
        Unavailable: The database does not answer.
    """
    if identity.is_guest:
        return Standing(AnonymousUser(), None)
    batcher = await _batchers.get()
    try:
        answer = await batcher.ask(identity, conf.current().DATABASE_DEADLINE)
    except (DatabaseError, TimeoutError) as error:
        refusal = Unavailable("database")
        refusal.facts["error"] = type(error).__name__
        raise refusal from error
    if isinstance(answer, str):
        told = NotAuthenticated(answer)
        told.facts |= {"user": identity.subject, "issuer": identity.issuer, "sid": identity.sid}
        raise told
    return answer


async def standings(identities: Sequence[Identity]) -> list[Standing | str]:
    """For each identity its standing now, or the reason why it has none. Not shared with those who are coming in.

    Raises:
        DatabaseError: The database cannot be asked.
        TimeoutError: It does not answer.
    """
    return await _read_batch(identities)


def _read_all(identities: Sequence[Identity]) -> list[Standing | str]:
    """For each identity its standing, or the reason why it has none."""
    by_sid = _logins([identity for identity in identities if _names_login(identity)])
    logins = {identity: by_sid.get(identity.sid) for identity in identities if _names_login(identity)}
    others = [identity for identity in identities if not logins.get(identity) and not _needs_login(identity)]
    users, revocations, now = _users(others), _revocations(others), timezone.now()

    def standing(identity: Identity) -> Standing | str:
        if login := logins.get(identity):
            return _by_login(identity, login, now)
        if _needs_login(identity):
            return "login_unknown"
        return _without_login(identity, users.get(identity), revocations, now)

    return [standing(identity) for identity in identities]


async def _read_batch(identities: Sequence[Identity]) -> list[Standing | str]:
    return await query(lambda: _read_all(identities), conf.current().DATABASE_DEADLINE)


_batchers: PerLoop[Batcher[Identity, Standing | str]] = PerLoop(lambda: Batcher(_read_batch))


def _names_login(identity: Identity) -> bool:
    return identity.issuer == OURS and bool(identity.sid)


def _needs_login(identity: Identity) -> bool:
    """Where users come from claims, the login may be another service's; a row that is here counts all the same."""
    return _names_login(identity) and not from_claims(OURS)


def _logins(identities: list[Identity]) -> dict[str, Login]:
    sids = {identity.sid for identity in identities}
    return Login.objects.select_related("user").in_bulk(sids) if sids else {}


def _by_login(identity: Identity, login: Login, now: datetime) -> Standing | str:
    if subject_of(login.user) != identity.subject:
        return "login_unknown"
    # First what ended it, where that is known.
    if not login.user.is_active:
        return "user_inactive"
    if not has_auth_hash(login.user, login.auth_hash):
        return "password_changed"
    if login.revoked_at is not None:
        return "login_revoked"
    if login.expires_at <= now:
        return "login_expired"
    user = _claimed_user(identity) if from_claims(OURS) else login.user
    return Standing(user, login.expires_at.timestamp())


def has_auth_hash(user: Any, auth_hash: str) -> bool:
    """Whether a user's password is still the one of the hash, through a rotation of `SECRET_KEY` too."""
    return any(constant_time_compare(auth_hash, known) for known in auth_hashes(user))


def auth_hashes(user: Any) -> list[str]:
    """The hashes of a user's password, by `SECRET_KEY` and by those before it."""
    return [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]


def _users(identities: list[Identity]) -> dict[Identity, Any]:
    """The user of each identity that has no login here. Keys that cannot be one never reach the database."""
    found: dict[Identity, Any] = {}
    ours = {identity: _key(identity.subject) for identity in identities if identity.issuer == OURS}
    if not from_claims(OURS) and (keys := {key for key in ours.values() if key is not None}):
        field = simplejwt.api_settings.USER_ID_FIELD
        users = {
            getattr(user, field): user for user in get_user_model()._default_manager.filter(**{f"{field}__in": keys})
        }
        found.update({identity: users[key] for identity, key in ours.items() if key in users})
    mapped = [identity for identity in identities if identity.issuer != OURS and not from_claims(identity.issuer)]
    if mapped:
        rows = ForeignIdentity.objects.select_related("user").filter(_any_of(mapped))
        by_subject = {(row.issuer, row.subject): row.user for row in rows}
        found.update({i: by_subject[(i.issuer, i.subject)] for i in mapped if (i.issuer, i.subject) in by_subject})
    claimed = [identity for identity in identities if from_claims(identity.issuer)]
    return {**found, **{identity: _claimed_user(identity) for identity in claimed}}


def _key(subject: Subject) -> Any:
    """The subject as a value of the user's key field, or None where it cannot be one."""
    try:
        name, meta = simplejwt.api_settings.USER_ID_FIELD, get_user_model()._meta
        field: Any = meta.pk if name == "pk" else meta.get_field(name)
        value = field.to_python(subject)
        field.run_validators(value)
    except (ValidationError, ValueError, OverflowError, TypeError, FieldError):
        return None
    return value


def _any_of(identities: list[Identity]) -> models.Q:
    by_issuer: dict[str, set[str]] = {}
    for identity in identities:
        by_issuer.setdefault(identity.issuer, set()).add(identity.subject)
    wanted = models.Q()
    for issuer, subjects in by_issuer.items():
        wanted |= models.Q(issuer=issuer, subject__in=subjects)
    return wanted


class ForeignUser(TokenUser):
    """A user of an identity provider, made of claims. Its id is nobody's primary key, and no claim makes it staff."""

    is_staff = False
    is_superuser = False

    def __init__(self, token: Any, identity: Identity) -> None:
        super().__init__(token)
        self.id = f"{identity.issuer} {identity.subject}"


def _claimed_user(identity: Identity) -> TokenUser:
    claims: Any = {**identity.claims, simplejwt.api_settings.USER_ID_CLAIM: identity.subject}
    return TokenUser(claims) if identity.issuer == OURS else ForeignUser(claims, identity)


def _revocations(identities: list[Identity]) -> list[Revocation]:
    return list(Revocation.objects.filter(_any_of(identities))) if identities else []


def _without_login(identity: Identity, user: Any, revocations: list[Revocation], now: datetime) -> Standing | str:
    if user is None:
        return "user_unknown"
    if not user.is_active:
        return "user_inactive"
    if identity.password_claim and not constant_time_compare(
        identity.password_claim, get_md5_hash_password(user.password)
    ):
        return "password_changed"
    if identity.expires_at is not None and identity.expires_at <= now.timestamp():
        return "token_expired"
    if any(_refuses(revocation, identity) for revocation in revocations):
        return "login_revoked"
    return Standing(user, identity.expires_at)


def _refuses(revocation: Revocation, identity: Identity) -> bool:
    if (revocation.issuer, revocation.subject) != (identity.issuer, identity.subject):
        return False
    if revocation.sid:
        return revocation.sid == identity.sid
    return identity.issued_at <= revocation.revoked_at.timestamp()
