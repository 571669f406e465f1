"""`manage.py revoke USER|SID`: ends all logins of a user, or one."""

from __future__ import annotations

import logging
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from ticketauth import logins, logs, users, wake
from ticketauth.models import Login
from ticketauth.types import Sid


class Command(BaseCommand):
    """For an operator in a hurry."""

    help = "End all logins of a user, or the one with a sid."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose, or which."""
        told = "a user name, or the sid of a login; behind -- if it begins with -"
        parser.add_argument("who", metavar="USER|SID", help=told)

    def handle(self, *args: Any, **options: Any) -> None:
        """End and count."""
        who = options["who"]
        user_model = get_user_model()
        # A user may have chosen the sid of another's login for a name: whoever it fits is out.
        user = user_model._default_manager.filter(**{user_model.USERNAME_FIELD: who}).first()
        login = Login.objects.filter(pk=who).first()
        if user is None and login is None:
            raise CommandError(f"There is no user and no login {who!r}.")
        ended = 0
        if login is not None:
            ended += logins.end(Sid(login.sid))
            logs.event(logging.INFO, "revoke", {"outcome": "done", "sid": login.sid})
        if user is not None:
            ended += logins.end_all(user)
            logs.event(logging.INFO, "revoke", {"outcome": "done", "user": users.subject_of(user)})
        wake.flush()
        self.stdout.write(f"Ended {ended} logins.")
