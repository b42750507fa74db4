"""What the mutations begin with: real messages, made by the product from real drives, and real bytes of receivers and adapters."""

import functools
import gzip
import itertools
import json
import random
import zlib

from agent.core.pages import PAGE
from agent.core.rig.elm327 import GRADES, Responder
from agent.core.traces.drives import reading_of
from agent.core.traces.reading import read
from hub.core.views import Views
from tests.agent.core.obd.elm_world import World
from tests.hub.makers import STORE, T0, a_batch, a_registry, h_at
from tests.rigs import RECORDINGS
from wire.codec import decode_live, encode_ack, encode_command, encode_event, encode_live, encode_outcome, encode_status
from wire.messages import Ack, Batch, Command, CommandOutcome, Event, Live, Lost, Row, Status
from wire.schema import row_of
from wire.track import chain, encode_batch

LOGS = (
    "beidou-bd.log", "bn-9015.log", "com-1289.log", "mt3339.log", "nd-1005.log", "nmea-rtk.log", "gr8013-w.log", "ch-4701.log",
    "nmea-fuzzy-cases.log", "u-blox-m8t-time.log", "ublox-zed-f9r.log", "ublox-neo-m8u-hnr.log", "skytraq-PX1172RH_DS.log",
    "ublox-zoe-m8b-logbatch.log", "magellan315.log", "garmin-10x.log", "ublox-lea-4h.log", "quectelLC79D-1.log",
)  # fmt: skip
PIECE = 900


def _bytes(name: str) -> bytes:
    plain = RECORDINGS / name
    return plain.read_bytes() if plain.exists() else gzip.decompress((RECORDINGS / f"{name}.gz").read_bytes())


@functools.cache
def rows() -> list[Row]:
    """Five minutes of a real drive with its bus values."""
    trace = read("drive", _bytes("nds-drive33.csv"))
    return [row_of(one.fix, reading_of(one.values)) for one in trace.drives[0].moments[:300]]


@functools.cache
def lives() -> list[bytes]:
    """Live messages, with and without what may be left out."""
    trace = read("drive", _bytes("nds-drive33.csv"))
    fixes = [one.fix for one in trace.drives[0].moments[0:400:25]]
    plain = [
        encode_live(Live(fix.at_ms, fix.lat_deg, fix.lon_deg, fix.speed_mps or 0.0, fix.course_deg or 0.0))
        for fix in fixes
    ]
    full = Live(T0, 41.28, -96.08, 13.4, 359.96, 0.4, -2.1, 333.7, 2.5, 10.0, 1726.0, True, 17, "anna", 300)
    return [*plain, encode_live(full)]


SOS = Event(0, T0, "sos", 41.5, -96.5, {"why": "button", "odo_m": 12_345.6, "codes": ["P0301"], "ok": True})
UNDATED = Event(0, None, "ignition-on", None, None, {}, "AbCdEf01", 4711)
NEW = Event(0, T0, "store-new", None, None, {"prev": STORE, "prev_seq": 40})
DATES = Event(0, T0, "time-known", None, None, {"boot": "AbCdEf01", "offset_ms": T0})


def _numbered(event: Event, seq: int) -> Event:
    return Event(seq, event.at_ms, event.kind, event.lat_deg, event.lon_deg, event.detail, event.boot, event.mono_ms)


@functools.cache
def shown() -> list[bytes]:
    """States of vehicles as they stand in Redis."""
    views = Views()
    views.know(a_registry())
    views.live("van-1", decode_live(lives()[-1]), T0)
    return [state.text.encode() for states in views.take_dirty().values() for state in states]


@functools.cache
def events() -> list[bytes]:
    """Fast copies of events."""
    return [encode_event(STORE, _numbered(one, 5 + i)) for i, one in enumerate((SOS, UNDATED, NEW, DATES))]


@functools.cache
def acks() -> list[bytes]:
    """What the hub says."""
    told = (
        Ack(STORE, 7, h_at(7), live_ms=T0), Ack(STORE, events=(3, 9), live_ms=T0), Ack(STORE, bad="checksum"),
        Ack(STORE, retry_after_s=30.5), Ack(STORE, 0, h_at(0)),
    )  # fmt: skip
    return [encode_ack(one) for one in told]


@functools.cache
def statuses() -> list[bytes]:
    """Status, last will."""
    on = Status(True, "c1", "0.1.0", STORE, 10, 10, 2.0)
    day = T0 // 86_400_000
    owing = Status(True, "c1", "0.1.0", STORE, 60, 60, 2.0, days=((day - 1, 20), (day, 60)))
    return [
        encode_status(on),
        encode_status(owing),
        encode_status(Status(False, "c1")),
        encode_status(Status(False, "c1", reason="stopped")),
    ]


@functools.cache
def commands() -> list[bytes]:
    """What the hub asks."""
    return [encode_command(Command("w1", "watch", 5.0, T0 + 60_000)), encode_command(Command("x", "dance"))]


@functools.cache
def outcomes() -> list[bytes]:
    """What became of it."""
    return [
        encode_outcome(CommandOutcome("w1", ok=True)),
        encode_outcome(CommandOutcome("w1", ok=False, why="expired")),
    ]


