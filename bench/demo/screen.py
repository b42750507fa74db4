"""What the demo shows in the terminal: a table that is drawn again each second, or plain lines where there is no terminal."""

import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from bench.demo.measure import Watched
from wire.predict import bound_m

HEAD = f"{'vehicle':<12}{'speed':>9}{'rpm':>7}{'age':>7}{'error':>8}   {'lane':<34}{'live msgs':>9}"


def row(name: str, watched: Watched, now_ms: int, *, cut: bool = False) -> str:
    """One vehicle, as a dispatcher would want it."""
    state, live = watched.state, watched.lives[-1][1] if watched.lives else None
    if live is None:
        return f"{name:<12}{'-':>9}{'-':>7}{'-':>7}{'-':>8}   waiting for the first fix"
    online = bool(state.get("on"))
    age_s = max(0, now_ms - live.at_ms) / 1000
    rpm = "-" if live.rpm is None else f"{live.rpm:.0f}"
    bound = bound_m(live, now_ms, online=online and not cut)
    lane = lane_of(state, online=online, cut=cut)
    speed = f"{live.speed_mps * 3.6:.0f} km/h"
    return f"{name:<12}{speed:>9}{rpm:>7}{age_s:>5.0f} s{'±':>3}{bound:>3.0f} m   {lane:<34}{len(watched.lives):>9}"


def lane_of(state: Mapping[str, object], *, online: bool, cut: bool = False) -> str:
    """Live, or how far behind. A link that the demo has `cut` is named before the hub can know it."""
    if cut:
        return "link cut, last known state" if online else "link cut, offline"
    if not online:
        return "offline"
    if state.get("catching_up"):
        return f"catching up, {state.get('q')} fixes to go"
    return "live"


class Screen:
    """Draws over its own last picture on a terminal; elsewhere a line every few seconds."""

    def __init__(self, out: TextIO = sys.stderr, *, plain_every_s: int = 5) -> None:
        self._out = out
        self._terminal = out.isatty()
        self._drawn = 0
        self._every_s = plain_every_s
        self._ticks = 0

    def say(self, line: str) -> None:
        """A line that stays."""
        self._clear()
        print(line, file=self._out, flush=True)

    def draw(self, title: str, rows: Sequence[str]) -> None:
        """The picture of this second."""
        self._ticks += 1
        if not self._terminal:
            if self._ticks % self._every_s == 1:
                print("\n".join(["", title, HEAD, *rows]), file=self._out, flush=True)
            return
        self._clear()
        lines = [title, HEAD, *rows]
        print("\n".join(lines), file=self._out, flush=True)
        self._drawn = len(lines)

    def _clear(self) -> None:
        if self._drawn:
            print(f"\x1b[{self._drawn}A\x1b[J", end="", file=self._out)
            self._drawn = 0
