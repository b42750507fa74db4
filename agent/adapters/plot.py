"""A replay as a picture: the track on a map grid, what was sent and kept of it, and the live error over time. By Pillow."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wire.errors import UnavailableError
from wire.geo import METRES_PER_DEGREE

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

WIDTH, HEIGHT = 1400, 1050
MAP = (90, 60, WIDTH - 40, 660)
ERROR = (90, 750, WIDTH - 40, HEIGHT - 60)
PAPER, INK, GRID = (255, 255, 255), (40, 40, 40), (225, 225, 225)
TRACK, SENT, KEPT, LIMIT = (70, 110, 170), (225, 95, 20), (20, 140, 60), (200, 20, 40)
LEGEND = (
    (TRACK, "track: every accepted fix"),
    (SENT, "sent: live messages"),
    (KEPT, "kept: the thinned track"),
    (LIMIT, "bound of the live error"),
)
SMALLEST_M = 50.0
"""A vehicle that stands is not drawn larger than so many metres a side."""
SILENT_MS = 10_000
Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Drive:
    """Fixes with their time, places of live messages, places of the thinned track, and the error at each second."""

    fixes: tuple[tuple[int, float, float], ...]
    sent: tuple[Place, ...]
    kept: tuple[Place, ...]
    errors: tuple[tuple[int, float], ...]


def ready() -> None:
    """Raises UnavailableError where Pillow is not installed."""
    try:
        import PIL.ImageDraw
        import PIL.ImageFont  # noqa: F401  # only whether it is there
    except ImportError as error:
        raise UnavailableError(f"--plot needs Pillow: pip install pillow ({error})") from error


def draw(path: Path, drives: Sequence[Drive], *, eps_m: float, title: str) -> None:
    """Write the picture as PNG. Raises UnavailableError if the file can't be written."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    pen = ImageDraw.Draw(picture)
    _text(pen, (MAP[0], 20), title, size=20)
    _map(pen, drives)
    _errors(pen, drives, eps_m)
    try:
        picture.save(path, format="PNG")
    except OSError as error:
        raise UnavailableError(f"{path}: can't be written: {error.strerror or error}") from error


def _text(pen: "ImageDraw", at: tuple[float, float], text: str, *, size: int = 14, anchor: str = "la") -> None:
    from PIL import ImageFont

    pen.text(at, text, fill=INK, font=ImageFont.load_default(size), anchor=anchor)


class Grid:
    """Degrees to pixels: both axes in the same scale, north up, in the middle of the map."""

    def __init__(self, drives: Sequence[Drive]) -> None:
        first = drives[0].fixes[0][2]
        self._zero_lon = first
        places = [(lat, self._turn(lon)) for drive in drives for _, lat, lon in drive.fixes]
        south, north = min(lat for lat, _ in places), max(lat for lat, _ in places)
        west, east = min(lon for _, lon in places), max(lon for _, lon in places)
        self._lat, self._lon = (south + north) / 2, (west + east) / 2
        self.lon_m = METRES_PER_DEGREE * max(0.01, math.cos(math.radians(self._lat)))
        high_m = max(SMALLEST_M, (north - south) * METRES_PER_DEGREE)
        wide_m = max(SMALLEST_M, (east - west) * self.lon_m)
        self.per_m = 0.92 * min((MAP[2] - MAP[0]) / wide_m, (MAP[3] - MAP[1]) / high_m)
        self._middle = ((MAP[0] + MAP[2]) / 2, (MAP[1] + MAP[3]) / 2)

    def _turn(self, lon: float) -> float:
        """Longitude from the first one on, the short way round."""
        return (lon - self._zero_lon + 180.0) % 360.0 - 180.0

    def at(self, lat: float, lon: float) -> Place:
        """Where a place is drawn."""
        x = self._middle[0] + (self._turn(lon) - self._lon) * self.lon_m * self.per_m
        return x, self._middle[1] - (lat - self._lat) * METRES_PER_DEGREE * self.per_m

    def lons(self) -> Iterator[tuple[float, float]]:
        """Pixels and degrees of the upright lines."""
        half, middle = (MAP[2] - MAP[0]) / 2 / self.per_m / self.lon_m, self._lon + self._zero_lon
        for value in _ticks(middle - half, middle + half, 8):
            yield self._middle[0] + (value - middle) * self.lon_m * self.per_m, value

    def lats(self) -> Iterator[tuple[float, float]]:
        """Pixels and degrees of the level lines."""
        half = (MAP[3] - MAP[1]) / 2 / self.per_m / METRES_PER_DEGREE
        for value in _ticks(self._lat - half, self._lat + half, 6):
            yield self._middle[1] - (value - self._lat) * METRES_PER_DEGREE * self.per_m, value


