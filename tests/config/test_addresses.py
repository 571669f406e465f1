import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django_redis import get_redis_connection

from config import addresses
from ticketauth.stores.server import Server

SENTINEL = "rediss+sentinel://app:s3cret@one:26379,two/mymaster/2"


def cache(url):
    return addresses.cache(url, Server.parse(url), "prefix")


def host(url):
    return addresses.channel_layer(url, Server.parse(url), "prefix")["CONFIG"]["hosts"][0]


def database(url, password=""):
    return addresses.database(url, password=password, statement_seconds=2.5, pool_size=4)


@pytest.mark.parametrize("url", ["redis://cache:6379/1", "rediss://cache:6379/1", "unix:///run/redis.sock?db=1"])
def test_the_cache_of_a_single_node_keeps_its_address(url):
    assert cache(url)["LOCATION"] == url


def test_the_cache_gives_up_soon_and_never_ignores_an_error():
    options = cache("redis://cache")["OPTIONS"]
    assert (options["SOCKET_CONNECT_TIMEOUT"], options["SOCKET_TIMEOUT"]) == (0.3, 0.5)
    assert options["CONNECTION_POOL_KWARGS"]["retry"].get_retries() == 1
    assert "IGNORE_EXCEPTIONS" not in options


def test_the_cache_behind_sentinels():
    made = cache(SENTINEL)
    assert made["LOCATION"] == ["redis://mymaster/2"]
    assert made["OPTIONS"]["SENTINELS"] == [("one", 26379), ("two", 26379)]
    assert (made["OPTIONS"]["USERNAME"], made["OPTIONS"]["PASSWORD"]) == ("app", "s3cret")


@pytest.mark.parametrize("url", ["redis://cache:6379/1", SENTINEL])
def test_django_redis_takes_what_is_made(url):
    with override_settings(CACHES={"default": cache(url)}):
        pool = get_redis_connection().connection_pool
    assert pool.connection_kwargs["socket_timeout"] == 0.5


@pytest.mark.parametrize("url", ["redis://layer", "unix:///run/redis.sock", SENTINEL])
def test_the_channel_layer_waits_without_a_time_out(url):
    assert host(url)["socket_timeout"] is None


def test_the_channel_layer_behind_sentinels():
    made = host(SENTINEL)
    assert (made["master_name"], made["db"], made["ssl"]) == ("mymaster", 2, True)
    assert made["sentinel_kwargs"]["socket_timeout"] == 0.5


@pytest.mark.parametrize("url", ["redis://layer", "unix:///run/redis.sock", SENTINEL])
async def test_channels_redis_takes_what_is_made(url):
    from channels_redis.utils import create_pool

    connection = create_pool(host(url)).make_connection()
    assert connection.socket_timeout is None


def test_a_cluster_keeps_no_cache():
    with pytest.raises(ImproperlyConfigured, match="CACHE_URL is not set, or names a Redis Cluster"):
        addresses.not_a_cluster("CACHE_URL", "redis+cluster://a:7000,b:7000")


def test_an_address_that_is_none_names_its_variable():
    with pytest.raises(ImproperlyConfigured, match=r"^REDIS_URL: The address scheme 'http' is not known"):
        addresses.redis_server("REDIS_URL", "http://redis")


def test_a_postgres_address():
    made = database("postgres://us%40er:p%2Fw@db.example.com:6432/na%2Dme?sslmode=require")
    assert made["USER"] == "us@er"
    assert made["PASSWORD"] == "p/w"
    assert (made["HOST"], made["PORT"], made["NAME"]) == ("db.example.com", "6432", "na-me")
    assert made["OPTIONS"]["sslmode"] == "require"


def test_the_password_of_the_address_goes_before_the_one_beside_it():
    assert database("postgres://app:in-it@db/name", "beside")["PASSWORD"] == "in-it"
    assert database("postgres://app@db/name", "beside")["PASSWORD"] == "beside"


def test_postgres_is_given_up_in_time():
    options = database("postgres://db/name")["OPTIONS"]
    assert options["connect_timeout"] == 2
    assert options["options"] == "-c statement_timeout=2500"
    assert options["pool"]["max_size"] == 4


def test_sqlite_takes_absolute_and_relative_paths():
    assert database("sqlite:////var/lib/db.sqlite3")["NAME"] == "/var/lib/db.sqlite3"
    assert database("sqlite:///db.sqlite3")["NAME"] == "db.sqlite3"


@pytest.mark.parametrize(
    "url", ["mysql://u:s3cret@db/name", "postgres://u:s3cret@db", "postgres://u:s3cret@db:x/n", "x"]
)
def test_an_address_that_is_no_database_is_not_repeated(url):
    with pytest.raises(ImproperlyConfigured, match=r"^DATABASE_URL is not understood; expected postgres://") as caught:
        database(url)
    assert "s3cret" not in str(caught.value)
