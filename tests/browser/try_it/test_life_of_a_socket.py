"""What is known of a socket's end, and its renewal: pure, hence the clock can be put forward."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.try_it.parts import Parts

_RUN = """
let now = 0;
const life = new parts.life.Life(() => now);
for (const step of given) {
  if (typeof step === "number") now += step * 1000;
  else if (typeof step === "string") life[step]();
  else life.hear(step);
  life.tick();
}
const { until = "not told", notice, ending, waitsFor, result, reconnectWithin } = life;
return { until, notice, ending, waitsFor, result: result?.kind ?? null, reconnectWithin };
"""
READY = {"type": "ticketauth.ready", "expires_at": "2026-01-01T12:00:00Z"}
RENEWED = {"type": "ticketauth.renewed", "expires_at": "2026-01-01T13:00:00Z"}
REFUSED = {"type": "ticketauth.error", "code": "not_authenticated"}


def expiring(seconds: int, reason: str = "credential") -> dict[str, Any]:
    return {"type": "ticketauth.expiring", "reason": reason, "expires_in": seconds}


def after(parts: Parts, *steps: Any) -> dict[str, Any]:
    """What is known after some frames, calls and seconds."""
    known: dict[str, Any] = parts.run(_RUN, list(steps))
    return known


def test_the_end_is_as_the_server_said_last(parts: Parts) -> None:
    assert after(parts)["until"] == "not told"
    assert after(parts, READY)["until"] == READY["expires_at"]
    assert after(parts, READY, RENEWED)["until"] == RENEWED["expires_at"]
    assert after(parts, {**READY, "expires_at": None})["until"] is None


def test_the_hint_for_a_restart(parts: Parts) -> None:
    assert after(parts, READY)["reconnectWithin"] == 0
    assert after(parts, {**READY, "reconnect_within": 5})["reconnectWithin"] == 5


def test_an_end_is_counted_down(parts: Parts) -> None:
    assert after(parts, expiring(60), 20)["notice"] == {"reason": "credential", "seconds": 60, "left": 40}


def test_the_end_that_comes_first_is_shown(parts: Parts) -> None:
    assert after(parts, expiring(60), expiring(30, "age"))["notice"]["reason"] == "age"


def test_a_renewal_puts_off_the_end_of_the_credential_alone(parts: Parts) -> None:
    assert after(parts, expiring(60), expiring(80, "age"), RENEWED)["notice"]["reason"] == "age"


def test_a_message_ends_silence_alone(parts: Parts) -> None:
    assert after(parts, expiring(60, "idle"), "speak")["notice"] is None
    assert after(parts, expiring(60), "speak")["notice"]["reason"] == "credential"


def test_who_outlives_the_end_lives_on(parts: Parts) -> None:
    assert after(parts, expiring(10), 12)["notice"]["left"] == -2
    assert after(parts, expiring(10), 16)["notice"] is None


@pytest.mark.parametrize(("seconds", "reason"), [(5, ""), (9, "credential"), (11, "credential"), (16, "")])
def test_why_it_ends_now(parts: Parts, seconds: int, reason: str) -> None:
    assert after(parts, expiring(10), seconds)["ending"] == reason


class TestRenewal:
    def test_step_by_step(self, parts: Parts) -> None:
        assert after(parts, "begin")["waitsFor"] == "ticket"
        assert after(parts, "begin", "sent")["waitsFor"] == "answer"
        assert after(parts, "begin", "sent", RENEWED) == {**after(parts, RENEWED), "result": "renewed"}

    def test_one_at_a_time(self, parts: Parts) -> None:
        code = "const life = new parts.life.Life(); return [life.begin(), life.begin()];"
        assert parts.run(code) == [True, False]

    def test_refused(self, parts: Parts) -> None:
        known = after(parts, expiring(60), "begin", "sent", REFUSED)
        assert (known["result"], known["waitsFor"], known["notice"]["left"]) == ("refused", "", 60)

    def test_without_an_answer(self, parts: Parts) -> None:
        assert after(parts, "begin", "sent", 9)["waitsFor"] == "answer"
        known = after(parts, "begin", "sent", 11)
        assert (known["waitsFor"], known["result"]) == ("", "unanswered")


@pytest.mark.parametrize(
    "message", ["ticketauth.ready", "[1, ", "null", "[]", '{"type": 1, "a": "ticketauth."}', '{"type": "ticketauthor"}']
)
def test_what_is_no_frame_of_the_library(parts: Parts, message: str) -> None:
    assert parts.run("return parts.frames.frameOf(given)", message) is None


@pytest.mark.parametrize("frame", [{"type": "ticketauth.news"}, {"type": "ticketauth.expiring"}])
def test_what_it_does_not_know_it_ignores(parts: Parts, frame: dict[str, Any]) -> None:
    assert after(parts, frame) == after(parts)
