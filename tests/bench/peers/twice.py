"""T6 that reads the ticket and leaves it: what the bench must refuse to measure."""

from __future__ import annotations

from tests.bench.peers import raw

raw.take = raw.redis.get
application = raw.application
