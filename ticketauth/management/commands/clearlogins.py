"""`manage.py clearlogins`: for a daily job, like Django's `clearsessions`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from ticketauth import logins
from ticketauth.models import Revocation


class Command(BaseCommand):
    """Deletes what refuses nothing any more."""

    help = "Delete logins that are over and revocations of what has expired."

    def handle(self, *args: Any, **options: Any) -> None:
        """Delete and count."""
        now = timezone.now()
        revocations, _ = Revocation.objects.filter(expires_at__lt=now).delete()
        self.stdout.write(f"Deleted {logins.clear(now)} logins and {revocations} revocations.")
