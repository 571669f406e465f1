"""The client's address, through the proxies that are trusted and no others."""

import pytest

from ticketauth.address import client_address, networks
from ticketauth.exceptions import Misconfigured

PROXIES = networks("TRUSTED_PROXIES", ["10.0.0.0/8", "::1"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("9.9.9.9", [], "9.9.9.9"),
        ("9.9.9.9", ["1.1.1.1"], "9.9.9.9"),
        ("10.0.0.1", ["1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["6.6.6.6, 1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["6.6.6.6", "1.1.1.1, 10.0.0.2"], "1.1.1.1"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.2"], "10.0.0.2"),
        ("::1", ["2001:db8::1"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["1.1.1.1"], "1.1.1.1"),
        ("", ["1.1.1.1"], "1.1.1.1"),
        ("", [], ""),
        ("10.0.0.1", ["1.1.1.1:4711"], "1.1.1.1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["2001:db8::1%eth0"], "2001:db8::1"),
        ("not an address", [], ""),
    ],
)
def test_the_last_that_is_not_a_trusted_proxys(peer: str, forwarded: list[str], expected: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == expected


def test_nobody_is_trusted_by_default() -> None:
    assert client_address("127.0.0.1", ["1.1.1.1"], ()) == "127.0.0.1"
    assert client_address("", ["1.1.1.1"], ()) == ""


def test_a_wrong_network_names_itself() -> None:
    with pytest.raises(Misconfigured, match=r"TRUSTED_PROXIES.*10\.0\.0\.1/8"):
        networks("TRUSTED_PROXIES", ["10.0.0.1/8"])


def test_what_is_too_long_for_an_address_is_none() -> None:
    assert client_address(f"fe80::1%{'z' * 1000}", [], ()) == ""
