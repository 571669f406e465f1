"""`manage.py ticket USERNAME [--path /ws/events/]`: a ticket and an address, ready to paste."""

from __future__ import annotations

import asyncio
import time
from argparse import ArgumentParser
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from ticketauth import conf, routing, tickets, users
from ticketauth.exceptions import TicketAuthError
from ticketauth.serializers import TicketRequest
from ticketauth.types import OURS, Identity, Ticket


class Command(BaseCommand):
    """Issues a ticket without a token: who runs commands here is trusted."""

    help = "Print a ticket for a user, and an address that uses it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The user, and what the ticket is for."""
        parser.add_argument("username")
        parser.add_argument("--path", default="", help="the only path it opens, such as /ws/events/")
        parser.add_argument("--url", default="", help="where the service is, such as wss://example.com")

    def handle(self, *args: Any, **options: Any) -> None:
        """Issue and print."""
        users_ = get_user_model()
        try:
            user = users_._default_manager.get_by_natural_key(options["username"])
        except users_.DoesNotExist:
            raise CommandError(f"There is no user {options['username']!r}.") from None
        self._check_path(options["path"])
        given = conf.current()
        ticket = Ticket(Identity(OURS, users.subject_of(user), issued_at=time.time()), path=options["path"])
        issuing = tickets.issue(conf.store(), ticket, ttl=given.TICKET_TTL, secret=given.TICKET_SECRET)
        try:
            issued = asyncio.run(issuing)
        except TicketAuthError as error:
            facts = ", ".join(getattr(error, "facts", {}).values())
            raise CommandError(f"No ticket: {error}. {facts}") from error
        base, path = options["url"] or _public_url(), options["path"] or _some_path()
        address = f"{base}{path}?{given.TICKET_QUERY_PARAM}={issued.value}"
        self.stdout.write(issued.value)
        self.stderr.write(f"Good for {issued.expires_in} s, once: {address}")

    def _check_path(self, path: str) -> None:
        request = TicketRequest(data={"path": path} if path else {})
        if not request.is_valid():
            raise CommandError(f"--path {path!r}: {' '.join(map(str, request.errors['path']))}")
        if path and not routing.resolves(routing.project_application(), path):
            raise CommandError(f"--path {path!r}: there is no WebSocket at this path.")


def _some_path() -> str:
    """The first address of the project that needs no parameters."""
    routes = routing.walk(routing.project_application())
    return next((route.address for route in routes if not route.parameters), "/")


def _public_url() -> str:
    parts = urlsplit(conf.public_url())
    return f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}"
