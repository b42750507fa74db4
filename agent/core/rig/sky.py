"""The satellites over the rig: made from the number that a fix was computed with, the same each time for the same moment."""

from dataclasses import dataclass

STRONG_DBHZ = 42.0
UNUSED_DBHZ = 19.0
"""What a satellite has that a receiver sees and does not use."""
MORE_SEEN = 4
PER_SENTENCE, PER_GSA = 4, 12
SYSTEMS = (("GP", 1, 1), ("GL", 65, 2), ("GA", 1, 3))
"""Talker, first number, and the system's id in GSA."""
TURNS = (0, 1, 0, 2, 0, 2, 1)
"""Which system the next satellite is of."""


@dataclass(frozen=True, slots=True)
class Satellite:
    """One satellite over the rig; `system` is an index into `SYSTEMS`, without `cn0_dbhz` it is only foretold."""

    system: int
    number: int
    elevation_deg: int
    azimuth_deg: int
    cn0_dbhz: int | None
    used: bool


def heaven(
    at_ms: int, used: int, seen: int | None = None, cn0_dbhz: float | None = STRONG_DBHZ
) -> tuple[Satellite, ...]:
    """`seen` satellites, of which the first `used` are used; the strongest have `cn0_dbhz`, None means no signal."""
    seen = used + MORE_SEEN if seen is None else max(seen, used)
    minute = at_ms // 60_000
    out: list[Satellite] = []
    for i in range(seen):
        elevation = 85 - i * 80 // max(seen, 1)
        strength = None
        if cn0_dbhz is not None:
            strength = round(cn0_dbhz - max(0, i - 3) * 1.3) if i < used else round(min(UNUSED_DBHZ, cn0_dbhz - 5))
            strength = max(5, strength)
        system = TURNS[i % len(TURNS)]
        number = SYSTEMS[system][1] + (sum(one.system == system for one in out) * 5 + minute // 30) % 24
        out.append(Satellite(system, number, elevation, (i * 137 + minute // 4) % 360, strength, i < used))
    return tuple(out)


def in_view(sky: tuple[Satellite, ...]) -> list[str]:
    """Bodies of the GSV sentences, system by system."""
    out = []
    for index, (talker, _, _) in enumerate(SYSTEMS):
        own = [satellite for satellite in sky if satellite.system == index]
        pages = [own[i : i + PER_SENTENCE] for i in range(0, len(own), PER_SENTENCE)]
        for number, page in enumerate(pages, 1):
            fields = "".join(
                f",{one.number:02d},{one.elevation_deg:02d},{one.azimuth_deg:03d},"
                + ("" if one.cn0_dbhz is None else f"{one.cn0_dbhz:02d}")
                for one in page
            )
            out.append(f"{talker}GSV,{len(pages)},{number},{len(own):02d}{fields}")
    return out


def active(sky: tuple[Satellite, ...], mode: int, pdop: str, hdop: str) -> list[str]:
    """Bodies of the GSA sentences: one for each system that is used, one without satellites where none is."""
    out = []
    for index, (_, _, system) in enumerate(SYSTEMS):
        own = [f"{one.number:02d}" for one in sky if one.system == index and one.used][:PER_GSA]
        if own or (index == 0 and not any(one.used for one in sky)):
            numbers = ",".join(own + [""] * (PER_GSA - len(own)))
            out.append(f"GNGSA,A,{mode},{numbers},{pdop},{hdop},,{system}")
    return out
