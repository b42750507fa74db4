"""Recordings of the bus alone."""

import pytest

from agent.core.traces.bus import is_alone, read_bus

HEAD = "ENGINE_RUN_TINE (),ENGINE_RPM (),OTHER ()\n"


def test_rows_are_spread_evenly() -> None:
    text = HEAD + "0, 800, 1,\n0, , 1,\n1, 820, 1,\n3\n"
    assert is_alone(text)
    assert not is_alone("time,lat,lon")
    assert list(read_bus(text)) == [(0, {"rp": 800.0}), (500, {}), (1000, {"rp": 820.0})]
    assert list(read_bus(HEAD + "0,1,2\n")) == []


def test_a_clock_that_is_no_number() -> None:
    with pytest.raises(ValueError, match="could not convert"):
        list(read_bus(HEAD + "x,1,2\ny,1,2\n"))
