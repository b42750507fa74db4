"""The doctor: looks at each part of a gateway, by itself or through the running agent; `core.diagnosis` says what it means."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from agent import observed, parts
from agent.adapters import probe
from agent.adapters.clock import GnssClock
from agent.adapters.memory import MemoryOutbox
from agent.adapters.mqtt import MqttLink
from agent.adapters.sqlite_file import look_into
from agent.adapters.sqlite_place import short_of_room
from agent.adapters.state_socket import ask as ask_agent
from agent.adapters.state_socket import socket_path
from agent.checks import load_whole
from agent.core import diagnosis, sampler
from agent.core.diagnosis import SILENT, Line, Outcome
from agent.core.gnss.plausible import DRIVING_MPS
from agent.core.obd.elm327 import Elm327
from agent.core.timing import Basis
from agent.dialogue import ask
from agent.events import HAPPENINGS
from agent.flow import LiveLane, Senses, Vehicle, collect
from agent.ports import Bytes
from agent.recorder import Recorder
from agent.settings import AgentSettings, Obd
from wire import VERSION
from wire.codec import decode_ack, encode_status
from wire.errors import DecodeError, OdographError, RefusedError, UnavailableError
from wire.messages import Fix, Status
from wire.ops import clock
from wire.ops.mqtt import Login
from wire.ops.watch import Watch
from wire.track import GENESIS

LOOK_S, TELL_S = 0.2, 5.0
HOPELESS_S = 20.0
"""A port that can't be opened for so long is not waited for any longer."""
AGAIN_S = 1.0
SETTLE_S = 12.0
"""So long after the first fix it is watched on: jumps, frozen places and stale times show only over several epochs."""
ACK_S = 10.0
TLS_WORDS = ("certificate", "TLS", "trust")
Say = Callable[[str], None]


@dataclass(slots=True)
class Look:
    """What the doctor holds in hand while it looks by itself."""

    settings: AgentSettings
    senses: Senses
    watch: Watch
    clock: GnssClock
    begun_ms: int
    recent: observed.Recent
    door: Bytes | None = None
    same: int = 0
    last: Fix | None = None
    system_off_s: float | None = None


async def examine(settings: AgentSettings, *, seconds: float, say: Say) -> list[Line]:
    """All lines. `say` gets a line of progress now and then while the doctor waits."""
    state = ask_agent(socket_path(settings.outbox.path))
    if state is not None:
        say("the agent runs: asking it")
        return await _through_the_agent(settings, state)
    return await _alone(settings, seconds=seconds, say=say)


def visit(config: Path, *, seconds: float, as_json: bool) -> int:
    """The whole command: progress on standard error, the lines on standard output; gives the exit status."""
    settings, _ = load_whole(config, starting=True)
    tty = sys.stderr.isatty()

    def say(text: str) -> None:
        print(f"\r\x1b[K{text}" if tty else text, end="" if tty else "\n", file=sys.stderr, flush=True)

    lines = asyncio.run(examine(settings, seconds=seconds, say=say))
    if tty:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    print(json.dumps(_as_data(lines)) if as_json else "\n".join(_as_text(lines)))
    return 0 if passed(lines) else 1


def _as_data(lines: list[Line]) -> dict[str, object]:
    told = [
        {
            "check": line.check,
            "outcome": line.outcome.value,
            "fault": line.fault or None,
            "text": line.text,
            "cure": line.cure or None,
        }
        for line in lines
    ]
    return {"passed": passed(lines), "lines": told}


def _as_text(lines: list[Line]) -> list[str]:
    out = []
    for line in lines:
        out.append(f"{line.outcome.value:<8}{line.check:<10}{line.text}")
        if line.fault:
            out.append(f"{'':<18}{line.fault}: {line.cure}")
    failed = sum(line.outcome is Outcome.FAILED for line in lines)
    out.append("all is well" if not failed else f"{failed} of {len(lines)} checks failed")
    return out


def passed(lines: list[Line]) -> bool:
    """Whether nothing failed."""
    return all(line.outcome is not Outcome.FAILED for line in lines)


async def _through_the_agent(settings: AgentSettings, state: dict[str, Any]) -> list[Line]:
    told = cast("dict[str, dict[str, Any]]", state)
    adapter = (
        None if settings.obd is None else observed.told_adapter(told.get("adapter") or {"place": settings.obd.place})
    )
    uplink = await _uplink(settings, None)
    if not uplink.error:
        fault = state.get("link_error")
        uplink = (
            replace(uplink, stage="hub", linked_s=state.get("linked_for_s"))
            if state.get("linked")
            else _stopped(uplink, str(fault and fault["error"]))
        )
    return diagnosis.judge(
        receiver=observed.told_receiver(told.get("receiver") or {"place": settings.gnss.source}),
        adapter=adapter,
        storage=_storage(settings),
        uplink=uplink,
        clock=diagnosis.Clock(**(told.get("clock") or {"basis": "nobody"})),
    )


