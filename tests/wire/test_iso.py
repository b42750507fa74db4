"""Times as text, and back."""

import pytest

from wire.iso import from_iso, iso


def test_there_and_back() -> None:
    assert iso(1_760_000_000_007) == "2025-10-09T08:53:20.007Z"
    assert from_iso("2025-10-09T08:53:20.007Z") == 1_760_000_000_007
    assert from_iso("2025-10-09T10:53:20+02:00") == 1_760_000_000_000
    assert from_iso("2025-10-09T08:53:20") == 1_760_000_000_000  # without a zone it is UTC


@pytest.mark.parametrize("text", ["", "yesterday", "2025-13-01"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|month"):
        from_iso(text)
