"""Runs the demo and prints its measured outcome as the last line, one JSON object."""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import urllib.request
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.demo.measure import Outage, Watched, count, live_errors_m, outage_of, percentile, truths, unrecorded
from bench.demo.screen import Screen, row
from bench.yard import Gateway, Hub, Relay, default_settings, free_port
from hub.clients.stream import Stream
from wire.errors import UnavailableError
from wire.ops import clock
from wire.ops.main import call

RECORDINGS = Path(__file__).parent.parent.parent / "tests" / "recordings"
DRIVES = (
    ("gw-demo-1", "van-1", "nds-drive10.csv.gz"),
    ("gw-demo-2", "van-2", "nds-drive06.csv"),
    ("gw-demo-3", "van-3", "nds-drive11.csv.gz"),
)
WITHOUT_OBD = {"nds-drive11.csv.gz"}
CUT_AFTER_S, CUT_FOR_S = 20, 15
"""In a short demo: after a third of it, for a quarter, so that the way back is seen."""
DRAIN_S = 30.0
HTTP_PORT = 8080


@dataclass(slots=True)
class Demo:
    """Everything that runs."""

    hub: Hub
    relay: Relay
    gateways: list[Gateway]
    token: str
    screen: Screen
    watched: dict[str, Watched] = field(default_factory=dict)
    cut_ms: int | None = None
    mended_ms: int | None = None

    @property
    def outage(self) -> Outage | None:
        """The outage of the first vehicle, once it is over."""
        if self.cut_ms is None or self.mended_ms is None:
            return None
        return outage_of(self.watched[self.gateways[0].vehicle], self.cut_ms, self.mended_ms)