async def _alone(settings: AgentSettings, *, seconds: float, say: Say) -> list[Line]:
    where = parts.login_of(settings)
    own = GnssClock(floor_ms=parts.floor_ms(settings.gnss.floor))
    watch = Watch("agent", HAPPENINGS)
    recorder = Recorder(MemoryOutbox(), own, watch=watch, commit_ms=1000)
    vehicle = Vehicle()
    recent = observed.Recent(vehicle, watch, own.mono_ms())
    senses = Senses(vehicle, recorder, LiveLane(sampler.Config()), own, watch)
    look = Look(settings, senses, watch, own, own.mono_ms(), recent)
    looking = [asyncio.ensure_future(_receive(look))]
    if settings.obd is not None:
        looking.append(asyncio.ensure_future(_talk(look, settings.obd)))
    reaching = asyncio.ensure_future(_uplink(settings, where))
    try:
        storage = await asyncio.to_thread(_storage, settings)
        await _until_clear(look, reaching, seconds=seconds, say=say)
        uplink = await reaching
    finally:
        for task in (*looking, reaching):
            task.cancel()
        results = await asyncio.gather(*looking, reaching, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError | OdographError):
            raise result
    return diagnosis.judge(
        receiver=_receiver_of(look), adapter=_adapter_of(look), storage=storage, uplink=uplink,
        clock=diagnosis.Clock(own.basis.value, look.system_off_s, clock.confirmed()),
    )  # fmt: skip


async def _until_clear(look: Look, reaching: "asyncio.Future[diagnosis.Uplink]", *, seconds: float, say: Say) -> None:
    """Wait until everything that can be known is known, or the time is over."""
    told_ms = look.begun_ms
    while (gone_s := (look.clock.mono_ms() - look.begun_ms) / 1000) < seconds:
        await asyncio.sleep(LOOK_S)
        now_ms = look.clock.mono_ms()
        _look_at_fix(look)
        if _clear(look, now_ms) and reaching.done():
            return
        if now_ms - told_ms >= TELL_S * 1000:
            told_ms = now_ms
            say(_progress(look, reaching, gone_s, seconds))


def _look_at_fix(look: Look) -> None:
    """Compare the clocks once, and see whether a place stays the same though the receiver says that it moves."""
    fix = look.senses.vehicle.fix
    if fix is None or fix is look.last:
        return
    if look.system_off_s is None and look.clock.basis is Basis.GNSS:
        look.system_off_s = (clock.utc_ms() - (look.clock.now().at_ms or 0)) / 1000
    before, look.last = look.last, fix
    held = before is not None and (before.lat_deg, before.lon_deg) == (fix.lat_deg, fix.lon_deg)
    look.same = look.same + 1 if held and (fix.speed_mps or 0.0) > DRIVING_MPS else 0


def _clear(look: Look, now_ms: int) -> bool:
    """Whether nothing more is to be expected of receiver and adapter."""
    vehicle, gone_ms = look.senses.vehicle, now_ms - look.begun_ms
    first_ms = vehicle.first_fix_ms
    position = first_ms is not None and now_ms - first_ms > SETTLE_S * 1000
    adapter = vehicle.adapter
    bus = look.settings.obd is None or (adapter.said == "ready" and bool(adapter.facts or adapter.vin))
    hopeless = gone_ms > HOPELESS_S * 1000
    shut = vehicle.heard == 0 and vehicle.noise_ms is None and SILENT not in vehicle.troubles.get("gnss", SILENT)
    return (position or (hopeless and shut)) and (bus or (hopeless and "obd" in vehicle.troubles))


def _progress(look: Look, reaching: "asyncio.Future[diagnosis.Uplink]", gone_s: float, seconds: float) -> str:
    vehicle = look.senses.vehicle
    gnss = "fix" if vehicle.first_fix_ms else f"{vehicle.heard} sentences" if vehicle.heard else "listening"
    words = [f"{gone_s:.0f} of {seconds:.0f} s", f"receiver: {gnss}"]
    if look.settings.obd is not None:
        words.append(f"adapter: {vehicle.adapter.said or 'asking'}")
    return ", ".join([*words, f"hub: {'done' if reaching.done() else 'calling'}"])