def batches() -> list[Batch]:
    """Batches of every kind: rows of a real drive, events, receipts, gaps, roll-backs."""
    real = rows()
    drive = [
        Batch(STORE, 1, n, 1, h_at(0), h_at(n), tuple(enumerate(real[at : at + n], 1)), waiting=n)
        for at, n in ((0, 1), (10, 2), (20, 5), (60, 12), (100, 60))
    ]
    thin = a_batch(
        4, 0, low=4, lost=[Lost(4, 9, "thinned", {"fixes": 6}), Lost(10, 10, "dropped")], events=[_numbered(SOS, 11)]
    )
    mixed = a_batch(
        1, 3, events=[_numbered(UNDATED, 4), _numbered(NEW, 5), _numbered(DATES, 6)], lost=[Lost(7, 8, "missing")]
    )
    return [*drive, thin, mixed, a_batch(1, 3), a_batch(11, 2, low=11)]


def opened(payload: bytes) -> bytes:
    """A batch with its body unpacked, so that a mishap there is no mere checksum."""
    head, _, raw = payload.partition(b"\n")
    return head + b"\n" + zlib.decompress(raw, -15)


def sealed(plain: bytes, chance: random.Random) -> bytes:
    """The inverse: pack the body, and mostly put the right checksum into the header."""
    head, newline, body = plain.partition(b"\n")
    if chance.random() < 0.1:
        return plain
    squeezer = zlib.compressobj(1, zlib.DEFLATED, -15)
    raw = squeezer.compress(body) + squeezer.flush()
    if chance.random() < 0.1:
        at = int(chance.random() * len(raw))
        raw = chance.choice((raw[:at], raw[:at] + b"\xff" + raw[at + 1 :], raw + b"x", b"", zlib.compress(body, 1)))
    try:
        header = json.loads(head)
    except (ValueError, RecursionError):
        header = None
    if isinstance(header, dict) and "c" in header and chance.random() < 0.97:
        fresh = f'"{zlib.crc32(raw):08x}"'.encode()
        at = head.find(b'"c"')
        colon = head.find(b":", at)
        end = head.find(b'"', head.find(b'"', colon) + 1) + 1
        if 0 <= at < colon < end:
            head = head[: colon + 1] + fresh + head[end:]
    return head + newline + raw


@functools.cache
def tracks() -> list[bytes]:
    """Batches with their bodies open."""
    return [opened(encode_batch(one)) for one in batches()]


@functools.cache
def receivers() -> list[bytes]:
    """Pieces of what real receivers of many makers have sent."""
    drive = _bytes("drive-ublox-f9k-mtv-part1.nmea")
    pieces = [drive[at : at + PIECE] for at in (0, 9000, 50_000)]
    for name in LOGS:
        log = b"".join(line for line in _bytes(f"gpsd/{name}").splitlines(keepends=True) if not line.startswith(b"#"))
        pieces += [log[at : at + PIECE] for at in (0, 4 * PIECE, 9 * PIECE) if len(log) > at]
    return pieces


def summed(data: bytes, chance: random.Random) -> bytes:
    """Mostly with right checksums again: sentences, and frames of UBX."""
    if chance.random() < 0.15:
        return data
    lines = data.split(b"\r\n")
    for i, line in enumerate(lines):
        dollar, star = line.find(b"$"), line.rfind(b"*")
        if -1 < dollar < star:
            total = 0
            for byte in line[dollar + 1 : star]:
                total ^= byte
            lines[i] = line[: star + 1] + b"%02X" % total
    out = bytearray(b"\r\n".join(lines))
    at = out.find(b"\xb5b")
    while at >= 0:
        end = at + 6 + int.from_bytes(out[at + 4 : at + 6], "little")
        if end + 2 <= len(out):
            a = b = 0
            for byte in out[at + 2 : end]:
                a = (a + byte) & 255
                b = (b + a) & 255
            out[end : end + 2] = bytes((a, b))
        at = out.find(b"\xb5b", at + 2)
    return bytes(out)


@functools.cache
def gpsd() -> list[bytes]:
    """Lines of a real gpsd."""
    lines = _bytes("gpsd-3.22.jsonl").splitlines(keepends=True)
    wanted = [line for line in lines if len(line) < 4000]
    return [b"".join(wanted[at : at + 3]) for at in range(0, 120, 3)]


@functools.cache
def dialogues() -> list[bytes]:
    """What adapters of each grade say in a whole dialogue, prompt by prompt."""
    found = []
    for grade in GRADES:
        world, said = World(Responder(grade=grade)), bytearray()

        def spy(data: bytes, _now: int, said: bytearray = said) -> bytes:
            said += data
            return data

        world.spoil = spy
        world.run(40_000)
        answers = bytes(said).split(b">")
        found += [b">".join(answers[:60]) + b">", b">".join(answers[:25]) + b">"]
    return found


@functools.cache
def answers() -> list[bytes]:
    """Single answers of adapters."""
    return sorted({one for said in dialogues() for one in said.split(b">") if 2 < len(one) < 300})[:150]


