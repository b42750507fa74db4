"""What the hub exports, the agent's replay reads: every format gives the same places at the same times."""

import pytest

from agent.core.traces.reading import read
from hub.core.exports import FORMATS, Point
from wire.messages import Fix, Reading
from wire.schema import row_of

START_MS = 1_760_000_000_000


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_read_back(name: str) -> None:
    fixes = [Fix(START_MS + i * 1000, 50 + i * 1e-4, 10.0, speed_mps=11.1, course_deg=0.0) for i in range(20)]
    points = [Point("gw-1", "AAAAAAAAAAA", i + 1, row_of(fix, Reading(rpm=900.0))) for i, fix in enumerate(fixes)]
    export = FORMATS[name]("van-1")
    text = export.head() + export.part(points) + export.tail()
    trace = read(name, text.encode())
    assert not trace.broken
    moments = [moment for drive in trace.drives for moment in drive.moments]
    assert [moment.fix.at_ms for moment in moments] == [fix.at_ms for fix in fixes]
    for moment, fix in zip(moments, fixes, strict=True):
        assert (moment.fix.lat_deg, moment.fix.lon_deg) == pytest.approx((fix.lat_deg, fix.lon_deg), abs=1e-7)
        assert moment.values.get("rp") in {None, 900.0}
        assert moment.fix.mode == fix.mode
