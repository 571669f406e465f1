"""What ends a login is in the database at once, where the hub of live sockets looks for it."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext, isolate_apps
from django.urls import reverse
from django.utils import timezone

from ticketauth import causes, logins, users
from ticketauth.authentication import identity_of
from ticketauth.exceptions import NotAuthenticated
from ticketauth.models import ForeignIdentity, Login, Revocation, new_sid
from ticketauth.types import OURS, Identity, Sid, Subject

IDP = "https://idp.example"


@pytest.fixture
def login(owner: User) -> Login:
    return Login.objects.get(pk=logins.start(owner)["sid"])


@pytest.fixture
def bystander(stranger: User) -> Login:
    """Somebody else's login, which nothing here ends."""
    return Login.objects.get(pk=logins.start(stranger)["sid"])


@pytest.fixture
def stranger(transactional_db: None) -> User:
    return User.objects.create_user("stranger", password="correct horse")


def over() -> set[str]:
    return set(Login.objects.exclude(revoked_at=None).values_list("pk", flat=True))


def denied() -> set[tuple[str, str, str]]:
    return set(Revocation.objects.values_list("issuer", "subject", "sid"))


def deactivate(user: User) -> None:
    user.is_active = False
    user.save()


def deactivate_that_field(user: User) -> None:
    user.is_active = False
    user.save(update_fields=["is_active"])


def change_password(user: User) -> None:
    user.set_password("another")
    user.save()


class TestIdentitySaved:
    def test_whose_it_was_is_out(self, owner: User, stranger: User) -> None:
        identity = ForeignIdentity.objects.create(issuer=IDP, subject="u1", user=owner)
        identity.save()
        assert denied() == set()
        identity.user = stranger
        identity.save()
        assert denied() == {(IDP, "u1", "")}

    @pytest.mark.parametrize("changed", [{"subject": "u2"}, {"issuer": f"{IDP}/2"}])
    def test_what_it_was_is_out(self, owner: User, changed: dict[str, str]) -> None:
        identity = ForeignIdentity.objects.create(issuer=IDP, subject="u1", user=owner)
        for name, value in changed.items():
            setattr(identity, name, value)
        identity.save()
        assert denied() == {(IDP, "u1", "")}


