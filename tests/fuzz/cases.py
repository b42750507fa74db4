"""Payloads that once broke a decoder, by name. Each stays a test."""

import zlib

from wire.codec import dump

HEAD = {"v": 1, "s": "AbCdEf01-_x", "f": 1, "l": 10, "w": 1, "a": "AAAAAAAAAAA", "b": "AAAAAAAAAAE"}


def batch(body: bytes, **head: object) -> bytes:
    """A batch with a right checksum."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = squeezer.compress(body) + squeezer.flush()
    return dump(HEAD | head | {"c": f"{zlib.crc32(raw):08x}"}) + b"\n" + raw


EVENT = '{"v":1,"s":"AbCdEf01-_x","n":8,"t":1760000000000,"k":"sos"'
CASES: dict[str, tuple[str, bytes]] = {
    "half a pair of a sign, as bytes": ("ack", b'{"v":1,"store":"AbCdEf01-_x","bad":"\xed\xa0\x80"}'),
    "the same in an event's detail": ("event", EVENT.encode() + b',"d":{"x":"\xed\xa0\x80"}}'),
    "a status in UTF-16": ("status", '{"v":1,"on":false,"conn":"c1"}'.encode("utf-16-le")),
    "UTF-16 with half a pair": ("event", (EVENT + ',"d":{"x":"@@"}}').encode("utf-16-le").replace(b"@\0@\0", b"\x00\xd8x\0")),
    "endless without saying so": ("event", EVENT.encode() + b',"d":{"x":[1e999]}}'),
    "the same in a batch": ("track", batch(b'{"e":[[0,1,"sos",null,null,{"x":-1e999}]]}', l=1)),
    "receipts over each other that add up": ("track", batch(b'{"x":[[4,8,"thinned",{}],[4,8,"thinned",{}]]}')),
    "a turn too small to be told": (
        "live", b'{"v":1,"t":1,"lat":1,"lon":1,"spd":1,"crs":1,"w":-0.000001,"a":0.0001,"eps":10}',
    ),
    "a mode that is a list": (
        "gpsd", b'{"class":"TPV","mode":[],"time":"2029-03-17T19:49:23.000Z","lat":52.7,"lon":5.3}\n',
    ),
    "a geometry whose type is an object": ("trace", b'{"type":"Feature","geometry":{"type":{"a":1},"coordinates":[]}}'),
    "a refusal that can't be printed": ("trace", b'{"type":"\\ud800x"}'),
    "a row of an older agent": ("record", b"[1760000000000,412000000,-961000000]"),
    "a row of a newer agent": ("record", b"[1760000000000" + b",1" * 30 + b"]"),
    "a place that is a list": ("record", b'[1760000000000,"sos",[[]],-96.5,{}]'),
    "a place that is no number": ("record", b'[1760000000000,"sos",NaN,-96.5,{}]'),
    "a moment of three": ("record", b'[["AbCdEf01","AbCdEf01",5],"tow",null,null,{}]'),
    "a kind of half pairs": ("record", b'[1760000000000,"\\udfff\\ud800",41.5,-96.5,{}]'),
    "a row without a place": ("record", b"[null,null,null]"),
    "lists in lists without end": ("toml", b"x = " + b"[" * 5000),
    "a number without end": ("toml", b"x = " + b"9" * 5000),
}  # fmt: skip
