"""Which pages may connect."""

import pytest

from ticketauth.exceptions import Misconfigured, OriginRefused
from ticketauth.origin import OriginPolicy, origin_of

POLICY = OriginPolicy.of(["https://good", "capacitor://localhost"], ["https://api.good/path"])


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Good.Example", "https://good.example"),
        ("https://good:443", "https://good"),
        ("http://good:80", "http://good"),
        ("https://good:8443/path?x#y", "https://good:8443"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("capacitor://localhost", "capacitor://localhost"),
    ],
)
def test_the_origin_of_a_url(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize("url", ["", "*", "null", "good.example", "https://", "https://good:x", "https://me@good"])
def test_what_has_no_origin(url: str) -> None:
    with pytest.raises(Misconfigured):
        origin_of(url)


def test_a_path_in_the_list_is_a_mistake() -> None:
    with pytest.raises(Misconfigured, match="did you mean 'https://good'"):
        OriginPolicy.of(["https://good/"])


@pytest.mark.parametrize("origin", ["https://good", "capacitor://localhost", "https://api.good"])
@pytest.mark.parametrize("ambient", [True, False])
def test_a_listed_origin_passes(origin: str, ambient: bool) -> None:
    POLICY.check([origin], ambient=ambient)


@pytest.mark.parametrize(
    "origins", [["https://evil"], ["null"], ["https://good", "https://good"], ["https://good/"], [""], ["*"]]
)
@pytest.mark.parametrize("ambient", [True, False])
def test_any_other_is_refused(origins: list[str], ambient: bool) -> None:
    with pytest.raises(OriginRefused):
        POLICY.check(origins, ambient=ambient)


def test_none_is_fine_but_for_cookies() -> None:
    POLICY.check([], ambient=False)
    with pytest.raises(OriginRefused):
        POLICY.check([], ambient=True)


@pytest.mark.parametrize(("listed", "public", "name"), [(["x"], [], "ALLOWED_ORIGINS"), ([], ["x"], "PUBLIC_URLS")])
def test_what_is_no_origin_names_its_setting(listed: list[str], public: list[str], name: str) -> None:
    with pytest.raises(Misconfigured, match=f"{name}: 'x' is not an origin"):
        OriginPolicy.of(listed, public)


def test_an_empty_list_allows_nobody() -> None:
    with pytest.raises(OriginRefused):
        OriginPolicy.of([]).check(["https://good"], ambient=False)
