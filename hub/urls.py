"""URLs and hosts of the settings, checked so far that no library stumbles over them.

No fault tells the URL itself: it may hold a password.
"""

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qsl, urlsplit

HOST = re.compile(r"[\w.-]+")


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_host(text: str) -> bool:
    """Whether this is an address or could be a name."""
    try:
        if ":" in text:
            return ipaddress.ip_address(text).version == 6
        text.encode("idna")
    except ValueError:  # of `idna`, too
        return False
    return HOST.fullmatch(text) is not None


def taken_apart(url: str, *schemes: str, options: Mapping[str, str] | None = None) -> SplitResult:
    """The parts of a URL; `options` says which may stand behind its `?`, each with the pattern of its values.

    Without `options` anything may.
    """
    wants = " or ".join(f"{scheme}://" for scheme in schemes)
    fault = f"wants {wants}, then host:port with a port from 1 to 65535"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(fault) from None
    if not url.isprintable() or " " in url or parts.scheme not in schemes or port == 0 or parts.fragment:
        raise ValueError(fault)
    if parts.netloc.count("@") > 1:
        raise ValueError("has more than one @; write that of a password as %40")
    if parts.netloc.endswith(":") or (parts.hostname is not None and not is_host(parts.hostname)):
        raise ValueError(fault)
    if options is not None:
        _check_options(parts.query, options)
    return parts


def _check_options(query: str, known: Mapping[str, str]) -> None:
    given = parse_qsl(query, keep_blank_values=True)
    if any(name not in known or re.fullmatch(known[name], value) is None for name, value in given):
        raise ValueError(f"takes no such option behind ?; it knows: {', '.join(known) or 'none'}")


def broker_url(url: str) -> str:
    """Where a broker is. The hub signs in with an identity of its own, so there is no user in it."""
    parts = taken_apart(url, "mqtt", "mqtts", options={})
    if not parts.hostname or "@" in parts.netloc or parts.path not in {"", "/"}:
        raise ValueError("wants mqtt://host:port or mqtts://host:port, without user, password and path")
    return url


def redis_url(url: str) -> str:
    """Where a Redis or Valkey is."""
    options = {"db": r"\d{1,4}"} | ({"ssl_ca_certs": "/.+"} if url.startswith("rediss:") else {})
    parts = taken_apart(url, "redis", "rediss", "unix", options=options)
    if parts.scheme == "unix":
        if len(parts.path) < 2 or parts.hostname:
            raise ValueError("wants the path of a socket: unix:///path")
    elif not parts.hostname or re.fullmatch(r"(/\d{0,4})?", parts.path) is None:
        raise ValueError("wants redis://host:port/0 or rediss://host:port/0, the last is the number of a database")
    return url


TLS_MODES = "disable|allow|prefer|require|verify-ca|verify-full"


def store_url(url: str) -> str:
    """Where a PostgreSQL is."""
    parts = taken_apart(url, "postgresql", "postgres", options={"ssl": TLS_MODES, "host": "/.+"})
    by_socket = any(name == "host" for name, _ in parse_qsl(parts.query))
    if not (parts.hostname or by_socket) or re.fullmatch(r"/[^/]+", parts.path) is None:
        raise ValueError("wants postgresql://user@host:port/database, or ?host=/folder for a socket")
    return url


def tiles_url(url: str) -> str:
    """Where map tiles are; `{s}` may stand in the host."""
    parts = taken_apart(url.replace("{s}", "s"), "https", "http")
    if not parts.hostname or "@" in parts.netloc:
        raise ValueError("wants https://host/{z}/{x}/{y}.png, without user and password")
    return url