class TestUserSaved:
    @pytest.mark.parametrize("change", [deactivate, deactivate_that_field, change_password])
    def test_their_logins_are_over(self, owner: User, login: Login, bystander: Login, change: Callable) -> None:
        change(owner)
        assert over() == {login.pk}

    @pytest.mark.parametrize(
        ("change", "reason"), [(deactivate, "user_inactive"), (change_password, "password_changed")]
    )
    async def test_the_log_still_says_why(self, owner: User, login: Login, change: Callable, reason: str) -> None:
        await database_sync_to_async(change)(owner)
        with pytest.raises(NotAuthenticated, match=reason):
            await users.read(Identity(OURS, Subject(str(owner.pk)), Sid(login.pk)))

    def test_by_a_proxy_of_the_user_model(self, owner: User, login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
        with isolate_apps("django.contrib.auth") as isolated:

            class Staff(User):
                class Meta:
                    proxy = True
                    app_label = "auth"

        monkeypatch.setattr(causes, "apps", isolated)
        causes.connect()
        deactivate(Staff.objects.get())
        assert over() == {login.pk}

    def test_deactivation_denies_tokens_without_a_login_and_a_providers(self, owner: User) -> None:
        ForeignIdentity.objects.create(issuer=IDP, subject="u1", user=owner)
        deactivate(owner)
        assert denied() == {("", str(owner.pk), ""), (IDP, "u1", "")}

    def test_an_inactive_user_saved_again_has_one_row(self, owner: User) -> None:
        deactivate(owner)
        first = Revocation.objects.get().revoked_at
        deactivate(owner)
        assert Revocation.objects.get().revoked_at > first

    def test_a_change_of_password_denies_nobody_else(self, owner: User) -> None:
        change_password(owner)
        assert denied() == set()

    def test_a_login_by_the_new_password_goes_on(self, owner: User, login: Login) -> None:
        change_password(owner)
        new = logins.start(owner)["sid"]
        owner.save()
        assert over() == {login.pk}
        assert new in set(logins.live(owner).values_list("pk", flat=True))

    def test_another_change_ends_nothing(self, owner: User, login: Login) -> None:
        owner.first_name = "Ada"
        owner.save()
        assert over() == set()

    def test_other_fields_cost_no_query(self, owner: User, login: Login) -> None:
        with CaptureQueriesContext(connection) as queries:
            owner.save(update_fields=["last_login"])
        assert not [query for query in queries if "ticketauth" in query["sql"]]

    def test_a_bulk_update_sends_no_signal(self, owner: User, login: Login) -> None:
        """The hub finds it when it reads everybody again."""
        User.objects.update(is_active=False)
        assert (over(), denied()) == (set(), set())

    def test_a_rotated_secret_key_ends_nothing(self, owner: User, login: Login, settings) -> None:
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another key of more than fifty characters, for Django to be content"
        owner.save()
        assert over() == set()

    def test_back_again_they_log_in_anew(self, owner: User, login: Login) -> None:
        deactivate(owner)
        owner.is_active = True
        owner.save()
        assert over() == {login.pk}
        assert logins.live(owner).count() == 0


class TestDeleted:
    def test_a_login(self, owner: User, login: Login) -> None:
        sid = login.sid
        login.delete()
        assert denied() == {("", str(owner.pk), sid)}

    def test_logins_in_bulk(self, owner: User, login: Login, bystander: Login) -> None:
        Login.objects.filter(user=owner).delete()
        assert denied() == {("", str(owner.pk), login.sid)}

    def test_one_that_was_revoked_a_moment_ago(self, owner: User, login: Login) -> None:
        logins.end(Sid(login.sid))
        Login.objects.all().delete()
        assert denied() == {("", str(owner.pk), login.sid)}

    def test_one_that_has_expired_is_nobodys(self, login: Login) -> None:
        Login.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert logins.clear() == 1
        assert denied() == set()

    def test_a_user_with_all_that_they_had(self, owner: User, login: Login, bystander: Login) -> None:
        ForeignIdentity.objects.create(issuer=IDP, subject="u1", user=owner)
        subject = str(owner.pk)
        owner.delete()
        assert denied() == {("", subject, login.sid), ("", subject, ""), (IDP, "u1", "")}

    def test_a_providers_subject(self, owner: User, login: Login) -> None:
        ForeignIdentity.objects.create(issuer=IDP, subject="u1", user=owner).delete()
        assert denied() == {(IDP, "u1", "")}
        assert over() == set()

    def test_what_is_rolled_back_did_not_happen(self, owner: User, login: Login) -> None:
        with transaction.atomic():
            owner.delete()
            transaction.set_rollback(True)
        assert (over(), denied()) == (set(), set())


class TestDeny:
    @pytest.mark.parametrize(("age", "known"), [(timedelta(days=400), 2), (timedelta(days=1), 1)])
    def test_a_row_that_lasts_longer_is_left_alone(self, owner: User, age: timedelta, known: int) -> None:
        now = timezone.now()
        Revocation.objects.create(issuer="", subject="7", revoked_at=now, expires_at=now + age)
        logins.deny(OURS, Subject("7"))
        assert Revocation.objects.count() == known

    async def test_who_vouches_now_is_not_refused_by_it(self, owner: User) -> None:
        """A project's own authentication class, and `manage.py ticket`."""
        await database_sync_to_async(logins.deny)(OURS, users.subject_of(owner))
        await users.read(identity_of(owner, None))


class TestCommand:
    def revoke(self, *who: str) -> str:
        out = io.StringIO()
        call_command("revoke", *who, stdout=out)
        return out.getvalue()

    def test_a_user(self, owner: User, login: Login, bystander: Login) -> None:
        other = logins.start(owner)["sid"]
        assert self.revoke("owner") == "Ended 2 logins.\n"
        assert over() == {login.pk, other}
        assert denied() == {("", str(owner.pk), "")}

    def test_a_sid(self, owner: User, login: Login, bystander: Login) -> None:
        logins.start(owner)
        assert self.revoke(login.sid) == "Ended 1 logins.\n"
        assert over() == {login.pk}

    def test_no_sid_looks_like_an_option(self) -> None:
        assert all(new_sid().isalnum() for _ in range(1000))

    def test_a_name_that_looks_like_an_option(self, owner: User, login: Login) -> None:
        User.objects.filter(pk=owner.pk).update(username="-v0")
        assert self.revoke("--", "-v0") == "Ended 1 logins.\n"

    def test_one_that_is_over(self, login: Login) -> None:
        self.revoke(login.sid)
        assert self.revoke(login.sid) == "Ended 0 logins.\n"

    def test_a_sid_that_somebody_took_for_a_name(self, login: Login, stranger: User, bystander: Login) -> None:
        User.objects.filter(pk=stranger.pk).update(username=login.sid)
        assert self.revoke(login.sid) == "Ended 2 logins.\n"

    def test_neither(self, login: Login) -> None:
        with pytest.raises(CommandError, match="There is no user and no login 'nobody'"):
            self.revoke("nobody")


class TestAdmin:
    @pytest.fixture
    def admin(self, transactional_db: None) -> Client:
        client = Client(headers={"host": "sockets.example"})
        client.force_login(User.objects.create_superuser("root"))
        return client

    def shown(self, admin: Client, search: str) -> str:
        return admin.get(reverse("admin:ticketauth_login_changelist"), {"q": search}).content.decode()

    def test_a_search_by_user_name(self, admin: Client, login: Login, bystander: Login) -> None:
        page = self.shown(admin, "owner")
        assert login.sid in page
        assert bystander.sid not in page

    def test_a_search_by_sid(self, admin: Client, login: Login, bystander: Login) -> None:
        assert bystander.sid in self.shown(admin, bystander.sid)

    def act(self, admin: Client, action: str, login: Login) -> str:
        form = {"action": action, "_selected_action": [login.pk]}
        answer = admin.post(reverse("admin:ticketauth_login_changelist"), form, follow=True)
        return str(answer.content.decode())

    def test_the_action_ends_them_and_keeps_the_rows(self, admin: Client, login: Login, bystander: Login) -> None:
        assert "Ended 1 logins." in self.act(admin, "end_these", login)
        assert over() == {login.pk}

    def test_there_is_no_action_that_deletes(self, admin: Client, login: Login) -> None:
        self.act(admin, "delete_selected", login)
        assert Login.objects.filter(pk=login.pk).exists()

    def test_the_admins_own_logout_ends_its_login(self, admin: Client, login: Login) -> None:
        own = Login.objects.exclude(pk=login.pk).get()
        admin.post("/admin/logout/")
        assert over() == {own.pk}
