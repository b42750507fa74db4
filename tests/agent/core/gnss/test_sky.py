"""The sky: what numbers mean, groups that come and go, the strongest, and what was used."""

import pytest

from agent.core.gnss.sky import KEPT_EPOCHS, NAMES_LIMIT, Heaven, Satellite, Sky, name, system_of


@pytest.mark.parametrize(
    ("talker", "number", "system", "expected"),
    [
        (b"GP", 7, None, ("GPS", 7)),
        (b"GP", 46, None, ("SBAS", 133)),
        (b"GN", 70, None, ("GLONASS", 6)),
        (b"GN", 12, 1, ("GPS", 12)),
        (b"GP", 195, None, ("QZSS", 3)),
        (b"GN", 100, None, None),
        (b"GL", 70, None, ("GLONASS", 6)),
        (b"GL", 6, None, ("GLONASS", 6)),
        (b"GA", 301, None, ("Galileo", 1)),
        (b"GA", 101, None, ("Galileo", 1)),
        (b"GA", 24, None, ("Galileo", 24)),
        (b"BD", 214, None, ("BeiDou", 14)),
        (b"GB", 412, None, ("BeiDou", 12)),
        (b"PQ", 12, 4, ("BeiDou", 12)),
        (b"GN", 3, 5, ("QZSS", 3)),
        (b"GI", 4, None, ("NavIC", 4)),
        (b"GP", 905, None, ("NavIC", 5)),
        (b"GP", 0, None, None),
    ],
)
def test_names(talker: bytes, number: int, system: int | None, expected: tuple[str, int] | None) -> None:
    assert name(talker, number, system) == expected


def row(text: str) -> list[bytes]:
    return text.encode().split(b",")


def test_groups_of_sentences() -> None:
    heaven = Heaven()
    assert heaven.ends() == (None, None, None)
    heaven.used = {("GPS", 7)}
    heaven.part(b"GP1", row("GPGSV,2,1,05,07,40,083,46,02,17,308,41,12,07,344,,14,22,228,45,1"), first=True, last=False)
    heaven.part(b"GP1", row("GPGSV,2,2,05,46,33,155,40,1"), first=False, last=True)
    heaven.part(b"GP6", row("GPGSV,1,1,01,07,40,083,49,6"), first=True, last=True)
    heaven.part(b"GP7", row("GPGSV,1,1,01,07,40,083,20,7"), first=True, last=True)
    heaven.part(b"GL1", row("GLGSV,1,1,01,70,,,xx,,,,,1"), first=True, last=True)
    seen, cn0_dbhz, sky = heaven.ends()
    assert (seen, cn0_dbhz) == (6, 43.8)
    assert sky is not None
    assert sky.satellites == (
        Satellite("GLONASS", 6), Satellite("GPS", 2, 17, 308, 41.0), Satellite("GPS", 7, 40, 83, 49.0, used=True),
        Satellite("GPS", 12, 7, 344), Satellite("GPS", 14, 22, 228, 45.0), Satellite("SBAS", 133, 33, 155, 40.0),
    )  # fmt: skip
    assert heaven.ends() == (6, 43.8, None)


def test_a_group_that_is_no_longer_told_is_forgotten() -> None:
    heaven = Heaven()
    heaven.part(b"GL", row("GLGSV,1,1,01,70,10,100,30"), first=True, last=True)
    for _ in range(KEPT_EPOCHS + 1):
        heaven.part(b"GP", row("GPGSV,1,1,01,07,10,100,30,,,,"), first=True, last=True)
        seen, _, _ = heaven.ends()
    assert seen == 1


def test_a_sky_that_is_told_whole() -> None:
    heaven = Heaven()
    heaven.whole([Satellite("GPS", 7, cn0_dbhz=40.0, used=True), Satellite("GPS", 8)])
    seen, cn0_dbhz, sky = heaven.ends()
    assert (seen, cn0_dbhz, heaven.used) == (2, 40.0, {("GPS", 7)})
    assert sky is not None
    assert sky.satellites == (Satellite("GPS", 7, cn0_dbhz=40.0, used=True), Satellite("GPS", 8))
    heaven.whole([])
    assert heaven.ends() == (0, None, Sky())


def test_odd_rows() -> None:
    assert system_of(row("PQGSV,1,1,01,07,10,100,30,0,4")) == 4
    assert system_of(row("PQGSV,1,1,01,07,10,100,30,0,x")) == 0
    rows = (
        row("GPGSV,1,1,02,xx,10,100,30,100,10,100,30"),
        row("GPGSV,1,1,01,07,10,100,30"),
        row("GPGSV,1,1,01,07,10,100,20"),
    )
    assert Sky(rows).satellites == (Satellite("GPS", 7, 10, 100, 30.0),)


def test_names_are_remembered_within_bounds() -> None:
    heaven = Heaven()
    assert heaven.named(b"GP", b"07", 0) == heaven.named(b"GP", b"07", 0) == ("GPS", 7)
    assert heaven.named(b"GP", b"x", 0) is None
    for n in range(NAMES_LIMIT + 5):
        heaven.named(b"GP", b"%d" % n, 0)
    assert len(heaven._names) <= NAMES_LIMIT + 1