async def _receive(look: Look) -> None:
    """Listen to the receiver as the agent does, again and again."""
    vehicle = look.senses.vehicle

    def found(baud: int) -> None:
        vehicle.baud = baud

    door, _ = parts.receiver(look.settings, found)
    look.door = door
    while True:
        _, parser = parts.receiver(look.settings)
        try:
            await collect(door, parser, look.senses)
        except UnavailableError as error:
            vehicle.troubles["gnss"] = str(error)
        await asyncio.sleep(AGAIN_S)


async def _talk(look: Look, obd: Obd) -> None:
    """Talk with the adapter as the agent does, again and again."""
    known, vehicle = None, look.senses.vehicle
    while True:
        try:
            line, known = await parts.adapter(obd, known)
            await ask(line, Elm327(parts.bus(obd), vehicle.adapter), look.senses)
        except UnavailableError as error:
            vehicle.troubles["obd"] = str(error)
        await asyncio.sleep(AGAIN_S)


def _receiver_of(look: Look) -> diagnosis.Receiver:
    assert look.door is not None
    hunting, now_ms = parts.hunts(look.settings.gnss), look.clock.mono_ms()
    seen = observed.receiver(look.senses.vehicle, look.recent, now_ms, place=look.door.place, hunting=hunting)
    return replace(seen, same_place=look.same)


def _adapter_of(look: Look) -> diagnosis.Adapter | None:
    obd = look.settings.obd
    if obd is None:
        return None
    vehicle, now_ms = look.senses.vehicle, look.clock.mono_ms()
    return observed.adapter(vehicle, look.watch, now_ms, place=obd.place, hunting=obd.baud == "auto")


def _storage(settings: AgentSettings) -> diagnosis.Storage:
    path = settings.outbox.path
    try:
        measured = probe.disk(path.parent)
    except UnavailableError as error:
        return diagnosis.Storage(str(path), error=str(error), full=short_of_room(path))
    as_root = " (checked as root, the agent may have fewer rights)" if os.geteuid() == 0 else ""
    return diagnosis.Storage(f"{path}{as_root}", fsync_p99_ms=measured.fsync_p99_ms, free_mb=measured.free_mb)


def _stopped(uplink: diagnosis.Uplink, error: str) -> diagnosis.Uplink:
    stage = "tls" if uplink.tls and any(word in error for word in TLS_WORDS) else "login"
    return replace(uplink, stage=stage, error=error)


async def _uplink(settings: AgentSettings, where: Login | None) -> diagnosis.Uplink:
    """Go the way to the hub, step by step. Without a login only as far as the broker's port: the agent holds the rest."""
    to = where or parts.login_of(settings)
    seen = diagnosis.Uplink(f"{to.host}:{to.port}", stage="dns", tls=to.tls)
    try:
        await probe.resolve(to.host, to.port)
        seen = replace(seen, stage="connect")
        seen = replace(seen, connect_ms=await probe.connect(to.host, to.port))
    except UnavailableError as error:
        return replace(seen, error=str(error))
    if where is None:
        return seen
    try:
        session = await MqttLink(where).open(_status(settings, online=False))
    except (RefusedError, OdographError) as error:
        return _stopped(seen, str(error))
    try:
        return replace(seen, stage="hub", ack_ms=await _acked(settings, session))
    except (UnavailableError, TimeoutError):
        return replace(seen, stage="hub", error=f"the broker took our word, but no hub answered within {ACK_S:g} s")
    finally:
        with contextlib.suppress(UnavailableError, TimeoutError):
            async with asyncio.timeout(1):
                await session.publish("status", encode_status(_status(settings, online=False)))
        await session.close()


async def _acked(settings: AgentSettings, session: Any) -> float:
    """Say that we are there; the hub answers with its mark. Milliseconds until it did."""
    begun_ms = clock.stopwatch_ms()
    async with asyncio.timeout(ACK_S):
        await session.publish("status", encode_status(_status(settings, online=True)))
        while True:
            name, payload = await session.inbox.get()
            with contextlib.suppress(DecodeError):
                if name == "ack" and decode_ack(payload).upto is not None:
                    return clock.stopwatch_ms() - begun_ms


def _status(settings: AgentSettings, *, online: bool) -> Status:
    kept = look_into(settings.outbox.path) or {}
    store, newest = str(kept.get("store") or GENESIS), int(str(kept.get("recorded") or 0))
    return Status(
        online, "doctor", VERSION, store, newest, newest, settings.sampling.upload_s, "" if online else "stopped"
    )
