"""Tickets in Redis or Valkey. What makes a ticket single-use is `_TAKE`.

The fence: a primary's `master_replid` is stored with each ticket and compared at its use, inside one script. A
promoted or restarted primary has another id, so a fail-over voids what is outstanding instead of bringing spent
tickets back to life. A writable replica reports its primary's id, hence the check of the role.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

from ticketauth import conf
from ticketauth.exceptions import Misconfigured, NotAuthenticated, TooMany
from ticketauth.types import ConnectionId, Nonce, TicketValue

from .base import Limit
from .client import PRIMARY, Client, Script

# KEYS: ticket, counter...   ARGV: fence on/off, payload, life in ms, then per counter: limit, window in ms
_PUT = Script(
    PRIMARY
    + """
if redis.call('EXISTS', KEYS[1]) == 1 then return {'ok'} end
for i = 2, #KEYS do
  local left = redis.call('PTTL', KEYS[i])
  if left == -1 then redis.call('DEL', KEYS[i]) end
  if left >= 0 and tonumber(redis.call('GET', KEYS[i])) >= tonumber(ARGV[2 * i]) then return {'rate', left} end
end
redis.call('SET', KEYS[1], fence .. ' ' .. ARGV[2], 'PX', ARGV[3])
for i = 2, #KEYS do
  if redis.call('INCR', KEYS[i]) == 1 then redis.call('PEXPIRE', KEYS[i], ARGV[2 * i + 1]) end
end
return {'ok'}
"""
)

# KEYS: ticket, spent-mark   ARGV: fence on/off, nonce, connection
# DEL comes before SET: when memory is full, a SET that comes first fails and leaves the ticket good. After DEL it
# works, for a server lets a script that has begun to write go on; were it to fail, a retry would be told `unknown`.
_TAKE = Script(
    PRIMARY
    + """
local kept = redis.call('GET', KEYS[1])
if not kept then
  local spent = redis.call('GET', KEYS[2])
  if not spent then return {'unknown'} end
  local nonce, connection, payload = string.match(spent, '^(%S+) (%S+) (.*)$')
  if nonce == ARGV[2] then return {'ok', payload} end
  return {'replay', connection}
end
local born, payload = string.match(kept, '^(%S+) (.*)$')
local left = redis.call('PTTL', KEYS[1])
redis.call('DEL', KEYS[1])
if fence ~= 'off' and born ~= fence then return {'fenced'} end
if left <= 0 then return {'unknown'} end
redis.pcall('SET', KEYS[2], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. payload, 'PX', left)
return {'ok', payload}
"""
)


class RedisStore:
    """See `stores.base.TicketStore`.

    Args:
        url: Where the server is; None for what the settings say.
        options: As `Client` takes them.

    Attributes:
        client: For whatever else is kept on that server.
    """

    def __init__(self, url: str | None = None, **options: Any) -> None:
        self.client = Client(url, **options)

    async def put(self, ticket: TicketValue, payload: bytes, ttl: int, limits: tuple[Limit, ...]) -> None:
        keys = [self.client.key("t", ticket), *(self.client.key("rate", limit.key) for limit in limits)]
        arguments: list[bytes | int | str] = [payload, ttl * 1000]
        for limit in limits:
            arguments += [limit.rate.count, limit.rate.seconds * 1000]
        status, *rest = await self.client.run(_PUT, keys, arguments)
        if status == b"rate":
            raise TooMany("rate", retry_after=max(1, math.ceil(rest[0] / 1000)))

    async def take(self, ticket: TicketValue, nonce: Nonce, connection: ConnectionId) -> bytes:
        keys = [self.client.key("t", ticket), self.client.key("spent", ticket)]
        status, *rest = await self.client.run(_TAKE, keys, [nonce, connection])
        if status == b"ok":
            payload: bytes = rest[0]
            return payload
        refusal = NotAuthenticated(status.decode())
        if rest:
            refusal.facts["first_connection"] = rest[0].decode()
        raise refusal

    async def ping(self) -> None:
        await self.client.run(_TAKE, [self.client.key("t", "ping"), self.client.key("spent", "ping")], ["ping", "ping"])


def of_tickets() -> RedisStore | None:
    """The ticket store, where it is in Redis. A project whose schemes need no tickets needs none."""
    with suppress(Misconfigured):
        store = conf.store()
        if isinstance(store, RedisStore):
            return store
    return None
