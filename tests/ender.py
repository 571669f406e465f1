"""Begins and ends logins in a process of its own, which shares nothing with the service but its database.

    python -m tests.ender 10000

First a line of JSON: for each login its `sid` and an access token. Then it ends each whose `sid` is a line of the
input, and says so by a line with the same, when that is committed.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import django


def main() -> None:
    """Until the input ends."""
    django.setup()
    from django.contrib.auth.models import User
    from django.utils import timezone
    from rest_framework_simplejwt.tokens import AccessToken

    from ticketauth import logins
    from ticketauth.models import Login
    from ticketauth.types import Sid

    def access(login: Login) -> str:
        token = AccessToken.for_user(user)
        token["sid"] = login.sid
        return str(token)

    user, now = User.objects.get(), timezone.now()
    fields = {
        "user": user,
        "auth_hash": user.get_session_auth_hash(),
        "created_at": now,
        "refreshed_at": now,
        "expires_at": now + timedelta(hours=1),
    }
    begun = Login.objects.bulk_create(Login(**fields) for _ in range(int(sys.argv[1])))
    print(json.dumps([[login.sid, access(login)] for login in begun]), flush=True)  # noqa: T201
    for line in sys.stdin:
        assert logins.end(Sid(line.strip()))
        print(line, end="", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
