"""The decoders of the agent: what its receiver, its adapter, its hub, its disk and its owner may tell it."""

import json
import math
import re
from dataclasses import fields

from agent.core import budget, orders, pages, salvage
from agent.core.dating import Moment, dated, undated
from agent.core.gnss import gpsd, plausible, receiver
from agent.core.obd.answers import Kind as AnswerKind
from agent.core.obd.answers import understand
from agent.core.obd.elm327 import Elm327
from agent.core.obd.memory import Memory
from agent.core.obd.pids import PIDS
from agent.core.obd.plan import Config as PlanConfig
from agent.core.obd.plan import Plan, Query
from agent.core.obd.reader import CodesChanged, Reader, Wants
from agent.core.obd.vehicle_facts import INFO
from agent.core.traces.reading import read
from agent.cutting import event_of, row_of_body
from agent.mileage import recalled
from agent.ports import Kind, Stored
from agent.settings import AgentSettings
from hub.settings import Hub as HubSettings
from tests.hub.makers import STORE, T0, h_at
from wire.codec import decode_command, dump, encode_event, encode_outcome
from wire.errors import DecodeError, SettingsError
from wire.messages import Batch, Fix, Rejected
from wire.ops.settings import check
from wire.schema import row_of
from wire.track import encode_batch

PIECES = (1, 7, 64, 4096)
ANSWERS_MOST = 80
MOST_LINE = 400
SEVERAL = "010C0D"
ANSWERED = re.compile(rb"4([12379A])([0-9A-F]{2})")
HOW = tuple((protocol, headers) for protocol in ("6", "7", "3", "1", "") for headers in (True, False))


def refused(error: DecodeError | SettingsError) -> bool:
    """A refusal says what it is, in a line and not in as much as came: it goes into logs and answers."""
    assert str(error)
    assert len(str(error)) <= MOST_LINE or isinstance(error, SettingsError)
    str(error).encode()
    return False


def command(payload: bytes) -> bool:
    """A command of the hub, done and answered."""
    try:
        told = decode_command(payload)
    except DecodeError as error:
        return refused(error)
    _, outcome = orders.step(orders.State(), told, T0, over_budget=False)
    encode_outcome(outcome)
    return True


def _fix_is_sound(fix: Fix) -> None:
    """It can be kept, and no number in it is none."""
    for field in fields(fix):
        value = getattr(fix, field.name)
        assert not isinstance(value, float) or math.isfinite(value), (field.name, value)
    assert abs(fix.lat_deg) <= 90, fix
    assert abs(fix.lon_deg) <= 180, fix
    dump([*row_of(fix)])


def _heard(parser: receiver.Parser | gpsd.Parser, payload: bytes) -> bool:
    size, state, fixes = PIECES[len(payload) % len(PIECES)], plausible.State(), 0
    if len(payload) > 2000:
        size = max(size, 64)
    items: list[receiver.Item] = []
    for at in range(0, len(payload), size):
        items += parser.feed(payload[at : at + size])
        if at % 3 == 0:
            items += parser.pause()
    items += parser.flush() + parser.flush()
    for item in items:
        if isinstance(item, Fix):
            fixes += 1
            _fix_is_sound(item)
            state, judged = plausible.step(state, item)
            if isinstance(judged, Fix):
                _fix_is_sound(judged)
        elif isinstance(item, Rejected):
            assert len(item.reason) <= 40, item
    return fixes > 0


def receiver_bytes(payload: bytes) -> bool:
    return _heard(receiver.Parser(), payload)


def gpsd_lines(payload: bytes) -> bool:
    sieve, parser = gpsd.Sieve(), gpsd.Parser()
    sieve.feed(payload)
    sieve.error.encode("utf-8", "surrogatepass")
    return _heard(parser, payload)


def adapter(payload: bytes) -> bool:
    """The answers one after the other, whatever was asked; the dialogue always goes on."""
    elm, now_ms, good = Elm327(), 0, False
    for told in payload.split(b">")[:ANSWERS_MOST]:
        for _ in range(3):
            if elm.next_command(now_ms) is not None:
                break
            now_ms = max(now_ms + 1, elm.wake_at)
            elm.feed(b"", now_ms)
        now_ms += 20
        for item in elm.feed(told + b">", now_ms):
            good = good or not isinstance(item, Rejected)
            if isinstance(item, CodesChanged):
                dump(item.detail)
        assert elm.wake_at < now_ms + 3_600_000 * 24
    _ = elm.report
    return good


