"""Files are told by content: packed, with marks and old encodings, of receivers, damaged, binary."""

import gzip
from pathlib import Path

import pytest

from agent.core.traces import reading
from agent.core.traces.reading import read, unpacked
from wire.errors import DecodeError

RECORDINGS = Path(__file__).parents[3] / "recordings"
CSV = "time,lat,lon\n10,52,5\n"
GPX = '<gpx><trk><trkseg><trkpt lat="52" lon="5"><time>2024-06-01T12:00:00Z</time></trkpt></trkseg></trk></gpx>'


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (CSV.encode(), "csv"),
        (b"\xef\xbb\xbf" + CSV.encode(), "csv"),
        (CSV.encode("utf-16"), "csv"),
        (("name,time,lat,lon\nM\xfcnchen,10,52,5\n").encode("latin-1"), "csv"),
        (gzip.compress(CSV.encode(), mtime=0), "csv"),
        (gzip.compress(CSV.encode(), mtime=0) + gzip.compress(b"11,52,5\n", mtime=0), "csv"),
        (GPX.encode(), "gpx"),
        (b"\xef\xbb\xbf\n" + GPX.encode(), "gpx"),
        (GPX.encode("utf-16"), "gpx"),
        (b'[{"time": 10, "lat": 52, "lon": 5}]', "json"),
        (b'2015-08-24T05:55:07Z\t*\t{"_type":"location","tst":10,"lat":52,"lon":5}\n', "owntracks"),
    ],
)
def test_kinds(data: bytes, kind: str) -> None:
    assert read("x", data).kind == kind


def test_a_receiver() -> None:
    trace = read("x", (RECORDINGS / "gpsd" / "mt3339.log").read_bytes())
    assert trace.kind == "receiver"
    assert len(trace.drives[0].moments) == 30
    drive = read("x", (RECORDINGS / "drive-ublox-f9k-mtv-part1.nmea.gz").read_bytes())
    assert len(drive.drives[0].moments) == 1101
    assert drive.broken["checksum"] == 10


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"PK\x03\x04rest", "zip"),
        (b"SQLite format 3\0", "database"),
        (bytes(range(1, 32)) * 9 + b"\xff", "binary"),
        (b"a\0b", "known are"),
        (b"$GPGGA,,,,,,0,,,,,,,,*66\r\n" * 3, "the receiver told no position"),
        (b"\xb5\x62\x01\x02\x03\x04\xff\xfe", "the receiver told no position"),
        (b"time,lat,lon\nx,1,2\n", "no line of it can be used: bad-time 1"),
        (b"time,lat,lon\n", "no line of it can be used"),
        (b"ENGINE_RUN_TINE (),ENGINE_RPM ()\n1,2\n", "bus alone"),
        (gzip.compress(CSV.encode(), mtime=0)[:-9], "cut off"),
        (gzip.compress(CSV.encode(), mtime=0)[:10] + b"damaged", "damaged file"),
        (gzip.compress(CSV.encode(), mtime=0) + b"\x1f\x8bdamaged", "damaged file"),
    ],
)
def test_refused_in_words(data: bytes, said: str) -> None:
    with pytest.raises(DecodeError, match=said):
        read("x", data)


def test_bombs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", 1000)
    with pytest.raises(DecodeError, match="too-long"):
        unpacked(gzip.compress(bytes(2000)), "x")
    with pytest.raises(DecodeError, match="too-long"):
        unpacked(gzip.compress(bytes(900)) + gzip.compress(bytes(101)), "x")
    assert unpacked(gzip.compress(bytes(900)) + gzip.compress(bytes(100)), "x") == bytes(1000)


def test_long_text_that_is_cut_within_a_letter_is_text() -> None:
    data = b"\xb5\x62".decode("latin-1").encode() + ("time,lat,lon\n" + "10,52,5\n" * 9000).encode()
    assert reading.is_raw(data) is False
    assert reading.is_raw(b"x" * (reading.HEAD - 1) + "ü".encode() + UBX_LATE) is False


UBX_LATE = b" \xb5\x62"
