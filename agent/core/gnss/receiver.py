"""A receiver's raw stream to epochs and fixes: NMEA and UBX mixed, other binary told as noise, at any cut.

`Reader` tells every epoch as gpsd would report it, when the next one begins: for recordings.
`Parser` gives fixes as soon as the burst is over: for a vehicle. Its rules
1. An epoch is given out when the message comes that ended the last bursts (learned: the same one twice in a row), when
   the line pauses and the epoch has all that the last two had (`pause`), when the line falls silent (`flush`), or when a
   message of another moment comes. A gap within a burst costs nothing: what has the same time goes into the open epoch.
2. A message that comes too late for its epoch means that the end was learned wrong: it is learned anew. If silence had
   ended the epoch, bursts have such gaps: from then on only an epoch that is whole is given out at a silence.
3. Untimed sentences behind the end wait for the next epoch.
4. Of NMEA and UBX of one receiver only the one that gives whole epochs is read (see languages).
5. What a receiver repeats, steps back in time, the place 0, 0 and epochs without fix or date are refused with a reason.
"""

from agent.core.gnss.cycles import NmeaCycle, UbxCycle
from agent.core.gnss.epochs import Epoch, Gate, fix_of
from agent.core.gnss.framing import Frame, Framer, Ubx
from agent.core.gnss.languages import POSITIONS, Languages
from agent.core.gnss.merging import Merger
from agent.core.gnss.sky import Antenna, Sky
from wire.messages import Fix, Rejected

HNR_PVT = 0x2800
EARLY = {b"GSA", b"VTG", b"GST", b"GBS", b"PGRMV"}
EARLY_LIMIT = 64
OWED_EPOCHS = 10
"""For so many epochs a kind of message that once came too late is waited for."""

Told = Epoch | Rejected | Sky | Antenna
Item = Fix | Rejected | Sky | Antenna
Kind = bytes | int
Mark = tuple[Kind, int]


class Reader:
    """Feed it bytes as they come and call `end` at the end. `heard` counts valid sentences and frames."""

    def __init__(self, *, at_once: bool = False) -> None:
        self.framer = Framer()
        self.merger = Merger(self.tell, at_once=at_once)
        self.nmea = NmeaCycle(self.merger)
        self.ubx = UbxCycle(self.merger)
        self.languages = Languages(mixes=not at_once)
        self._out: list[Told] = []
        self._untimed: set[bytes] = set()

    @property
    def heard(self) -> int:
        """Valid sentences and frames so far."""
        return self.framer.heard

    def feed(self, chunk: bytes) -> list[Told]:
        self._read(self.framer.feed(chunk))
        return self.given()

    def _read(self, frames: list[Frame]) -> None:
        for frame in frames:
            if self.hears(frame):
                self.take(frame)

    def hears(self, frame: Frame) -> bool:
        """Whether a frame is to be read: of two languages that tell the same only one is."""
        if isinstance(frame, Rejected):
            return True
        heard = self.languages.ubx(frame) if isinstance(frame, Ubx) else self.languages.nmea(frame)
        if isinstance(heard, Rejected):
            self.tell(heard)
            return False
        return heard

    def end(self) -> list[Told]:
        """Nothing more comes."""
        self._read(self.framer.give_up(ended=True))
        self.merger.close()
        return self.given()

    def given(self) -> list[Told]:
        """What has been told since the last call."""
        given = self._out[:]
        self._out.clear()
        return given

    def take(self, frame: Frame) -> Kind | None:
        """One frame; its kind if it was read."""
        if isinstance(frame, Ubx):
            return frame.kind if self.ubx.take(frame, beats=not self.languages.nmea_leads) else None
        if isinstance(frame, Rejected):
            self.tell(frame)
            return None
        try:
            kind = self.nmea.take(frame)
        except (ValueError, IndexError, OverflowError):
            self.tell(Rejected("field", frame[:5].decode("ascii", "replace")))
            return None
        if self.nmea.began:
            self._untimed.clear()
        elif kind in POSITIONS and not self.nmea.talk.timed:
            self._without_time(frame[:5])
        return kind

    def _without_time(self, tag: bytes) -> None:
        """A receiver that does not know the time begins its burst anew with a sentence that it has sent before."""
        if tag in self._untimed:
            self._untimed.clear()
            self.merger.close()
        self._untimed.add(tag)

    def tell(self, told: Told) -> None:
        """Something to give out."""
        self._out.append(told)