def answer(payload: bytes) -> bool:
    """One answer to one of many questions, twice, as it must be to be believed."""
    found = ANSWERED.search(payload.replace(b" ", b""))
    mode, pid = found.groups() if found else (b"1", b"0C")
    told_pid = {b"2": pid.decode() + "00", b"3": "", b"7": "", b"A": ""}.get(mode, pid.decode())
    command_ = SEVERAL if pid in {b"0C", b"0D"} and len(payload) % 2 else f"0{mode.decode()}{told_pid}"
    for protocol, headers in HOW:
        told = understand(payload, command_, protocol, headers=headers)
        if told.kind is AnswerKind.GOOD:
            break
    else:
        return False
    memory, plan = Memory(), Plan(PlanConfig())
    reader = Reader(Wants(), plan, memory)
    pids = (0x0C, 0x0D) if command_ == SEVERAL else (int(pid, 16),) if mode == b"1" and int(pid, 16) in PIDS else ()
    for now_ms in (1000, 1100):
        if mode == b"1" and not pids:
            reader.found(int(pid, 16) & 0xE0, told.messages, now_ms)
        elif mode in b"37A" or command_ in INFO or (mode == b"2" and int(pid, 16) in PIDS) or pids:
            reader.take(Query(command_, pids), told.messages, now_ms)
    json.dumps(memory.facts)
    return True


def record(payload: bytes) -> bool:
    """A record of the outbox as the disk gives it back: what is believed can be sent."""
    taken = False
    for kind in (salvage.FIX, salvage.EVENT):
        for at_ms in (T0, salvage.OPEN, salvage.UNDATED, _first_number(payload)):
            if not salvage.sound(kind, at_ms, payload):
                continue
            taken = True
            body = payload
            if at_ms == salvage.OPEN:
                dated(body, T0)
                body = undated(body, Moment(None, "AbCdEf01", 5))
                kind = salvage.EVENT if kind == salvage.FIX else kind  # noqa: PLW2901  # it has become one
            _sent(kind, body)
    salvage.told_ruined(1, _first_number(payload))
    return taken


def _first_number(payload: bytes) -> int:
    digits = payload[1:21].partition(b",")[0]
    return int(digits) if digits.isdigit() else 0


def _sent(kind: str, body: bytes) -> None:
    if kind == salvage.FIX:
        encode_batch(Batch(STORE, 1, 1, 1, h_at(0), h_at(1), ((1, row_of_body(body)),)))
        return
    told = event_of(Stored(1, Kind.EVENT, None, body, h_at(1)))
    encode_event(STORE, told)
    encode_batch(Batch(STORE, 1, 1, 1, h_at(0), h_at(1), (), (told,)))


def page(payload: bytes) -> bool:
    """A page of a damaged outbox, alone and as a file."""
    found = 0
    whole = payload[: pages.PAGE].ljust(pages.PAGE, b"\0")
    for first in (False, True):
        for cell in pages.cells(whole, first=first):
            data = pages.payload(cell, lambda number: whole if number < 3 else b"")
            columns = None if data is None else pages.values(data)
            if columns is not None:
                salvage.learn(salvage.Facts(), cell.rowid, columns)
                found += salvage.record_of(cell.rowid, columns) is not None
    pages.journal(payload)
    pages.free_pages(lambda number: whole if number < 3 else b"")
    return found > 0


def note(payload: bytes) -> bool:
    """What was noted beside the outbox."""
    try:
        told = json.loads(payload)
    except (ValueError, RecursionError):
        return False
    salvage.job_of(told)
    taken = False
    for read_note in (recalled, budget.restored):
        if isinstance(told, dict):
            try:
                read_note(told)
                taken = True
            except DecodeError:
                pass
    return taken


def settings(payload: bytes) -> bool:
    """A settings file that was read."""
    from wire.ops.settings import parsed

    taken = False
    try:
        data = parsed(payload, source="x.toml")
    except SettingsError as error:
        return refused(error)
    for model in (AgentSettings, HubSettings):
        try:
            check(data, model, source="x.toml", context={"files": False})
            taken = True
        except SettingsError as error:
            refused(error)
    return taken


def trace(payload: bytes) -> bool:
    """A recording of somebody's."""
    try:
        told = read("x", payload)
    except DecodeError as error:
        return refused(error)
    for drive in told.drives:
        for moment in drive.moments:
            _fix_is_sound(moment.fix)
    return True
