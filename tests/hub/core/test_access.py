"""Hashes, tokens, buckets, attempts."""

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from hub.core import access
from hub.core.registry import Registry, Token


def test_the_hash_is_mosquittos() -> None:
    stored = access.mosquitto_hash("secret", b"0123456789ab")
    empty, seven, rounds, salt, key = stored.split("$")
    assert (empty, seven, rounds) == ("", "7", "101")
    assert base64.b64decode(salt) == b"0123456789ab"
    assert len(base64.b64decode(key)) == 64
    assert access.matches(stored, "secret")
    assert not access.matches(stored, "Secret")


def test_a_file_of_mosquittos_own_tool_is_understood(tmp_path: Path) -> None:
    tool = shutil.which("mosquitto_passwd")
    assert tool
    path = tmp_path / "passwords"
    subprocess.run([tool, "-c", "-b", str(path), "gw-a", "s3cret"], check=True)
    stored = path.read_text().strip().partition(":")[2]
    assert access.matches(stored, "s3cret")
    assert not access.matches(stored, "s3cres")


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "plain",
        "$6$101$aa$bb",
        "$7$x$YWE=$YWE=",
        "$7$101$!$YWE=",
        "$7$0$YWE=$YWE=",
        "$7$101$YWE=$",
        "$7$9999999$YWE=$YWE=",
    ],
)
def test_a_broken_hash_lets_nobody_in(stored: str) -> None:
    assert not access.matches(stored, "secret")


def test_tokens() -> None:
    tokens = [Token(access.digest("a"), "a", "main", "read"), Token(access.digest("b"), "b", "main", "read", 1000),
              Token(access.digest("c"), "c", "gone", "read")]  # fmt: skip
    registry = Registry(fleets=("main",), tokens={token.digest: token for token in tokens})
    assert access.token_of(registry, "a", 5000) is tokens[0]
    assert access.token_of(registry, "b", 999) is tokens[1]
    assert access.token_of(registry, "b", 1000) is None
    assert access.token_of(registry, "c", 0) is None
    assert access.token_of(registry, "x", 0) is None
    bent = Registry(fleets=("main",), tokens={access.digest("a"): tokens[1]})
    assert access.token_of(bent, "a", 0) is None


@pytest.mark.parametrize(
    ("header", "secret"),
    [(None, None), ("", None), ("Bearer x", "x"), ("bearer  y ", "y"), ("Basic x", None), ("Bearer ", None),
     ("Bearer " + "x" * 257, None)],
)  # fmt: skip
def test_bearer(header: str | None, secret: str | None) -> None:
    assert access.bearer(header) == secret


def test_a_bucket_refills() -> None:
    state = access.bucket(2, 10, 0)
    state, first = access.take(state, 0)
    state, second = access.take(state, 0)
    state, third = access.take(state, 50)
    assert (first, second, third) == (True, True, False)
    state, fourth = access.take(state, 100)
    assert fourth
    state, early = access.take(state, 0)
    assert not early
    assert access.take(state, 100_000)[0].level == 1.0


def test_attempts_wait_and_forget() -> None:
    tries = access.Attempts(2, within_ms=1000, remembered=2)
    assert tries.wait_ms("a", 0) == 0
    tries.failed("a", 0)
    assert tries.wait_ms("a", 1) == 0
    tries.failed("a", 100)
    assert tries.wait_ms("a", 200) == 800
    assert tries.wait_ms("b", 200) == 0
    assert tries.wait_ms("a", 1000) == 0
    tries.failed("a", 1050)
    assert tries.wait_ms("a", 1060) == 40
    tries.failed("b", 1060)
    tries.failed("c", 1060)
    assert tries.wait_ms("a", 1070) == 0  # the oldest is forgotten first