def cut_of(seconds: int) -> tuple[int, int]:
    """When the link is cut, and when it is mended, in seconds from the start."""
    after_s = min(CUT_AFTER_S, max(1, seconds // 3)) if seconds else CUT_AFTER_S
    return after_s, after_s + (min(CUT_FOR_S, max(1, seconds // 4)) if seconds else CUT_FOR_S)


def _http_port() -> int:
    import socket

    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", HTTP_PORT))
        except OSError:
            return free_port()
    return HTTP_PORT


async def set_up(folder: Path, screen: Screen, stack: AsyncExitStack, *, seconds: int) -> Demo:
    """Start the hub, make three vehicles known to it, and start their rigs and agents. The stack stops what was started."""
    screen.say("starting the hub: broker, Valkey, store, pages, all embedded …")
    hub = Hub(folder / "hub", settings=default_settings(http_port=_http_port()))
    stack.push_async_callback(hub.process.stop)
    await hub.start()
    host, _, port = hub.mqtt.removeprefix("mqtt://").partition(":")
    relay = Relay(host, int(port))
    stack.push_async_callback(relay.stop)
    await relay.start()
    gateways = []
    for number, (identity, vehicle, recording) in enumerate(DRIVES):
        mqtt = f"mqtt://127.0.0.1:{relay.port}" if number == 0 else hub.mqtt
        with_obd = recording not in WITHOUT_OBD
        gateways.append(
            Gateway(
                identity, vehicle, RECORDINGS / recording, folder / vehicle, mqtt, with_obd=with_obd, loop=not seconds
            )
        )
    introduced = asyncio.gather(*(gateway.introduce(hub) for gateway in gateways))
    token = str((await hub.json("token", "add", "demo-terminal"))["token"])
    code = str((await hub.json("login-code"))["code"])
    await introduced
    screen.say("starting three gateways: a rig that replays a real drive, and an agent, each …")
    for gateway in gateways:
        stack.push_async_callback(gateway.stop)
        await gateway.start_rig()
        await gateway.start_agent()
    screen.say(f"\n  open  {hub.http}/#code={code}\n  (the code works once, for ten minutes, on this machine)\n")
    watched = {gateway.vehicle: Watched() for gateway in gateways}
    return Demo(hub, relay, gateways, token, screen, watched)


async def follow(demo: Demo) -> None:
    """Listen to the stream as any client would."""
    async with Stream(demo.hub.http.replace("http", "ws", 1), demo.token) as stream:
        await stream.subscribe(1)
        async for frame in stream:
            if frame["op"] in {"snapshot", "moves"}:
                arrived_ms = clock.utc_ms()
                for vehicle in frame["vehicles"]:
                    demo.watched[vehicle["veh"]].take(vehicle, arrived_ms, op=frame["op"])


async def show(demo: Demo, seconds: int, stop: asyncio.Event) -> None:
    """Draw the fleet each second; cut the first vehicle's link after a while, and mend it."""
    second, (cut_s, mended_s) = 0, cut_of(seconds)
    while not stop.is_set() and (not seconds or second < seconds):
        await asyncio.sleep(1.0)
        second += 1
        now_ms = clock.utc_ms()
        if second == cut_s:
            demo.relay.cut()
            demo.cut_ms = now_ms
            demo.screen.say(f"{second:>4} s  cutting the link of {demo.gateways[0].vehicle} for {mended_s - cut_s} s")
        if second == mended_s:
            demo.relay.mend()
            demo.mended_ms = now_ms
            demo.screen.say(
                f"{second:>4} s  the link of {demo.gateways[0].vehicle} is back: now first, then the backlog"
            )
        rows = [
            row(name, watched, now_ms, cut=name == demo.gateways[0].vehicle and cut_s <= second < mended_s)
            for name, watched in demo.watched.items()
        ]
        demo.screen.draw(f"{second:>4} s  {demo.hub.http}", rows)


async def drain(demo: Demo) -> None:
    """Stop the vehicles' rigs, then wait until the hub has everything that the agents have recorded."""
    demo.screen.say("stopping the drives, draining …")
    if demo.cut_ms is not None and demo.mended_ms is None:
        demo.relay.mend()
        demo.mended_ms = clock.utc_ms()
    for gateway in demo.gateways:
        await gateway.rig.stop()
    deadline = asyncio.get_running_loop().time() + DRAIN_S
    quiet = 0
    while asyncio.get_running_loop().time() < deadline and quiet < 2:
        waiting = [(await gateway.status()).get("waiting") for gateway in demo.gateways]
        quiet = quiet + 1 if not any(waiting) else 0
        await asyncio.sleep(1.2)
    for gateway in demo.gateways:
        await gateway.agent.stop()


def _export(url: str, token: str) -> str:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - our own hub
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own hub
        return str(answer.read().decode())


async def judge(demo: Demo) -> dict[str, object]:
    """The figures of the last line, all measured."""
    counts, errors, missed = [], [], 0
    for number, gateway in enumerate(demo.gateways):
        url = f"{demo.hub.http}/v1/vehicles/{gateway.vehicle}/track?format=ndjson&from=0"
        export = await asyncio.to_thread(_export, url, demo.token)
        counts.append(count(gateway.outbox, export))
        missed += unrecorded(truths(gateway.truth), export)
        unlinked = []
        if number == 0 and demo.cut_ms is not None:
            outage = demo.outage
            back_ms = outage.now_ms if outage is not None and outage.now_ms is not None else clock.utc_ms()
            unlinked.append((demo.cut_ms - 1000, back_ms))
        errors += live_errors_m(demo.watched[gateway.vehicle], truths(gateway.truth), unlinked)
    outage = demo.outage
    return {
        "vehicles": len(demo.gateways),
        "fixes_recorded": sum(c.recorded for c in counts),
        "fixes_committed": sum(c.committed for c in counts),
        "lost": sum(c.lost for c in counts) + missed,
        "duplicates": sum(c.duplicates for c in counts),
        "live_messages": sum(len(watched.lives) for watched in demo.watched.values()),
        "live_error_p95_m": round(percentile(errors, 0.95), 2) if errors else None,
        "live_error_max_m": round(max(errors), 2) if errors else None,
        "ws_moves": sum(watched.moves for watched in demo.watched.values()),
        "outage": None if outage is None else outage.report(),
    }


async def run(seconds: int, folder: Path) -> dict[str, object]:
    """The whole demo."""
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        demo = await set_up(folder, Screen(), stack, seconds=seconds)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        listening = asyncio.ensure_future(follow(demo))
        showing = asyncio.ensure_future(show(demo, seconds, stop))
        try:
            await asyncio.wait([listening, showing], return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                listening.result()
            await drain(demo)
            return await judge(demo)
        finally:
            for task in (listening, showing):
                task.cancel()
            await asyncio.gather(listening, showing, return_exceptions=True)


def main() -> int:
    """Entry point: `python -m bench.demo --seconds 60`."""
    parser = argparse.ArgumentParser(
        description="A hub and three vehicles on real drives.", epilog="example: make demo SECONDS=60"
    )
    parser.add_argument("--seconds", type=int, default=0, help="end by itself after so many seconds (default: never)")
    parser.add_argument("--keep", type=Path, help="keep the data in this folder")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="odograph-demo-") as scratch:
        try:
            outcome = asyncio.run(run(args.seconds, args.keep or Path(scratch)))
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            return 130
    print(json.dumps(outcome))
    if outcome["lost"] or outcome["duplicates"] or not outcome["fixes_recorded"]:
        raise UnavailableError("fixes were lost or doubled, or none was recorded")
    return 0


if __name__ == "__main__":
    sys.exit(call(main))
