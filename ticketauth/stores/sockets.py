"""The live sockets of all workers, in Redis.

Each worker has one hash, whose life is the worker's lease: when nobody renews it, its sockets are gone all at once. An
index per user and one per address say in which hash to look; what they name and is not there is over, and is dropped by
whoever comes across it. So nothing is counted that is not there, however a worker ended.

All keys are in one slot. Scripts make the names of the workers' keys themselves, of what they find in the indexes.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import astuple, dataclass

from ticketauth.address import network_of
from ticketauth.types import ConnectionId, Issuer, LiveSocket, Sid, Subject

from .client import PRIMARY, Client, Script

INDEX_LIFE = 1800.0
"""Seconds that an index lives after a socket in it was written. Workers write theirs anew more often."""

LONGEST_TEXT = 255
"""Bytes of each text about a socket."""

_STEP = 500
"""Sockets that are looked at in one call."""

# An index: members are `<connection id>:<worker>`, scores say since when.
_LIVING = """
local base = ARGV[2]
local function living(index, most)
  local found = {}
  for _, member in ipairs(redis.call('ZREVRANGE', index, 0, -1)) do
    local id, worker = string.match(member, '^(.*):(%w+)$')
    local entry = redis.call('HGET', base .. worker, id)
    if not entry then
      redis.call('ZREM', index, member)
    elseif #found < most then
      found[#found + 1] = entry
    end
  end
  return found
end
"""

# KEYS: the worker's sockets, the workers, what is wanted to end of this worker's, then indexes.
# ARGV: fence on/off, base of sockets, worker, fence and number of sockets when it last wrote (-1: writes all anew),
# ms of the lease and of an index, limit per user and per address, then per socket: id, entry (empty: it is closed),
# since, whether it is new, and which of KEYS are the indexes of its user and address (0: none).
_WRITE = Script(
    PRIMARY
    + _LIVING
    + """
local worker, lease = ARGV[3], ARGV[6]
if ARGV[5] == '-1' then
  redis.call('DEL', KEYS[1])
elseif ARGV[4] ~= fence or tonumber(ARGV[5]) ~= redis.call('HLEN', KEYS[1]) then
  return {'lost'}
end
local function crowded(index, limit)
  if not index or limit == 0 or redis.call('ZCARD', index) < limit then return false end
  return #living(index, limit) >= limit
end
local refused = {}
for i = 10, #ARGV, 6 do
  local id, entry, since = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local user, address = KEYS[tonumber(ARGV[i + 4])], KEYS[tonumber(ARGV[i + 5])]
  local new = ARGV[i + 3] == '1'
  if entry == '' then
    redis.call('HDEL', KEYS[1], id)
    redis.call('ZREM', KEYS[3], id)
  elseif new and (crowded(user, tonumber(ARGV[8])) or crowded(address, tonumber(ARGV[9]))) then
    refused[#refused + 1] = id
  else
    redis.call('HSET', KEYS[1], id, entry)
  end
  for _, index in pairs({user, address}) do
    if entry == '' then
      redis.call('ZREM', index, id .. ':' .. worker)
    elseif refused[#refused] ~= id then
      redis.call('ZADD', index, since, id .. ':' .. worker)
      redis.call('PEXPIRE', index, ARGV[7])
    end
  end
end
if redis.call('PEXPIRE', KEYS[1], lease) == 1 and redis.call('ZADD', KEYS[2], 0, worker) == 1 then
  for _, other in ipairs(redis.call('ZREVRANGE', KEYS[2], 0, -1)) do
    if redis.call('EXISTS', base .. other) == 0 then redis.call('ZREM', KEYS[2], other) end
  end
end
redis.call('PEXPIRE', KEYS[2], lease)
return {'ok', fence, refused, redis.call('ZREVRANGE', KEYS[3], 0, -1)}
"""
)

# KEYS: index   ARGV: fence on/off, base of sockets, how many at most
_OF_OWNER = Script(PRIMARY + _LIVING + "return {'ok', living(KEYS[1], tonumber(ARGV[3]))}")

# KEYS: index   ARGV: fence on/off, base of sockets
_COUNTS = Script(
    PRIMARY
    + _LIVING
    + """
local counts, told = {}, {}
for _, entry in ipairs(living(KEYS[1], math.huge)) do
  local sid = cjson.decode(entry)[5]
  counts[sid] = (counts[sid] or 0) + 1
end
for sid, count in pairs(counts) do
  told[#told + 1] = sid
  told[#told + 1] = count
end
return {'ok', told}
"""
)

# KEYS: workers   ARGV: fence on/off
_WORKERS = Script(PRIMARY + "return {'ok', redis.call('ZREVRANGE', KEYS[1], 0, -1)}")

# KEYS: the worker's sockets   ARGV: fence on/off, cursor, how many about
_SCAN = Script(PRIMARY + "return {'ok', redis.call('HSCAN', KEYS[1], ARGV[2], 'COUNT', ARGV[3])}")

# KEYS: the workers, and where not everybody's may be ended, the index of those that may
# ARGV: fence on/off, base of sockets, base of what is wanted to end, ms that it is remembered, ids
_END = Script(
    PRIMARY
    + """
local wanted, number = {}, 0
for i = 5, #ARGV do wanted[ARGV[i]] = true end
local function want(id, worker)
  if wanted[id] and redis.call('HGET', ARGV[2] .. worker, id) then
    redis.call('ZADD', ARGV[3] .. worker, 0, id)
    redis.call('PEXPIRE', ARGV[3] .. worker, ARGV[4])
    number = number + 1
  end
end
for _, member in ipairs(redis.call('ZREVRANGE', KEYS[#KEYS], 0, -1)) do
  if #KEYS == 2 then
    want(string.match(member, '^(.*):(%w+)$'))
  else
    for id in pairs(wanted) do want(id, member) end
  end
end
return {'ok', number}
"""
)


@dataclass(frozen=True, slots=True)
class Change:
    """What a worker says of a socket.

    Attributes:
        socket: Of which.
        opened: Whether it is open.
        new: Whether the limits have yet to be asked.
    """

    socket: LiveSocket
    opened: bool
    new: bool = False


@dataclass(frozen=True, slots=True)
class Worker:
    """Who writes, and what it believes.

    Attributes:
        name: Letters and digits, of this worker alone.
        lease: Seconds that its sockets stay without it.
        fence: What it was told when it last wrote.
        sockets: How many it has written; -1 where it writes all of them anew.
        per_user, per_address: How many sockets there may be; 0 for any number.
    """

    name: str
    lease: float
    fence: str
    sockets: int
    per_user: int
    per_address: int


@dataclass(frozen=True, slots=True)
class Written:
    """What a worker is told.

    Attributes:
        fence: The primary that it wrote to.
        refused: Those that are one too many, and were not written.
        unwanted: Those of its sockets that somebody wants to end.
    """

    fence: str
    refused: frozenset[ConnectionId]
    unwanted: frozenset[ConnectionId]


class SocketStore:
    """The live sockets of all workers.

    Args:
        client: Of the server that keeps tickets.

    All methods raise `Unavailable` where it cannot say.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._base = client.base("sockets")
        self._ends = client.base("ends")
        self._workers = client.key("workers", "")

    async def write(self, worker: Worker, changes: Sequence[Change]) -> Written | None:
        """Renew the lease, and write what changed. None where what was written before is not there as it should be.

        Then nothing was written, and the worker has to write all of its sockets anew.
        """
        keys, told = [self._base + worker.name, self._workers, self._ends + worker.name], list[str | bytes | float]()
        for change in changes:
            entry = _packed(change.socket) if change.opened else b""
            told += [change.socket.connection_id, entry, change.socket.since, int(change.new)]
            for index in self._indexes(change.socket, worker):
                if index:
                    keys.append(index)
                told.append(len(keys) if index else 0)
        head = [self._base, worker.name, worker.fence, worker.sockets, _ms(worker.lease), _ms(INDEX_LIFE)]
        status, *rest = await self._client.run(_WRITE, keys, [*head, worker.per_user, worker.per_address, *told])
        if status == b"lost":
            return None
        fence, refused, unwanted = rest
        return Written(fence.decode(), _ids(refused), _ids(unwanted))

    async def of_owner(self, issuer: Issuer, subject: Subject, most: int) -> list[LiveSocket]:
        """Those of a user, the newest first."""
        _, entries = await self._client.run(_OF_OWNER, [self._index(issuer, subject)], [self._base, most])
        return [_unpacked(entry) for entry in entries]

    async def counts(self, issuer: Issuer, subject: Subject) -> dict[Sid, int]:
        """How many a user has of each login; of the empty one, those without a login."""
        _, told = await self._client.run(_COUNTS, [self._index(issuer, subject)], [self._base])
        return {Sid(sid.decode()): count for sid, count in zip(told[::2], told[1::2], strict=True)}

    async def everybodys(self) -> AsyncGenerator[LiveSocket, None]:
        """All of them, some hundreds per call, in no order."""
        _, workers = await self._client.run(_WORKERS, [self._workers], [])
        for worker in workers:
            cursor, seen = b"0", set[bytes]()
            while True:
                _, (cursor, found) = await self._client.run(_SCAN, [self._base + worker.decode()], [cursor, _STEP])
                for key, entry in zip(found[::2], found[1::2], strict=True):
                    if key not in seen:
                        seen.add(key)
                        yield _unpacked(entry)
                if cursor == b"0":
                    break

    async def end(self, ids: Collection[str], owner: tuple[Issuer, Subject] | None = None) -> int:
        """Have sockets ended by the workers that hold them, when these write the next time.

        Args:
            ids: Their connection ids.
            owner: Whose they have to be; None for anybody's.

        Returns:
            How many of them there are.
        """
        keys = [self._workers, *([self._index(*owner)] if owner else [])]
        _, number = await self._client.run(_END, keys, [self._base, self._ends, _ms(INDEX_LIFE), *ids])
        return int(number)

    def _indexes(self, socket: LiveSocket, worker: Worker) -> tuple[str, str]:
        """Of its user and of its address; empty where there is none.

        That of an address is for its limit alone, which alone looks into it and drops what is over.
        """
        user = self._index(socket.issuer, socket.subject) if socket.subject else ""
        counts = socket.address and worker.per_address
        return user, self._client.key("address", network_of(socket.address)) if counts else ""

    def _index(self, issuer: Issuer, subject: Subject) -> str:
        return self._client.key("user", f"{issuer} {subject}")


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _ids(raw: list[bytes]) -> frozenset[ConnectionId]:
    return frozenset(ConnectionId(key.decode()) for key in raw)


def _packed(socket: LiveSocket) -> bytes:
    # `sid` is the fifth, as `_COUNTS` knows.
    values = [_cut(value) if isinstance(value, str) else value for value in astuple(socket)]
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()


def _cut(text: str) -> str:
    return text.encode("utf-8", "ignore")[:LONGEST_TEXT].decode("utf-8", "ignore")


def _unpacked(entry: bytes) -> LiveSocket:
    return LiveSocket(*json.loads(entry))
