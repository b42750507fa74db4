"""Where epochs begin and end: for NMEA by the time of day of the sentences, for UBX by the time of week of the frames.

Rules (gpsd's, so that both say the same of a recording)
1. A message whose time differs by more than 10 ms from the last one's begins a new epoch.
2. The message after which the time moved ends epochs from then on.
3. In NMEA, untimed sentences behind such an end belong to the epoch that has ended; GLL may lengthen it.
"""

from agent.core.gnss.framing import Ubx
from agent.core.gnss.makers import MAKERS
from agent.core.gnss.merging import CLEAR, MODE, REPORT, TIME, Merger, State
from agent.core.gnss.nmea import PAD, Talk
from agent.core.gnss.sentences import SENTENCES
from agent.core.gnss.ubx import MESSAGES, Context

SAME_NS = 10_000_000
SAME_MS = 10
READ = SENTENCES | MAKERS
OWN = {kind.partition(b",")[0] for kind in MAKERS}


class NmeaCycle:
    """Takes sentences."""

    def __init__(self, merger: Merger) -> None:
        self.merger = merger
        self.talk = Talk(merger, past_midnight=merger.at_once)
        self.began = False
        self._last: bytes | None = None
        self._enders: set[bytes | None] = set()
        self._continues = False

    def take(self, sentence: bytes) -> bytes | None:
        """One sentence without checksum; its kind comes back if it was read. ValueError if a field is not what it must be."""
        fields = sentence.partition(b"*")[0].split(b",")
        talk, count, kind = self.talk, len(fields), fields[0]
        talk.talker = kind[:2]
        if len(kind) == 5 and kind not in OWN:
            kind = kind[2:]
        entry = READ.get(kind)
        if entry is None and count > 1:
            kind = kind + b"," + fields[1]
            entry = READ.get(kind)
        talk.timed = talk.more = self.began = False
        mask, this, news = 0, None, State()
        if entry is not None and count >= entry[0]:
            kept = talk.kept()
            try:
                mask = entry[1](talk, news, fields if kind == b"GSV" else fields + PAD, count)
            except (ValueError, IndexError, OverflowError):
                talk.back_to(kept)
                raise
            self._continues = kind == b"GLL"
            this = kind
        self._follow(kind)
        if mask & TIME and news.time_ns is None:
            news.time_ns = talk.now_ns()
        mask = self._bounds(mask, this)
        if mask:
            self.began = bool(mask & CLEAR)
            self._keep_height(mask, news)
            self.merger.merge(mask, news)
        if this is None and kind in SENTENCES:
            raise ValueError("fields")
        return this

    def _follow(self, kind: bytes) -> None:
        """GSA and GSV of several systems belong together as long as they stand together."""
        talk = self.talk
        if kind != b"GSV":
            talk.gsv_ended, talk.gsv_talker = talk.gsv_talker or talk.gsv_ended, b""
        if kind != b"GSA":
            talk.gsa_talker = b""

    def _bounds(self, mask: int, this: bytes | None) -> int:
        talk, last = self.talk, self._last
        if talk.more:
            return mask
        if talk.timed:
            if abs(talk.moment_ns - talk.before_ns) > SAME_NS:
                mask |= CLEAR
                if last is not None and last not in self._enders and not self._continues:
                    self._enders.add(last)
                    self.merger.reliable = True
        else:
            if mask and last in self._enders:
                mask |= REPORT
            if self._continues:
                self._enders.discard(last)
                self._enders.add(this)
                self.merger.reliable = True
        if (talk.timed or self._continues) and this in self._enders:
            mask |= REPORT
        if talk.timed:
            self._last = this
        return mask

    def _keep_height(self, mask: int, news: State) -> None:
        """What was 3D stays so while an altitude is known."""
        merger = self.merger
        if mask & MODE and merger.fix.mode == 3 and news.mode != 1:
            last, old = merger.last, merger.old
            if (last and last[4]) or (old and old[4]):
                news.mode = 3


class UbxCycle:
    """Takes UBX frames."""

    def __init__(self, merger: Merger) -> None:
        self.merger = merger
        self.context = Context(merger)
        self.began = False
        self._last: int | None = None
        self._ender: int | None = None
        self.tow_ms = 0

    def take(self, frame: Ubx, *, beats: bool = True) -> bool:
        """One frame; whether it was one that is read. One that does not beat says nothing of where epochs begin and end."""
        self.merger.reliable = self.merger.reliable or beats
        self.began = False
        entry = MESSAGES.get(frame.kind)
        if entry is None:
            return False
        needs, tow_at, handler = entry
        mask, news = 0, State()
        if len(frame.payload) >= needs:
            if handler is not None:
                mask = handler(self.context, news, frame.payload)
            if beats and tow_at is not None:
                mask = self._bounds(mask, frame.kind, int.from_bytes(frame.payload[tow_at : tow_at + 4], "little"))
        if mask:
            self.began = bool(mask & CLEAR)
            self.merger.merge(mask, news)
        return True

    def _bounds(self, mask: int, kind: int, tow_ms: int) -> int:
        if kind == self._ender:
            mask |= REPORT
        if abs(self.tow_ms - tow_ms) > SAME_MS:
            self._ender = self._last
            self.tow_ms = tow_ms
            mask |= CLEAR
        self._last = kind
        return mask
