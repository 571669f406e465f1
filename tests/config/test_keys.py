import pytest
from django.core.exceptions import ImproperlyConfigured

from config import keys


def test_a_new_key_is_strong():
    assert keys.weakness(keys.new()) == ""


@pytest.mark.parametrize(
    ("key", "weakness"),
    [
        ("", "is not set"),
        ("0123456789abcdef0123456789abcde", "has fewer than 32 bytes"),
        ("abc" * 20, "has fewer than 10 different characters"),
        ("django-insecure-0123456789abcdefghijklmnop", "begins with django-insecure"),
    ],
)
def test_a_weak_key_is_refused_and_a_better_one_offered(key, weakness):
    with pytest.raises(ImproperlyConfigured, match=r"^SECRET_KEY .*Make one: python3 -c ") as caught:
        keys.strong("SECRET_KEY", key)
    assert weakness in str(caught.value)
    assert not key or key not in str(caught.value)


def test_bytes_are_counted_not_characters():
    assert keys.weakness("äöüßéèêàâçñøåæœÿ") == ""


def test_a_key_that_is_not_pem():
    with pytest.raises(ImproperlyConfigured, match="JWT_SIGNING_KEY is not PEM"):
        keys.pem("JWT_SIGNING_KEY", "-----BEGIN PUBLIC KEY-----", "PRIVATE")


def test_the_one_liner_makes_a_strong_key(python, bare_environment):
    code = keys.HOW_TO.partition('"')[2].rpartition('"')[0]
    assert keys.weakness(python("-c", code, environment=bare_environment).stdout.strip()) == ""


def test_a_kept_key_is_made_once_and_for_its_owner(tmp_path):
    keys.keep_all(tmp_path)
    made = {path: path.read_text() for path in tmp_path.iterdir()}
    keys.keep_all(tmp_path)
    assert {path: path.read_text() for path in tmp_path.iterdir()} == made
    assert {path.name for path in made if path.stat().st_mode & 0o077} == {"database-password"}
