"""How steadily a server answers `/healthz`, measured from a process of its own: `python -m tests.pulse PORT PID`.

Prints the 99th percentile of 100 requests, in seconds; `inf` where one of them had no answer in two seconds.

Each request has a time at which it is due, and its seconds count from then: so a pause of the server counts for all
that it holds up, not only for the one that waits in it. The clock stands still while the kernel lets this process or
the server's event loop wait for a processor (Linux says so), for what others do on this machine is no fault of the
server: a loop that waits for an answer is not waiting for a processor.
"""

from __future__ import annotations

import http.client
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

EVERY = 0.01
COUNT = 100
PATIENCE = 2


def slowest_of_a_hundred(port: int, pid: int) -> float:
    """What this module prints."""
    command = [sys.executable, "-m", __name__, str(port), str(pid)]
    root = Path(__file__).resolve().parents[1]
    return float(subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout)


def _clock(*processes: int) -> float:
    return time.monotonic() - sum(_waited(process) for process in processes)


def _waited(process: int) -> float:
    """Seconds that the main thread of a process could have run, and did not."""
    try:
        _, nanoseconds, _ = Path(f"/proc/{process}/schedstat").read_text(encoding="ascii").split()
    except FileNotFoundError:
        return 0.0
    return int(nanoseconds) / 1e9


def _latencies(connection: http.client.HTTPConnection, pid: int) -> Iterator[float]:
    clock = (os.getpid(), pid)
    began = _clock(*clock)
    for number in range(COUNT):
        due = began + number * EVERY
        time.sleep(max(0.0, due - _clock(*clock)))
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b"ok\n"
        yield _clock(*clock) - due


def _main(port: int, pid: int) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        return sorted(_latencies(connection, pid))[math.ceil(COUNT * 0.99) - 1]
    except TimeoutError:
        return math.inf
    finally:
        connection.close()


if __name__ == "__main__":
    print(_main(int(sys.argv[1]), int(sys.argv[2])))  # noqa: T201 -- this is how it answers
