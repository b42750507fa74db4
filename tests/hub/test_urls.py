"""URLs of the settings: what libraries can use passes, everything else is refused without telling a password."""

from collections.abc import Callable

import pytest

from hub.urls import broker_url, is_host, is_loopback, redis_url, store_url, tiles_url

FINE = [
    (broker_url, "mqtt://127.0.0.1:1883"),
    (broker_url, "mqtts://broker.example/"),
    (broker_url, "mqtt://[::1]:1883"),
    (redis_url, "redis://127.0.0.1"),
    (redis_url, "redis://user:pass@redis_1:6379/0"),
    (redis_url, "rediss://redis.example/1?ssl_ca_certs=/etc/ca.pem"),
    (redis_url, "unix:///run/redis.sock?db=1"),
    (store_url, "postgresql://user:p%40ss@db.example:5432/odograph?ssl=require"),
    (store_url, "postgres:///odograph?host=/run/postgresql"),
    (tiles_url, "https://{s}.tiles.example/{z}/{x}/{y}.png?key=abc"),
]
BAD = [
    (broker_url, "http://h"),
    (broker_url, "mqtt://h:99999"),
    (broker_url, "mqtt://h:0"),
    (broker_url, "mqtt://h:"),
    (broker_url, "mqtt://user:secret@h"),
    (broker_url, "mqtt://"),
    (broker_url, "mqtt://h/topic"),
    (broker_url, "mqtt://h?a=1"),
    (broker_url, "mqtt://h#a"),
    (broker_url, "mqtt://a..b"),
    (broker_url, "mqtt://a b"),
    (broker_url, "mqtt://a\nb"),
    (broker_url, "mqtt://[1.2.3.4]"),
    (redis_url, "memcached://h"),
    (redis_url, "redis://:secret@h:abc"),
    (redis_url, "redis://:secret"),
    (redis_url, "redis://:secret@h:1/x"),
    (redis_url, "redis://h?ssl_ca_certs=/x"),
    (redis_url, "redis://h?db=x"),
    (redis_url, "redis:///0"),
    (redis_url, "redis://[::1"),
    (redis_url, "unix://h/x"),
    (redis_url, "unix://"),
    (store_url, "mysql://h/db"),
    (store_url, "postgresql://u:secret@h:abc/db"),
    (store_url, "postgresql://u:secret/x@h/db"),
    (store_url, "postgresql://u:secret@x@h/db"),
    (store_url, "postgresql://u:secret@h/db?foo=1"),
    (store_url, "postgresql://u:secret@h/db?ssl=maybe"),
    (store_url, "postgresql://u:secret@h"),
    (store_url, "postgresql://u:secret@h/a/b"),
    (store_url, "postgresql:///db"),
    (store_url, "postgresql://u:secret@\u2100/db"),
    (tiles_url, "ftp://x"),
    (tiles_url, "https://u:secret@x/{z}"),
    (tiles_url, "https:///{z}"),
]


@pytest.mark.parametrize(("check", "url"), FINE)
def test_what_is_fine_passes_as_it_is(check: Callable[[str], str], url: str) -> None:
    assert check(url) == url


@pytest.mark.parametrize(("check", "url"), BAD)
def test_what_no_library_can_use_is_refused(check: Callable[[str], str], url: str) -> None:
    with pytest.raises(ValueError, match=r"wants|takes|more than one") as caught:
        check(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "fits"), [("127.0.0.1", True), ("::", True), ("hub.example", True), ("hub_1", True), ("bücher.example", True),
                       ("", False), ("a..b", False), ("x" * 64, False), (":1", False), ("a/b", False), ("a b", False)]
)  # fmt: skip
def test_hosts(host: str, *, fits: bool) -> None:
    assert is_host(host) is fits


@pytest.mark.parametrize(
    ("host", "is_near"), [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
                          ("::", False), ("hub.example", False), ("", False)]
)  # fmt: skip
def test_loopback(host: str, *, is_near: bool) -> None:
    assert is_loopback(host) is is_near
