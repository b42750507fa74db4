"""The presence table, every cell."""

import pytest

from hub.core.presence import Change, Presence, step
from wire.messages import Status

ON_X, ON_Y, OFF_X, OFF_Y = (Presence(on, c) for on in (True, False) for c in ("X", "Y"))


@pytest.mark.parametrize(
    ("state", "online", "after", "change"),
    [
        (None, True, ON_X, Change.CAME),
        (None, False, OFF_X, Change.WENT),
        (ON_X, True, ON_X, Change.NONE),
        (ON_X, False, OFF_X, Change.WENT),
        (ON_Y, True, ON_X, Change.CAME_AGAIN),
        (ON_Y, False, ON_Y, Change.NONE),
        (OFF_X, True, ON_X, Change.CAME),
        (OFF_X, False, OFF_X, Change.NONE),
        (OFF_Y, True, ON_X, Change.CAME),
        (OFF_Y, False, OFF_Y, Change.NONE),
    ],
)
def test_table(state: Presence | None, *, online: bool, after: Presence, change: Change) -> None:
    assert step(state, Status(online=online, connection="X")) == (after, change)
