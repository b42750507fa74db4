"""Satellites over the rig: as many as asked for, in sentences of four, strong, weak or without a signal."""

import pytest

from agent.core.rig.sky import STRONG_DBHZ, active, heaven, in_view


@pytest.mark.parametrize(("used", "seen", "total"), [(9, None, 13), (0, 6, 6), (12, 8, 12), (0, 0, 0), (30, 40, 40)])
def test_as_many_as_asked_for(used: int, seen: int | None, total: int) -> None:
    sky = heaven(1_700_000_000_000, used, seen)
    assert (len(sky), sum(one.used for one in sky)) == (total, used)
    assert len({(one.system, one.number) for one in sky}) == total
    assert all(0 <= one.elevation_deg <= 90 and 0 <= one.azimuth_deg < 360 for one in sky)


def test_strengths_are_those_of_a_good_a_weak_and_a_dead_antenna() -> None:
    def strengths(used: int, cn0_dbhz: float | None) -> list[int | None]:
        return [one.cn0_dbhz for one in heaven(0, used, 8, cn0_dbhz)]

    assert strengths(6, STRONG_DBHZ) == [42, 42, 42, 42, 41, 39, 19, 19]
    assert strengths(4, 18.0) == [18, 18, 18, 18, 13, 13, 13, 13]
    assert strengths(0, None) == [None] * 8
    assert strengths(0, 8.0) == [5] * 8


def test_pages_of_four() -> None:
    bodies = in_view(heaven(0, 12, 16))
    pages = {
        talker: [body.split(",")[1:4] for body in bodies if body.startswith(talker)] for talker in ("GP", "GL", "GA")
    }
    assert pages["GP"] == [["2", "1", "07"], ["2", "2", "07"]]
    assert [page[0] for page in pages["GL"]] + [page[0] for page in pages["GA"]] == ["2"] * 2 + ["1"]
    assert in_view(()) == []


def test_who_is_used() -> None:
    assert active(heaven(0, 0, 5), 1, "99.99", "99.99") == ["GNGSA,A,1,,,,,,,,,,,,,99.99,99.99,,1"]
    assert active((), 3, "", "") == ["GNGSA,A,3,,,,,,,,,,,,,,,,1"]
    bodies = active(heaven(0, 5), 3, "1.50", "0.87")
    assert [body.split(",")[-1] for body in bodies] == ["1", "2", "3"]
    assert all(len(body.split(",")) == 19 for body in bodies)