@functools.cache
def stored() -> list[bytes]:
    """Bodies of records, as the outbox keeps them."""
    kept = [json.dumps(list(row), separators=(",", ":")).encode() for row in itertools.islice(rows(), 0, 40, 8)]
    event = [T0, "sos", 41.5, -96.5, {"why": "button"}]
    return [*kept, json.dumps(event).encode(), json.dumps([["AbCdEf01", 5], "tow", None, None, {}]).encode()]


FRAMES = tuple(
    json.dumps(one).encode()
    for one in (
        {"op": "auth", "token": "secret"}, {"op": "ping"}, {"op": "unsub", "id": 1},
        {"op": "sub", "id": 1, "topic": "vehicles", "where": {"bbox": [-97, 41, -96, 42]}, "tags": ["cooled"]},
        {"op": "sub", "id": 2, "topic": "vehicles", "where": {"near": [41.2, -96.1, 5000]}},
        {"op": "window", "id": 1, "where": {"ids": ["van-1", "van-2"]}},
        {"op": "sub", "id": 3, "topic": "events", "after": "1:5", "kinds": ["sos", "tow"]},
    )
)  # fmt: skip
NOTES = tuple(
    json.dumps(one).encode()
    for one in (
        {"m": 1234.5, "bus_m": 1200, "true_m": 1230, "lat": 41.2, "lon": -96.1}, {"store": STORE, "newest": 9, "start": None, "at": 0,
         "salvaged": 0, "missing": 0, "done": False},
        {"lanes": {"live": [1, 2, 3, 4]}, "days": [[1, 2, 3, 4]], "sent": [1, 2], "month_ms": T0, "since_ms": T0, "at_ms": T0},
    )
)  # fmt: skip
TOMLS = (
    b'[device]\nid = "gw-a"\nsecret_file = "/etc/secret"\n\n[hub]\nurl = "mqtts://hub.example:8883"\nspread_s = 1\n\n[gnss]\npath = "/dev/ttyS0"\n\n'
    b'[sampling]\nprofile = "city"\nupload_s = 0.5\ncommit_s = 0.3\n\n[obd]\npath = "/dev/ttyUSB0"\n\n[outbox]\npath = "/var/lib/x/outbox.db"\n',
    b'[http]\nhost = "127.0.0.1"\nport = 0\n\n[mqtt]\nurl = "mqtt://127.0.0.1:1883"\n\n[redis]\nurl = "redis://127.0.0.1/0"\n\n'
    b'[store]\nurl = "postgresql://u@h:5432/d"\n\n[page]\ntile_url = "https://{s}.t.example/{z}/{x}/{y}.png"\n',
)
TRACES = (
    b"lat,lon,time,speed\n41.1,-96.1,2026-01-01T00:00:00Z,10\n41.2,-96.1,2026-01-01T00:00:01Z,11\n",
    b'<?xml version="1.0"?><gpx><trk><name>a</name><trkseg><trkpt lat="41.1" lon="-96.1"><ele>3</ele><time>2026-01-01T00:00:00Z</time>'
    b'</trkpt><trkpt lat="41.2" lon="-96.1"><time>2026-01-01T00:00:01Z</time></trkpt></trkseg></trk></gpx>',
    b'{"type":"FeatureCollection","features":[{"type":"Feature","geometry":{"type":"LineString","coordinates":[[1,2],[1,3]]},'
    b'"properties":{"times":[1760000000000,1760000001000]}}]}',
    b'[{"lat":41.1,"lon":-96.1,"tst":1760000000,"_type":"location"},{"lat":41.2,"lon":-96.1,"tst":1760000001,"_type":"location"}]',
    gzip.compress(b"lat,lon,time\n41.1,-96.1,1760000000\n41.2,-96.1,1760000001\n", mtime=0),
)
QUERIES = (
    b"2026-01-31T08:00:00Z",
    b"1760000000000",
    b"2026-01-31",
    b"mqtts://hub.example:8883",
    b"redis://127.0.0.1:6379/0",
    b"1:5",
)
TOPICS = (b"odo/1/gw-a/up/track", b"odo/1/gw-a/down/ack", b"odo/1/gw-a/up/live", b"owntracks/anna/phone/event")


def page(seqs: int = 3) -> bytes:
    """A leaf page of the outbox's table, as SQLite writes it."""
    cells, at = [], PAGE
    out = bytearray(PAGE)
    for seq in range(1, seqs + 1):
        body, h = b"[%d,1,2]" % T0, chain(h_at(0), seq, b"x")
        header = bytes((8, 0, 15, 6, 12 + 2 * len(body), 13 + 2 * len(h), 8, 8))
        record = header + b"f" + T0.to_bytes(8) + body + h.encode()
        cell = bytes((len(record), seq)) + record
        at -= len(cell)
        out[at : at + len(cell)] = cell
        cells.append(at)
    out[:8] = bytes((13, 0, 0)) + seqs.to_bytes(2) + at.to_bytes(2) + b"\0"
    for i, place in enumerate(cells):
        out[8 + 2 * i : 10 + 2 * i] = place.to_bytes(2)
    return bytes(out)
