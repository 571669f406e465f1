"""Run under the service's settings: schema, users, their sessions, and simplejwt's tokens for the peers; as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import django

# Models exist only now.
django.setup()

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402
from django.contrib.auth.hashers import make_password  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from rest_framework_simplejwt.tokens import AccessToken  # noqa: E402

PASSWORD = "correct horse battery staple"


def main(count: int) -> None:
    """Whoever a former run left in the database goes first."""
    call_command("migrate", verbosity=0, interactive=False)
    User.objects.filter(username__startswith="bench-").delete()
    secret = make_password(PASSWORD)
    User.objects.bulk_create(User(username=f"bench-{number}", password=secret) for number in range(count))
    users = list(User.objects.filter(username__startswith="bench-"))
    version = ".".join(map(str, connection.get_database_version()))
    seeded: dict[str, Any] = {
        "database": f"{connection.display_name} {version}",
        "logins": [json.dumps({"username": user.username, "password": PASSWORD}) for user in users],
        "sessions": [_session(user) for user in users],
        "tokens": [str(AccessToken.for_user(user)) for user in users],
    }
    json.dump(seeded, sys.stdout)


def _session(user: User) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)


if __name__ == "__main__":
    main(int(sys.argv[1]))
