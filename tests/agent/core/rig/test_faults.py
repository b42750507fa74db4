"""Faults of the rig's receiver: how they are written down, when they are on, and what a reader makes of each."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent.core.gnss import receiver
from agent.core.rig import faults as rig_faults
from agent.core.rig.faults import FAULTS, Planted, State, known, names_at, planted, step
from agent.core.rig.sentences import made
from wire.messages import Fix, Mode, Rejected

START = Fix(
    1717286399000, 48.1, 11.5, alt_m=500.0, speed_mps=15.0, course_deg=90.0, mode=Mode.FIX_3D, hdop=0.9, pdop=1.5,
    sats_used=9,
)  # fmt: skip


def drive(epochs: int) -> Iterator[Fix]:
    for i in range(epochs):
        yield replace(START, at_ms=START.at_ms + 1000 * i, lon_deg=START.lon_deg + i * 2e-4)


def sent(name: str, epochs: int = 14) -> list[bytes]:
    state, out = State(), []
    for fix in drive(epochs):
        state, data = step(state, fix, made(fix), frozenset({name}))
        out.append(data)
    return out


def heard(name: str, epochs: int = 14) -> tuple[list[Fix], set[str]]:
    parser = receiver.Parser()
    items: list[object] = []
    for data in sent(name, epochs):
        items += [*parser.feed(data), *parser.flush()]
    return (
        [item for item in items if isinstance(item, Fix)],
        {item.reason for item in items if isinstance(item, Rejected)},
    )


def test_each_fault_has_a_text_and_a_way() -> None:
    ways = {rig_faults.SILENT, rig_faults.UNPLUGGED, *rig_faults.CHANGES, *rig_faults.BLIND, *rig_faults.SPOILS}
    assert ways == set(FAULTS)


@pytest.mark.parametrize("name", ["silent", "unplugged"])
def test_nothing_is_sent(name: str) -> None:
    assert sent(name) == [b""] * 14


@pytest.mark.parametrize("name", ["garbage", "corrupt", "cut", "interleaved"])
def test_what_spoils_the_bytes_is_never_a_wrong_fix(name: str) -> None:
    fixes, reasons = heard(name)
    true = {fix.at_ms: fix for fix in drive(14)}
    assert reasons & {"garbage", "checksum", "cut", "too-long", "field", "ubx-checksum"}, reasons
    for fix in fixes:
        assert (fix.lat_deg, fix.lon_deg) == pytest.approx((48.1, true[fix.at_ms].lon_deg), abs=1e-7)


@pytest.mark.parametrize("name", ["no-fix", "antenna-open", "antenna-short"])
def test_no_position(name: str) -> None:
    assert heard(name) == ([], {"no-fix"})
    told = [data for data in sent(name) if b"ANTSTATUS" in data]
    assert len(told) == (0 if name == "no-fix" else 3), "at once, and each fifth epoch"
    strengths = [line.rsplit(b"*")[0].split(b",")[7] for line in b"".join(sent(name)).split(b"\r\n") if b"GSV" in line]
    assert all(strengths) if name == "no-fix" else not any(strengths)


def test_the_antenna_is_back() -> None:
    state, _ = step(State(), START, made(START), frozenset({"antenna-open"}))
    state, silent = step(state, START, made(START), frozenset({"silent"}))
    state, data = step(state, START, made(START), frozenset())
    assert silent == b""
    assert data.endswith(b"$GNTXT,01,01,02,ANTSTATUS=OK*25\r\n")
    assert step(state, START, made(START), frozenset())[1] == made(START)


def test_without_a_date_there_is_no_fix() -> None:
    assert heard("no-date")[0] == []


def test_weak() -> None:
    fixes, _ = heard("weak")
    assert {(fix.mode, fix.sats_used, fix.hdop) for fix in fixes} == {(Mode.FIX_2D, 4, 8.5)}


def test_frozen_and_stale() -> None:
    frozen = [data for data in sent("frozen") if data]
    assert len({data.split(b",")[5] for data in frozen}) == 1
    assert len({data.split(b",")[1] for data in frozen}) == 14
    stale = sent("stale")
    assert len({data.split(b",")[1] for data in stale}) == 1
    assert len({data.split(b",")[5] for data in stale}) == 14
    state, _ = step(State(), START, b"", frozenset({"frozen"}))
    later = replace(START, lat_deg=49.0)
    assert b"4806.0000000" in step(state, later, b"", frozenset({"frozen", "teleport"}))[1]
    assert step(state, later, b"", frozenset())[0].held is None, "it lets go"


def test_teleport_null_island_rollover_and_back_in_time() -> None:
    jumps = [data.split(b",")[3] for data in sent("teleport")]
    assert (jumps.count(b"4806.0000000"), jumps.count(b"4736.0000000")) == (12, 2)
    south = replace(START, lat_deg=-48.1)
    assert b"4736.0000000,S" in step(State(count=6), south, b"", frozenset({"teleport"}))[1]
    assert sent("null-island")[0].split(b",")[3:7] == [b"0000.0000000", b"N", b"00000.0000000", b"E"]
    assert sent("rollover")[0].split(b",")[9] == b"161004", "1,024 weeks before the 2nd of June 2024"
    assert sent("back-in-time")[0].split(b",")[1] == b"225959.000"


def test_a_burst_without_a_fix_passes_what_changes_fixes() -> None:
    raw = b"$GNRMC,,V,,,,,,,,,,N*4D\r\n"
    for name in ("frozen", "no-fix", "weak"):
        assert step(State(), None, raw, frozenset({name}))[1] == raw


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("silent", Planted("silent", obd=False)),
        ("garbage@5", Planted("garbage", obd=False, from_s=5.0)),
        ("gnss:weak@2.5+10", Planted("weak", obd=False, from_s=2.5, until_s=12.5)),
        ("obd:unplugged@1", Planted("unplugged", obd=True, from_s=1.0)),
        ("buffer-full", Planted("buffer-full", obd=True)),
    ],
)
def test_planted(text: str, fault: Planted) -> None:
    assert planted(text, {"unplugged", "buffer-full"}) == fault


@pytest.mark.parametrize("text", ["", "silent@", "silent@x", "silent+5", "SILENT", "gps:silent"])
def test_not_written_as_it_should_be(text: str) -> None:
    with pytest.raises(ValueError, match="wants NAME"):
        planted(text, ())


@pytest.mark.parametrize("text", ["quiet", "obd:frozen", "gnss:buffer-full"])
def test_no_such_fault(text: str) -> None:
    with pytest.raises(ValueError, match=r"^no such fault"):
        planted(text, {"buffer-full"})


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("antena-open@5", "; meant antenna-open or antenna-short?"), ("bufer-full", "; meant obd:buffer-full?"),
        ("antenna", "; meant antenna-open or antenna-short?"), ("quiet", ""), ("obd:silence", "; meant silent?"),
    ],
)  # fmt: skip
def test_what_may_have_been_meant(text: str, near: str) -> None:
    with pytest.raises(ValueError, match="no such fault") as caught:
        planted(text, {"buffer-full"})
    assert str(caught.value) == f"no such fault{near}"


def test_all_that_are_known_in_lines() -> None:
    lines = known({"buffer-full", "asleep"})
    assert all(len(line) <= 100 for line in lines)
    assert lines[0].startswith("known are silent, unplugged, ")
    assert " ".join(lines).endswith("stale; obd:asleep, obd:buffer-full")


def test_when_they_are_on() -> None:
    faults = (planted("silent@2+3", ()), planted("weak", ()), planted("obd:x@1", {"x"}))
    assert [names_at(faults, at, obd=False) for at in (0.0, 2.0, 4.9, 5.0)] == [
        {"weak"}, {"weak", "silent"}, {"weak", "silent"}, {"weak"},
    ]  # fmt: skip
    assert [names_at(faults, at, obd=True) for at in (0.9, 1.0)] == [frozenset(), {"x"}]
