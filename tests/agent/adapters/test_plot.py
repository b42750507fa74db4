"""The picture: its size, and that track, messages, kept points and the bound are in it where they belong."""

import sys
from pathlib import Path

import pytest
from PIL import Image

from agent.adapters import plot
from agent.adapters.plot import Drive
from wire.errors import UnavailableError

START_MS = 1_760_000_000_000
Box = tuple[int, int, int, int]


def colours(picture: Image.Image, box: Box) -> set[object]:
    part = picture.crop(box)
    return {colour for _, colour in part.getcolors(part.width * part.height) or []}


def drive(count: int = 100, *, lon: float = 10.0) -> Drive:
    fixes = tuple((START_MS + i * 1000, 50.0 + i * 1e-4, lon + (i % 30) * 1e-4) for i in range(count))
    return Drive(
        fixes,
        sent=tuple((lat, lon) for _, lat, lon in fixes[::10]),
        kept=tuple((lat, lon) for _, lat, lon in fixes[::25]),
        errors=tuple((at_ms, float(i % 10)) for i, (at_ms, _, _) in enumerate(fixes) if not 40 < i < 60),
    )


def test_everything_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    plot.ready()
    plot.draw(path, [drive(), drive(lon=10.01)], eps_m=10.0, title="two drives")
    with Image.open(path) as picture:
        picture.load()
    assert (picture.format, picture.size) == ("PNG", (plot.WIDTH, plot.HEIGHT))
    left, top, right, low = plot.MAP
    above = colours(picture, (left + 300, top + 2, right - 300, low - 40))
    assert {plot.TRACK, plot.SENT, plot.KEPT} <= above, "in the map, away from the legend"
    assert plot.LIMIT not in above
    below = colours(picture, plot.ERROR)
    assert {plot.TRACK, plot.LIMIT} <= below
    y = round(plot.ERROR[3] - 10.0 * (plot.ERROR[3] - plot.ERROR[1]) / 20.0)
    assert picture.getpixel((plot.ERROR[0] + 700, y)) == plot.LIMIT, "the line of the bound is at 10 of 20 m"


def test_a_vehicle_that_stands_and_one_fix_alone(tmp_path: Path) -> None:
    still = Drive(((START_MS, 50.0, 10.0),), ((50.0, 10.0),), ((50.0, 10.0),), ((START_MS, 0.0),))
    plot.draw(tmp_path / "x.png", [still], eps_m=10.0, title="still")
    silent = Drive(((START_MS, 89.99, 179.99), (START_MS + 90 * 86_400_000, 89.99, -179.99)), (), (), ())
    plot.draw(tmp_path / "y.png", [silent], eps_m=10.0, title="at the date line, for months")


def test_nice_numbers() -> None:
    assert [plot.nice(value) for value in (0.7, 1.0, 1.1, 3.0, 5.0, 7.0, 260.0)] == [
        1.0,
        1.0,
        2.0,
        5.0,
        5.0,
        10.0,
        500.0,
    ]


def test_without_pillow_and_without_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnavailableError, match="can't be written"):
        plot.draw(tmp_path / "no" / "x.png", [drive()], eps_m=10.0, title="x")
    monkeypatch.setitem(sys.modules, "PIL.ImageDraw", None)
    with pytest.raises(UnavailableError, match="pip install pillow"):
        plot.ready()
