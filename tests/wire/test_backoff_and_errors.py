"""Jitter within its cap; errors that know their exit status."""

from wire.backoff import full_jitter_s
from wire.errors import DecodeError, LinkDownError, RefusedError, ServerDownError, SettingsError, UnavailableError


def test_full_jitter() -> None:
    assert [full_jitter_s(n, 1.0) for n in (0, 1, 5, 6, 10_000)] == [1.0, 2.0, 32.0, 60.0, 60.0]
    assert full_jitter_s(3, 0.0) == 0.0


def test_errors() -> None:
    assert str(DecodeError("missing", "lat", "x")) == "lat: missing (x)"
    assert str(DecodeError("missing")) == "missing"
    assert str(DecodeError("format", "x", "a \ud800 b")) == "x: format (a ? b)", "it can always be printed"
    assert str(SettingsError(["a", "b"])) == "a\nb"
    assert issubclass(LinkDownError, UnavailableError)
    statuses = [e.exit_status for e in (DecodeError, LinkDownError, ServerDownError, RefusedError, SettingsError)]
    assert statuses == [5, 3, 3, 4, 2]
    assert LinkDownError("x").transient
    assert not RefusedError("x").transient
