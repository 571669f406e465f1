"""The state machine: pure, hence every state and event can be tried."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.try_it.parts import Parts

STATES = ("idle", "getting", "connecting", "waiting", "open", "closing", "closed")
CONNECT = {"type": "connect", "needs": False, "waits": True}
WITH_TICKET = {**CONNECT, "needs": True}
WAY_TO: dict[str, list[Any]] = {
    "idle": [],
    "getting": [WITH_TICKET],
    "connecting": [CONNECT],
    "waiting": [CONNECT, "opened"],
    "open": [CONNECT, "opened", "ready"],
    "closing": [CONNECT, "opened", "ready", "stop"],
    "closed": [CONNECT, "opened", {"type": "ended", "code": 4401, "reason": ""}],
}

_RUN = """
const { next, START } = parts.machine;
let state = START;
let effects = [];
for (const event of given) {
  const full = typeof event === "string" ? { type: event } : event;
  ({ state, effects } = next(state, full));
}
return { ...state, effects: effects.map(({ type }) => type) };
"""


def after(parts: Parts, *events: Any) -> dict[str, Any]:
    """The state after some events, and what the last of them sets off."""
    state: dict[str, Any] = parts.run(_RUN, list(events))
    return state


@pytest.mark.parametrize("name", STATES)
def test_every_state_can_be_reached(parts: Parts, name: str) -> None:
    assert after(parts, *WAY_TO[name])["name"] == name


@pytest.mark.parametrize("name", ["getting", "connecting", "waiting", "open", "closing"])
def test_every_state_has_a_way_out(parts: Parts, name: str) -> None:
    assert after(parts, *WAY_TO[name], "stop", "stop")["name"] == "closed"


@pytest.mark.parametrize("name", ["getting", "connecting", "waiting", "closing"])
def test_every_state_that_depends_on_others_has_a_time_limit(parts: Parts, name: str) -> None:
    assert parts.run("return parts.machine.LIMITS[given]", name) > 0
    assert after(parts, *WAY_TO[name], "late", "late")["name"] == "closed"


@pytest.mark.parametrize("name", ["getting", "connecting", "waiting", "open", "closing"])
def test_a_second_connect_changes_nothing(parts: Parts, name: str) -> None:
    before = after(parts, *WAY_TO[name])
    assert after(parts, *WAY_TO[name], WITH_TICKET) == {**before, "effects": []}


@pytest.mark.parametrize("name", ["idle", "closed"])
def test_connect_asks_for_a_ticket_where_it_needs_one(parts: Parts, name: str) -> None:
    state = after(parts, *WAY_TO[name], WITH_TICKET)
    assert (state["name"], state["effects"]) == ("getting", ["get"])


def test_connect_opens_a_socket_where_it_needs_none(parts: Parts) -> None:
    state = after(parts, CONNECT)
    assert (state["name"], state["effects"]) == ("connecting", ["open"])


def test_a_ticket_that_comes_is_connected_with(parts: Parts) -> None:
    state = after(parts, WITH_TICKET, "got")
    assert (state["name"], state["effects"]) == ("connecting", ["open"])


def test_a_ticket_that_was_only_asked_for_is_kept(parts: Parts) -> None:
    state = after(parts, "get", "got")
    assert (state["name"], state["effects"]) == ("idle", [])


def test_a_refused_ticket_ends_the_attempt(parts: Parts) -> None:
    state = after(parts, WITH_TICKET, {"type": "refused", "answer": {"status": 401}})
    assert state["name"] == "closed"
    assert state["outcome"] == {"kind": "refused", "during": "getting", "answer": {"status": 401}}


def test_open_is_not_ready_where_the_channel_says_when(parts: Parts) -> None:
    assert after(parts, CONNECT, "opened")["name"] == "waiting"


def test_open_is_ready_where_the_channel_does_not_say(parts: Parts) -> None:
    assert after(parts, {**CONNECT, "waits": False}, "opened")["name"] == "open"


@pytest.mark.parametrize(
    ("name", "kind"), [("connecting", "failed"), ("waiting", "closed"), ("open", "closed"), ("closing", "closed")]
)
def test_a_socket_that_ends(parts: Parts, name: str, kind: str) -> None:
    state = after(parts, *WAY_TO[name], {"type": "ended", "code": 1006, "reason": ""})
    assert (state["name"], state["outcome"]["kind"]) == ("closed", kind)


def test_who_closed_is_told_apart(parts: Parts) -> None:
    ended = {"type": "ended", "code": 1000, "reason": ""}
    assert after(parts, *WAY_TO["open"], ended)["outcome"]["by"] == "server"
    assert after(parts, *WAY_TO["closing"], ended)["outcome"]["by"] == "page"


def test_a_channel_that_does_not_become_ready_is_closed_for_that(parts: Parts) -> None:
    state = after(parts, *WAY_TO["waiting"], "late", {"type": "ended", "code": 1000, "reason": ""})
    assert state["outcome"] == {"kind": "late", "during": "waiting"}


@pytest.mark.parametrize("event", ["got", "opened", "ready", "late", "ended", "refused"])
def test_what_happens_to_an_attempt_that_is_over_is_ignored(parts: Parts, event: str) -> None:
    again = [*WAY_TO["closed"], WITH_TICKET]
    before = after(parts, *again)
    assert after(parts, *again, {"type": event, "attempt": 1}) == {**before, "effects": []}


@pytest.mark.parametrize("name", STATES)
def test_another_method_begins_anew(parts: Parts, name: str) -> None:
    before = after(parts, *WAY_TO[name])
    state = after(parts, *WAY_TO[name], "reset")
    assert (state["name"], state["outcome"], state["attempt"]) == ("idle", None, before["attempt"] + 1)


@pytest.mark.parametrize(
    ("name", "effects"),
    [("getting", ["abort"]), ("connecting", ["drop"]), ("open", ["drop"]), ("closing", ["drop"]), ("closed", [])],
)
def test_another_method_leaves_nothing_behind(parts: Parts, name: str, effects: list[str]) -> None:
    assert after(parts, *WAY_TO[name], "reset")["effects"] == effects


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize(
    "event", ["get", "got", "refused", "opened", "ready", "ended", "stop", "late", "reset", "connect"]
)
def test_no_event_leads_nowhere(parts: Parts, name: str, event: str) -> None:
    assert after(parts, *WAY_TO[name], {"type": event})["name"] in STATES
