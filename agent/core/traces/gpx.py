"""GPX 1.0 and 1.1: track points with what any dialect says beside them. Each segment is a track of its own."""

from collections import Counter
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from agent.core.traces.drives import Drive, Moment, Trace, drives_of
from agent.core.traces.tables import Layout
from wire.errors import DecodeError

FIELDS = (
    "lat",
    "lon",
    "time",
    "ele",
    "speed",
    "course",
    "hdop",
    "pdop",
    "sat",
    "fix",
    "accuracy",
    "bearing",
    "heading",
)


def read_gpx(data: bytes | str, where: str) -> Trace:
    """Raises DecodeError."""
    try:
        root = ET.fromstring(data)  # noqa: S314  # a recording that the user names; expat of Python 3.11 bounds entities
    except (ET.ParseError, ValueError) as error:
        raise DecodeError("not-xml", where, str(error)) from None
    if _tag(root) != "gpx":
        raise DecodeError("format", where, f"XML of <{_tag(root)[:24]}>; of XML only GPX is read")
    broken: Counter[str] = Counter()
    segments = [(name, [_row(point) for point in segment]) for name, segment in _segments(root)]
    believed = _tells_fixes(segments)
    drives: list[Drive] = []
    for name, rows in segments:
        drives += _drives(name, rows, believed=believed, broken=broken)
    if not drives and not broken:
        count = sum(_tag(each) in {"wpt", "rtept"} for each in root.iter())
        raise DecodeError("empty", where, f"GPX without track points, with {count} way points")
    return Trace("gpx", tuple(drives), broken)


def _tag(element: ET.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _segments(root: ET.Element) -> Iterator[tuple[str, list[ET.Element]]]:
    for track in root.iter():
        if _tag(track) == "trk":
            name = next(((child.text or "").strip() for child in track if _tag(child) == "name"), "")
            for segment in track:
                if _tag(segment) == "trkseg":
                    yield name, [point for point in segment if _tag(point) == "trkpt"]


def _row(point: ET.Element) -> dict[str, str | None]:
    """What a point says, extensions included; the outer word counts before the inner one."""
    told: dict[str, str | None] = {key: point.get(key) for key in ("lat", "lon")}
    for element in point.iter():
        name = _tag(element)
        if name in FIELDS and element is not point and element.text:
            told.setdefault(name, element.text.strip())
    return told


def _tells_fixes(segments: list[tuple[str, list[dict[str, str | None]]]]) -> bool:
    """A file that calls every point `none` says nothing about them."""
    return any(row.get("fix", "none") != "none" for _, rows in segments for row in rows)


def _drives(name: str, rows: list[dict[str, str | None]], *, believed: bool, broken: Counter[str]) -> Iterator[Drive]:
    layout = Layout(FIELDS)
    moments: list[Moment] = []
    for row in rows:
        cells = [row.get(key) if key != "fix" or believed else None for key in FIELDS]
        moment = layout.moment(cells)
        if isinstance(moment, str):
            broken[moment] += 1
        else:
            moments.append(moment)
    yield from drives_of(name, moments)
