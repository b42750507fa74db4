"""Credentials, tokens and how often one may try. Randomness and time come in from outside."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, replace

from hub.core.registry import Registry, Token

ITERATIONS = 101
SALT_BYTES = 12
HASH_BYTES = 64
READ = "read"
"""What every token may do. Others come with administration over REST."""
LOGIN_TOKEN_MS = 12 * 3_600_000
LOGIN_CODE_MS = 10 * 60_000


def digest(secret: str) -> str:
    """SHA-256 of a random secret; a token of 256 bits needs no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def mosquitto_hash(secret: str, salt: bytes) -> str:
    """The password in Mosquitto's own form: PBKDF2 with HMAC-SHA512. The secret is random, so few rounds are enough."""
    key = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, ITERATIONS, HASH_BYTES)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def matches(stored: str, secret: str) -> bool:
    """Whether a secret is the one behind a stored hash; the comparison takes the same time for every secret."""
    parts = stored.split("$")
    if len(parts) != 5 or parts[:2] != ["", "7"]:
        return False
    try:
        rounds, salt, key = int(parts[2]), base64.b64decode(parts[3]), base64.b64decode(parts[4])
    except (ValueError, binascii.Error):
        return False
    if not 0 < rounds <= 1_000_000 or not key:
        return False
    made = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, rounds, len(key))
    return hmac.compare_digest(made, key)


def token_of(registry: Registry, secret: str, now_ms: int) -> Token | None:
    """The token behind a bearer secret, if it is known and still holds."""
    wanted = digest(secret)
    token = registry.tokens.get(wanted)
    if token is None or not hmac.compare_digest(token.digest, wanted):
        return None
    if token.expires_ms is not None and token.expires_ms <= now_ms:
        return None
    return token if token.fleet in registry.fleets else None


def bearer(header: str | None) -> str | None:
    """The secret in an Authorization header."""
    scheme, _, secret = (header or "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and 0 < len(secret.strip()) <= 256 else None


@dataclass(frozen=True, slots=True)
class Bucket:
    """Tokens that refill: `rate_per_s` each second, at most `size`."""

    size: float
    rate_per_s: float
    level: float
    at_ms: int


def bucket(size: float, rate_per_s: float, now_ms: int) -> Bucket:
    """A full bucket."""
    return Bucket(size, rate_per_s, size, now_ms)


def take(state: Bucket, now_ms: int) -> tuple[Bucket, bool]:
    """Take one; False if there is none."""
    level = min(state.size, state.level + state.rate_per_s * max(0, now_ms - state.at_ms) / 1000.0)
    given = level >= 1.0
    return replace(state, level=level - 1.0 if given else level, at_ms=max(now_ms, state.at_ms)), given


class Attempts:
    """Failures by address: after `most` within a minute the address waits. Bounded: the oldest is forgotten first."""

    def __init__(self, most: int = 5, *, within_ms: int = 60_000, remembered: int = 10_000) -> None:
        self._most = most
        self._within_ms = within_ms
        self._remembered = remembered
        self._failed: dict[str, list[int]] = {}

    def wait_ms(self, address: str, now_ms: int) -> int:
        """How long this address has to wait; 0 if it may try."""
        recent = [at for at in self._failed.get(address, []) if now_ms - at < self._within_ms]
        return recent[-self._most] + self._within_ms - now_ms if len(recent) >= self._most else 0

    def failed(self, address: str, now_ms: int) -> None:
        """Book a failure."""
        recent = [at for at in self._failed.pop(address, []) if now_ms - at < self._within_ms]
        self._failed[address] = [*recent[-self._most :], now_ms]
        if len(self._failed) > self._remembered:
            del self._failed[next(iter(self._failed))]
