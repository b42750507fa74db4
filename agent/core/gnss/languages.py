"""A receiver that speaks NMEA and UBX at once tells each epoch twice: which of the two is read for now.

Rules
1. UBX leads while it gives, by itself, epochs with date and fix; two seconds without one (of the receiver's own time), or
   300 frames, and NMEA leads again.
2. While NMEA leads, of UBX only what is no position and no time is read (satellites, antenna), and it ends no epoch.
3. Where only one of them is heard, that one is read, whatever it tells.
4. What is not read is told once an epoch.
5. A recording is read as gpsd does: NMEA goes into the epochs that UBX tells. Only rule 2 holds there.
"""

from agent.core.gnss.cycles import UbxCycle
from agent.core.gnss.epochs import Epoch
from agent.core.gnss.framing import Ubx
from agent.core.gnss.merging import Merger
from agent.core.gnss.nmea import DAY_MS, TIMED, tod_of
from agent.core.gnss.sky import Antenna, Sky
from wire.messages import Mode, Rejected

SILENT_AFTER = 300
"""So many frames of the other language: a burst of a talkative receiver and some more."""
SILENT_MS = 2_000
WEEK_MS = 7 * DAY_MS

FIXING = {
    0x0101, 0x0102, 0x0103, 0x0106, 0x0107, 0x0111, 0x0112, 0x0113, 0x0114, 0x0117, 0x0120, 0x0121,
}  # fmt: skip
"""Frames that say where or when."""
LEAP_SECONDS = 0x0126
POSITIONS = {b"RMC", b"GGA", b"GLL", b"GNS"}


class Recent:
    """Whether something has happened of late, by the frames and the clock of the other language."""

    def __init__(self, period_ms: int) -> None:
        self._period_ms = period_ms
        self._frames = SILENT_AFTER
        self._from_ms: int | None = None

    @property
    def now(self) -> bool:
        """Whether it was of late."""
        return self._frames < SILENT_AFTER

    def happens(self) -> None:
        self._frames, self._from_ms = 0, None

    def passes(self, at_ms: int | None) -> bool:
        """The other language has said something, at this time of its own if it told one; whether it is still of late."""
        self._frames += 1
        if at_ms is not None:
            from_ms = self._from_ms = at_ms if self._from_ms is None else self._from_ms
            gone_ms = (at_ms - from_ms) % self._period_ms
            if min(gone_ms, self._period_ms - gone_ms) > SILENT_MS:
                self._frames = SILENT_AFTER
        return self.now


class Languages:
    """Hears every frame and says whether it is to be read, or how it is refused."""

    def __init__(self, *, mixes: bool) -> None:
        self._mixes = mixes
        self._merger = Merger(_nobody, at_once=True)
        self._cycle = UbxCycle(self._merger)
        self._ubx = Recent(DAY_MS)
        self._nmea = Recent(WEEK_MS)
        self._skipped_ms: int | None = None

    @property
    def nmea_leads(self) -> bool:
        """Whether NMEA tells the epochs, so that UBX has no say in where they end."""
        return self._nmea.now and not self._ubx.now

    @property
    def neither(self) -> bool:
        """Whether there are no epochs of late in any language."""
        return not self._nmea.now and not self._ubx.now

    def ubx(self, frame: Ubx) -> bool | Rejected:
        """One UBX frame."""
        fixing = frame.kind in FIXING
        if not fixing and frame.kind != LEAP_SECONDS:
            self._nmea.passes(None)
            return True
        before = self._merger.fix
        self._cycle.take(frame)
        fix = self._merger.fix
        self._nmea.passes(self._cycle.tow_ms)
        if fix.time_ns and fix.mode >= Mode.FIX_2D and fix.lat_deg is not None:
            self._ubx.happens()
        if not fixing or not self.nmea_leads:
            return True
        return Rejected("other-language", "UBX") if fix is not before else False

    def nmea(self, sentence: bytes) -> bool | Rejected:
        """One sentence."""
        kind, _, rest = sentence[2:].partition(b",")
        if kind in POSITIONS:
            self._nmea.happens()
        if not self._ubx.now:
            return True
        at_ms = _time_ms(kind, rest)
        leads = self._ubx.passes(at_ms)
        if self._mixes or not leads or kind == b"TXT":
            return True
        if at_ms is None or at_ms == self._skipped_ms:
            return False
        self._skipped_ms = at_ms
        return Rejected("other-language", "NMEA")


def _time_ms(kind: bytes, rest: bytes) -> int | None:
    """The time of day of a position, if it tells one."""
    fields = rest.split(b",")
    at = TIMED.get(kind, 0) - 1
    if not 0 <= at < len(fields):
        return None
    try:
        tod_ns = tod_of(fields[at])
    except ValueError:
        return None
    return None if tod_ns is None else tod_ns // 1_000_000


def _nobody(_: Epoch | Sky | Antenna) -> None:
    """What one language alone would tell is told by nobody."""
