"""Signals. Receivers get no credential; one that raises is logged and disturbs nobody.

`ticket_issued`: `identity`, `path`, `address`. `ticket_consumed`: `ticket`, `connection_id`, `address`.
`ticket_refused`: `reason`, `connection_id` (None at the HTTP endpoint), `address`.
The sender is the view, the middleware, or at a renewal the guard.
"""

from __future__ import annotations

import logging
from typing import Any

from django.dispatch import Signal

ticket_issued = Signal(use_caching=True)
ticket_consumed = Signal(use_caching=True)
ticket_refused = Signal(use_caching=True)

_log = logging.getLogger("ticketauth")


async def announce(signal: Signal, sender: type, **facts: Any) -> None:
    """Tell the receivers, where there are any, and carry on whatever they do."""
    if not signal.has_listeners(sender):
        return
    for receiver, outcome in await signal.asend_robust(sender, **facts):
        if isinstance(outcome, Exception):
            _log.error("a signal receiver failed", exc_info=outcome, extra={"receiver": repr(receiver)})