class Parser:
    """Feed it bytes as they come; call `pause` after some 80 ms of silence on the line, and `flush` after some 400 ms."""

    speaks = "NMEA or UBX"

    def __init__(self) -> None:
        self._reader = Reader(at_once=True)
        self._gate = Gate()
        self._early: list[bytes] = []
        self._begun = False
        self._is_late = False
        self._flushed = False
        self._held = False
        self._goes_on = False
        self._counts: dict[Kind, int] = {}
        self._before: dict[Kind, int] = {}
        self._usual: dict[Kind, int] = {}
        self._owed: dict[Kind, int] = {}
        self._last: Mark | None = None
        self._ender: Mark | None = None
        self._candidate: Mark | None = None

    @property
    def heard(self) -> int:
        """Valid sentences and frames so far."""
        return self._reader.heard

    def feed(self, chunk: bytes) -> list[Item]:
        for frame in self._reader.framer.feed(chunk):
            self._take(frame)
        return self._judged()

    def pause(self) -> list[Item]:
        """The line is silent for a moment: the epoch is given out if it has all that the last two had."""
        if self._is_whole() and self._is_due():
            self._reader.merger.close()
        return self._judged()

    def flush(self) -> list[Item]:
        """The line is silent: the burst is over, unless bursts of late have gone on after such a silence.

        An epoch that has no position yet stays open.
        """
        for frame in self._reader.framer.give_up():
            self._take(frame)
        if self._is_due():
            if self._goes_on and not self._held and not self._is_whole():
                self._held = True
            else:
                self._flushed = True
                self._reader.merger.close()
        return self._judged()

    def _is_due(self) -> bool:
        """Whether there is something to give out."""
        merger = self._reader.merger
        return merger.said and (merger.fix.lat_deg is not None or merger.fix.mode == 1)

    def _is_whole(self) -> bool:
        """Whether the open epoch has all the kinds of messages that both of the last two had, and those that came late."""
        counts, usual = self._counts, self._usual
        return (
            bool(usual)
            and all(counts.get(kind, 0) >= n for kind, n in usual.items())
            and self._owed.keys() <= counts.keys()
        )

    def _take(self, frame: Frame) -> None:
        reader = self._reader
        if not reader.hears(frame):
            return
        if isinstance(frame, Rejected):
            reader.take(frame)
            return
        if isinstance(frame, Ubx):
            if frame.kind == HNR_PVT:
                self._between(frame)
                return
        elif self._waits(frame):
            return
        merger = reader.merger
        was_closed, fix = merger.closed, merger.fix
        kind = reader.take(frame)
        if kind is None:
            return
        if merger.fix is not fix:
            self._begins()
        elif was_closed and self._begun and merger.said:
            self._late(kind)
            return
        self._count(kind)
        if self._last == self._ender and merger.said and self._owed.keys() <= self._counts.keys():
            merger.close()

    def _count(self, kind: Kind) -> None:
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        self._last = (kind, count)
        self._held = False

    def _waits(self, sentence: bytes) -> bool:
        """Whether a sentence belongs to the next epoch."""
        merger = self._reader.merger
        if not merger.closed or (self._begun and not merger.fix.time_ns):
            return False
        kind = sentence.partition(b",")[0]
        if kind[2:] in EARLY or kind in EARLY:
            self._early = [*self._early[-EARLY_LIMIT:], sentence]
            return True
        return False

    def _between(self, frame: Ubx) -> None:
        """Positions at a high rate between the epochs; only if there are no epochs."""
        if self._reader.languages.neither:
            self._reader.take(frame)
            self._reader.merger.close()

    def _begins(self) -> None:
        """Another moment has begun: learn how the last burst ended, and read what had come too early for this one."""
        self._learn()
        self._begun = True
        self._is_late = self._flushed = False
        early, self._early = self._early, []
        for sentence in early:
            self._reader.take(sentence)
            kind = sentence.partition(b",")[0]
            kind = kind[2:] if kind[2:] in EARLY else kind
            self._counts[kind] = self._counts.get(kind, 0) + 1

    def _late(self, kind: Kind) -> None:
        """The epoch was given out too soon, or is told twice: what comes behind it is refused, once an epoch."""
        merger = self._reader.merger
        if merger.fix.mode > 1:
            merger.said = False
            if not self._is_late:
                self._is_late = True
                self._reader.tell(Rejected("repeated"))
            self._ender = self._candidate = None
            self._usual = {}
            self._owed[kind] = OWED_EPOCHS
            self._goes_on = self._goes_on or self._flushed
        self._count(kind)

    def _learn(self) -> None:
        """What the burst that is over was like: its last message, and what it had in common with the one before it."""
        if self._last is not None:
            if self._last == self._candidate:
                self._ender = self._last
            self._candidate = self._last
        counts, before = self._counts, self._before
        self._owed = {k: OWED_EPOCHS if k in counts else n - 1 for k, n in self._owed.items() if n or k in counts}
        self._usual = {kind: min(count, before[kind]) for kind, count in counts.items() if kind in before}
        self._before, self._counts, self._last = counts, {}, None

    def _judged(self) -> list[Item]:
        out: list[Item] = []
        for told in self._reader.given():
            if isinstance(told, Epoch):
                fix = fix_of(told)
                out.append(self._gate.check(fix) if isinstance(fix, Fix) else fix)
            else:
                out.append(told)
        return out
