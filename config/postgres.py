"""A connection to PostgreSQL that gives up a server from which nothing comes."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

from psycopg import Connection, OperationalError


def patient_for(seconds: float) -> type[Connection[Any]]:
    """A class of connections that are closed where the server owes an answer for so long.

    `statement_timeout` is the server's own, and the keepalives are between kernels: neither helps where a proxy or a
    frozen server still acknowledges what it never answers. A thread would wait there until the process ends.
    """

    class PatientConnection(Connection[Any]):
        def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
            return super().wait(self._until(time.monotonic() + seconds, gen), *args, **kwargs)

        def _until(self, ends: float, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
            try:
                wanted = next(gen)
                while True:
                    # Nothing every tenth of a second, where there is nothing.
                    ready = yield wanted
                    if not ready and time.monotonic() > ends:
                        self.pgconn.finish()
                        raise OperationalError(f"no answer for {seconds} s")
                    wanted = gen.send(ready)
            except StopIteration as stop:
                return stop.value

    return PatientConnection
