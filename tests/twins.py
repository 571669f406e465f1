"""What the naive way would be, for servers in processes of their own: the same tests show it failing."""

from __future__ import annotations

from django.apps import apps

from ticketauth.exceptions import NotAuthenticated
from ticketauth.stores.redis import RedisStore
from ticketauth.types import ConnectionId, Nonce, TicketValue


class LeakyStore(RedisStore):
    """Looks up whatever it can about a ticket that is spent, before it refuses it."""

    async def take(self, ticket: TicketValue, nonce: Nonce, connection: ConnectionId) -> bytes:
        try:
            return await super().take(ticket, nonce, connection)
        except NotAuthenticated as refusal:
            if refusal.reason == "replay":
                for model in apps.get_models():
                    await model._default_manager.afirst()
            raise


class TalkativeStore(RedisStore):
    """Says why it refuses a ticket."""

    async def take(self, ticket: TicketValue, nonce: Nonce, connection: ConnectionId) -> bytes:
        try:
            return await super().take(ticket, nonce, connection)
        except NotAuthenticated as refusal:
            raise NotAuthenticated(refusal.reason, f"The ticket is refused: {refusal.reason}.") from None
