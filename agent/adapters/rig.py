"""The rig: a virtual vehicle on two ptys, a GNSS receiver and an ELM327, played from a recording.

Bursts go out aligned to the wall clock, `LATENCY_MS` after the time that they tell, as receivers do. Who does not read
loses them, as on a real line: only what was written last is kept for a reader that comes late.
"""

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from agent.adapters.rig_lines import Port, Receiver, TcpFeed, UdpFeed
from agent.adapters.rig_play import Adapter, Player, Score, Vehicle
from agent.core.rig import faults as rig_faults
from agent.core.rig.elm327 import FAULTS, GRADES, Responder
from agent.core.rig.recording import Epoch, Recording, Slot, moving_start_ms, read, schedule
from wire.errors import SettingsError

FASTEST = 10_000.0
SETTLE_S = 0.25
"""The kernel hands over what was written some moments later; a closed pty takes the rest with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RigOptions:
    """`speed` runs the recording N times faster, its moved times too. `duration_s` is real time.

    `start` is in seconds of the recording, or `auto`: where the vehicle moves. The bus values of `obd` fill what the
    recording does not have. `baud` and `obd_baud` make the ptys garble for who has set another speed. `tcp`, `udp` and
    `obd_tcp` are further lines. `obd_delay_ms` is what the adapter takes to answer, as long as its kind does if absent. `faults` are written as `rig_faults.planted` reads them.
    """

    recording: Path
    speed: float = 1.0
    link: Path | None = None
    start: str | float = "auto"
    loop: bool = False
    truth: Path | None = None
    duration_s: float | None = None
    obd: Path | None = None
    max_gap_s: float = 5.0
    as_json: bool = False
    baud: int | None = None
    obd_baud: int | None = None
    tcp: int | None = None
    udp: str | None = None
    obd_tcp: int | None = None
    obd_grade: str = "v1.5"
    obd_delay_ms: int | None = None
    faults: tuple[str, ...] = ()


async def run_rig(options: RigOptions, *, say: Callable[[str], None]) -> None:
    """Play until the recording or the duration ends, or for ever with `loop`.

    Raises DecodeError, SettingsError, UnavailableError.
    """
    recording = await asyncio.to_thread(_load, options.recording)
    extra = await asyncio.to_thread(_load, options.obd) if options.obd else None
    plan, faults = _plan(recording, options), _faults(options)
    async with AsyncExitStack() as stack:
        gnss = Port("gnss", options.link, baud=options.baud)
        tcp = None if options.tcp is None else TcpFeed(options.tcp)
        udp = None if options.udp is None else UdpFeed(options.udp)
        if udp is not None:
            stack.callback(udp.close)
        receiver, vehicle = Receiver(gnss, tcp=tcp, udp=udp), Vehicle(recording, extra)
        stack.push_async_callback(receiver.pull)
        await receiver.plug()
        bus = Port("obd", options.link, baud=options.obd_baud)
        make = partial(Responder, grade=options.obd_grade, delay_ms=options.obd_delay_ms)
        adapter = Adapter(bus, vehicle, make)
        stack.callback(adapter.pull)
        await adapter.plug()
        lines: dict[str, object] = {} if tcp is None else {"tcp": tcp.port}
        lines |= {} if udp is None else {"udp": options.udp}
        if options.obd_tcp is not None:
            lines["obd_tcp"] = await adapter.listen(options.obd_tcp)
        truth = stack.enter_context(_truth(options.truth)) if options.truth else None
        _introduce(options, say, plan, {"gnss": gnss.path, "obd": bus.path, "bus": sorted(vehicle.keys), **lines})
        score = Score(speed=options.speed, loop=options.loop, duration_s=options.duration_s, faults=faults)
        sent = await Player(receiver, adapter, vehicle, score=score, truth=truth).play(plan)
        await asyncio.sleep(SETTLE_S)
        if gnss.pty is not None:
            await gnss.pty.settled()
        _tell(options, say, f"{sent} epochs sent, {gnss.dropped} bursts heard by nobody", {
            "sent": sent, "unheard": gnss.dropped,
        })  # fmt: skip


def _introduce(options: RigOptions, say: Callable[[str], None], plan: list[Slot], facts: Mapping[str, object]) -> None:
    seconds = plan[-1].offset_ms / 1000
    beside = "".join(
        f", {name.replace('_', ' over ').upper()} at port {facts[name]}" for name in ("tcp", "obd_tcp") if name in facts
    )
    beside += f", UDP to {options.udp}" if options.udp else ""
    text = f"GNSS at {facts['gnss']}, OBD at {facts['obd']}{beside}: {len(plan)} epochs, {seconds:.0f} s"
    link = str(options.link) if options.link else None
    _tell(options, say, text, {**facts, "epochs": len(plan), "seconds": seconds, "link": link})


def of_adapter() -> Mapping[str, str]:
    """The faults that can be planted in the adapter."""
    return {**rig_faults.OF_VEHICLE, **FAULTS}


def _faults(options: RigOptions) -> tuple[rig_faults.Planted, ...]:
    told, found, strange = list[str](), [], False
    if options.obd_grade not in GRADES:
        told.append(f"--obd-grade {options.obd_grade}: known are {', '.join(GRADES)}")
    for text in options.faults:
        try:
            found.append(rig_faults.planted(text, of_adapter()))
        except ValueError as error:
            told.append(f"--fault {text}: {error}")
            strange = strange or "no such" in str(error)
    if strange:
        told += rig_faults.known(of_adapter())
    if told:
        raise SettingsError(told)
    return tuple(found)


def _truth(path: Path) -> IO[str]:
    try:
        return path.open("a", buffering=1, encoding="utf-8")
    except OSError as error:
        raise SettingsError([f"--truth {path}: {error.strerror or error}"]) from error


def _tell(options: RigOptions, say: Callable[[str], None], text: str, facts: Mapping[str, object]) -> None:
    say(json.dumps(facts) if options.as_json else text)


def _load(path: Path) -> Recording:
    try:
        data = path.read_bytes()
        name = path.name
        if name.endswith(".gz"):
            data, name = gzip.decompress(data), name.removesuffix(".gz")
    except (OSError, EOFError, zlib.error) as error:
        told = error.strerror if isinstance(error, OSError) else None
        raise SettingsError([f"recording {path}: {told or error}"]) from error
    return read(name, data)


def _plan(recording: Recording, options: RigOptions) -> list[Slot]:
    if not 0 < options.speed <= FASTEST:  # NaN is neither
        raise SettingsError([f"--speed {options.speed:g}: must be above 0, at most {FASTEST:g}"])
    if options.duration_s is not None and not options.duration_s > 0:
        raise SettingsError([f"--duration {options.duration_s:g}: must be above 0"])
    epochs = recording.epochs
    try:
        start_ms = moving_start_ms(epochs) if options.start == "auto" else _after(epochs, float(options.start))
    except (ValueError, OverflowError) as error:
        raise SettingsError([f"--start {options.start}: must be auto or seconds"]) from error
    epochs = tuple(epochs[next((i for i, epoch in enumerate(epochs) if epoch.at_ms >= start_ms), len(epochs)) :])
    if not epochs:
        raise SettingsError([f"--start {options.start}: the recording is shorter"])
    return list(schedule(epochs, max_gap_ms=round(options.max_gap_s * 1000)))


def _after(epochs: tuple[Epoch, ...], seconds: float) -> int:
    return epochs[0].at_ms + round(seconds * 1000)
