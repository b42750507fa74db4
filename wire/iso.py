"""Times as text: ISO 8601 in UTC, and back."""

from datetime import UTC, datetime


def iso(at_ms: int) -> str:
    """ISO 8601 with milliseconds, in UTC: `2026-01-02T03:04:05.678Z`."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def from_iso(text: str) -> int:
    """Milliseconds since 1970 of an ISO 8601 time; one without a zone is UTC. Raises ValueError or OverflowError."""
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
