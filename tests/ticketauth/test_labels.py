"""What a login is called in the list of one's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketauth.labels import LONGEST_LABEL, label_of

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "label"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/138.0.0.0 Safari/537.36", "Chrome on Windows"),
        (f"Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0", "Edge on Windows"),
        (f"{MAC} {WEBKIT} Chrome/138.0.0.0 Safari/537.36 OPR/120.0.0.0", "Opera on macOS"),
        (f"{MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15", "Safari on macOS"),
        (f"{IPHONE} Version/18.5 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        (f"{IPHONE} CriOS/138.0.0.0 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
        (f"{IPHONE} FxiOS/140.0 Mobile/15E148 Safari/605.1.15", "Firefox on iPhone"),
        (f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/138.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        (
            f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
            "Samsung Internet on Android",
        ),
        (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {WEBKIT} Chrome/138.0.0.0 Safari/537.36", "Chrome on ChromeOS"),
        ("okhttp/4.12.0", "okhttp"),
        ("Notes/3.1 (com.example.notes; build:7; iPhone; iOS 18.5) Alamofire/5.10", "Notes on iPhone"),
        ("Dart/3.8 (dart:io)", "Dart"),
        ("python-httpx/0.28.1", "python-httpx"),
        ("Mozilla/5.0", ""),
        ("<script>alert(1)</script>", ""),
        ("\N{RIGHT-TO-LEFT OVERRIDE}exe", ""),
        ("", ""),
    ],
)
def test_a_user_agent_has_a_short_name(user_agent: str, label: str) -> None:
    assert label_of(user_agent) == label


@given(st.text(max_size=600))
def test_a_label_is_short_and_plain_whatever_is_sent(user_agent: str) -> None:
    label = label_of(user_agent)
    assert len(label) <= LONGEST_LABEL
    assert label.isascii()
    assert label.isprintable()
    assert not set(label) & set("<>&\"'")
