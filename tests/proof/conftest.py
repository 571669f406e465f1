"""What several proofs need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import Node


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """The Redis of the service, for the tests of a file."""
    with Node() as node:
        yield node