def nice(least: float) -> float:
    """The next higher of 1, 2, 5 and their tens."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= least * 0.999)


def _ticks(low: float, high: float, count: int) -> Iterator[float]:
    step = nice((high - low) / count)
    value = math.ceil(low / step) * step
    while value <= high:
        yield value
        value += step


def _map(pen: "ImageDraw", drives: Sequence[Drive]) -> None:
    grid = Grid(drives)
    for x, lon in grid.lons():
        pen.line([(x, MAP[1]), (x, MAP[3])], fill=GRID)
        _text(pen, (x, MAP[3] + 6), f"{(lon + 180.0) % 360.0 - 180.0:.4f}°", size=12, anchor="ma")
    for y, lat in grid.lats():
        pen.line([(MAP[0], y), (MAP[2], y)], fill=GRID)
        _text(pen, (MAP[0] - 6, y), f"{lat:.4f}°", size=12, anchor="rm")
    pen.rectangle(MAP, outline=INK)
    _text(pen, ((MAP[0] + MAP[2]) / 2, MAP[3] + 24), "longitude", size=13, anchor="ma")
    _text(pen, (MAP[0] + 4, MAP[1] - 18), "latitude", size=13)
    for drive in drives:
        line = [grid.at(lat, lon) for _, lat, lon in drive.fixes]
        pen.line(line if len(line) > 1 else line * 2, fill=TRACK, width=2)
    for drive in drives:
        for place in drive.sent:
            _dot(pen, grid.at(*place), 2.5, SENT)
        for place in drive.kept:
            x, y = grid.at(*place)
            pen.rectangle((x - 4, y - 4, x + 4, y + 4), outline=KEPT)
    _scale(pen, grid.per_m)
    _legend(pen, [grid.at(lat, lon) for drive in drives for _, lat, lon in drive.fixes])


def _dot(pen: "ImageDraw", at: Place, radius: float, colour: tuple[int, int, int]) -> None:
    pen.ellipse((at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius), fill=colour)


def _scale(pen: "ImageDraw", per_m: float) -> None:
    """A bar of about a sixth of the width."""
    metres = nice((MAP[2] - MAP[0]) / 12 / per_m)
    right, y = MAP[2] - 20, MAP[3] - 20
    left = right - metres * per_m
    pen.line([(left, y), (right, y)], fill=INK, width=3)
    for x in (left, right):
        pen.line([(x, y - 5), (x, y + 5)], fill=INK, width=3)
    told = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
    _text(pen, ((left + right) / 2, y - 8), told, anchor="md")


def _legend(pen: "ImageDraw", taken: Sequence[Place]) -> None:
    """In the corner that has the fewest fixes; the lower right one is that of the scale."""
    high = 20 * len(LEGEND) + 8
    corners = [(MAP[0] + 12, MAP[1] + 12), (MAP[2] - 242, MAP[1] + 12), (MAP[0] + 12, MAP[3] - 12 - high)]
    left, top = min(corners, key=lambda corner: _within(taken, corner, (240, high)))
    pen.rectangle((left - 6, top - 6, left + 230, top + high - 6), fill=PAPER, outline=GRID)
    for i, (colour, text) in enumerate(LEGEND):
        y = top + 20 * i + 8
        pen.line([(left, y), (left + 24, y)], fill=colour, width=4)
        _text(pen, (left + 32, y), text, size=13, anchor="lm")


def _within(places: Sequence[Place], corner: Place, size: Place) -> int:
    return sum(0 <= x - corner[0] + 6 <= size[0] and 0 <= y - corner[1] + 6 <= size[1] for x, y in places)


def _errors(pen: "ImageDraw", drives: Sequence[Drive], eps_m: float) -> None:
    """Drives one behind the other, without the time between them."""
    whole_ms = sum(drive.fixes[-1][0] - drive.fixes[0][0] for drive in drives if drive.fixes[-1][0] > drive.fixes[0][0])
    top_m = nice(1.15 * max([eps_m, *(error for drive in drives for _, error in drive.errors)]))
    across, up = (ERROR[2] - ERROR[0]) / max(1, whole_ms), (ERROR[3] - ERROR[1]) / top_m
    for metres in _ticks(0.0, top_m, 6):
        y = ERROR[3] - metres * up
        pen.line([(ERROR[0], y), (ERROR[2], y)], fill=GRID)
        _text(pen, (ERROR[0] - 6, y), f"{metres:g} m", size=12, anchor="rm")
    for at_ms in _moments(whole_ms):
        x = ERROR[0] + at_ms * across
        pen.line([(x, ERROR[1]), (x, ERROR[3])], fill=GRID)
        _text(pen, (x, ERROR[3] + 6), f"{at_ms // 3_600_000}:{at_ms // 60_000 % 60:02d}", size=12, anchor="ma")
    start_ms = 0
    for drive in drives:
        zero_ms = drive.fixes[0][0] - start_ms
        for part in _unbroken(drive.errors):
            line = [(ERROR[0] + (at_ms - zero_ms) * across, ERROR[3] - error * up) for at_ms, error in part]
            pen.line(line if len(line) > 1 else line * 2, fill=TRACK)
        start_ms += max(0, drive.fixes[-1][0] - drive.fixes[0][0])
    y = ERROR[3] - eps_m * up
    pen.line([(ERROR[0], y), (ERROR[2], y)], fill=LIMIT, width=2)
    _text(pen, (ERROR[2] - 4, y - 3), f"bound {eps_m:g} m", size=13, anchor="rd")
    pen.rectangle(ERROR, outline=INK)
    _text(pen, (ERROR[0] + 4, ERROR[1] - 20), "error of the live position at the hub, in metres", size=13)
    _text(pen, ((ERROR[0] + ERROR[2]) / 2, ERROR[3] + 26), "driving time, in hours and minutes", size=13, anchor="ma")


def _unbroken(errors: Sequence[tuple[int, float]]) -> Iterator[list[tuple[int, float]]]:
    """Parts without a long silence: at stops nothing is drawn."""
    part: list[tuple[int, float]] = []
    for error in errors:
        if part and error[0] - part[-1][0] > SILENT_MS:
            yield part
            part = []
        part.append(error)
    if part:
        yield part


def _moments(whole_ms: int) -> Iterator[int]:
    minutes = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1440)
    step = next((minute for minute in minutes if whole_ms / 60_000 / minute <= 12), 14_400) * 60_000
    yield from range(0, whole_ms + 1, step)
