"""Useful values a second from the vehicle bus, ours and python-OBD's, on the same rig in one run, at 30 and 100 ms an answer.

python-OBD is GPL-2.0 and no dependency: the bench makes a throwaway environment for it, or uses the one that the variable
ODOGRAPH_OBD_PEER names (a python with `obd` in it). A value is useful when it is one of the seven of the track and was
decoded; python-OBD asks them in turn, as fast as it gets answers, with its own fast mode where the adapter takes that.

The clone listens on for 200 ms behind each answer, as an ELM327 does until it is told how many lines come; it does not
understand that, nor requests for several parameters.
"""

import os
import pty
import select
import subprocess
import sys
import tempfile
import threading
import time
import tty
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.core.obd.bus import BusValue
from agent.core.obd.elm327 import Config, Elm327
from agent.core.obd.plan import Config as PlanConfig
from agent.core.rig.elm327 import GRADES, Responder
from agent.core.rig.vehicle import Car

DELAYS_MS = (30, 100)
SECONDS = 10.0
CAR = Car(
    frozenset({"rp", "vs", "ct", "th", "ld", "fu", "mv"}),
    {"rp": 1726.0, "vs": 50.0, "ct": 83.0, "th": 20.0, "ld": 40.0, "fu": 60.0, "mv": 13.9},
)
PEER = """
import sys, time, obd
obd.logger.removeHandler(obd.console_handler)
link = obd.OBD(sys.argv[1], baudrate=38400, fast=sys.argv[3] == "1", timeout=1, check_voltage=False)
c = obd.commands
wanted = [c.SPEED, c.RPM, c.THROTTLE_POS, c.ENGINE_LOAD, c.CONTROL_MODULE_VOLTAGE, c.COOLANT_TEMP, c.FUEL_LEVEL]
for command in wanted:
    link.query(command)
count, start = 0, time.monotonic()
while time.monotonic() - start < float(sys.argv[2]):
    for command in wanted:
        count += not link.query(command).is_null()
print(count / (time.monotonic() - start))
link.close()
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """What was had a second, and how many requests it took."""

    values: float
    queries: float


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _serve(master: int, responder: Responder, asked: Counter[str], done: threading.Event) -> None:
    """The adapter's side of a pty, until the reader is done."""
    while not done.is_set():
        wake_ms = responder.wake_at
        wait_s = 0.2 if wake_ms is None else max(0.0, (wake_ms - time.monotonic_ns() / 1e6) / 1000)
        if select.select([master], [], [], wait_s)[0]:
            data = os.read(master, 256)
            asked["requests"] += data.count(b"\r")
            responder.feed(data, _now_ms(), CAR)
        if out := responder.take(_now_ms()):
            os.write(master, out)


@contextmanager
def adapter(grade: str, delay_ms: int) -> Iterator[tuple[str, int, Counter[str]]]:
    """A pty with the rig's adapter on it."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    asked, done = Counter[str](), threading.Event()
    serving = threading.Thread(
        target=_serve, args=(master, Responder(grade=grade, delay_ms=delay_ms), asked, done), daemon=True
    )
    serving.start()
    try:
        yield os.ttyname(slave), slave, asked
    finally:
        done.set()
        serving.join()
        os.close(master)
        os.close(slave)


def ours(grade: str, delay_ms: int) -> Rate:
    """Our dialogue, asking for speed and rpm as often as the adapter can, on the pty's own descriptor."""
    with adapter(grade, delay_ms) as (_path, slave, asked):
        elm = Elm327(Config(plan=PlanConfig(fast_ms=1)))
        start_s, values, before = 0.0, 0, 0
        while not start_s or time.monotonic() - start_s < SECONDS:
            now_ms = _now_ms()
            wait_s = max(0.0, (elm.wake_at - now_ms) / 1000)
            data = os.read(slave, 4096) if select.select([slave], [], [], wait_s)[0] else b""
            items = elm.feed(data, _now_ms())
            values += sum(isinstance(item, BusValue) for item in items) if start_s else 0
            if not start_s and elm.memory.answers > 60:  # past what is asked once
                start_s, before = time.monotonic(), asked["requests"]
            if command := elm.next_command(_now_ms()):
                os.write(slave, command)
        return Rate(values / SECONDS, (asked["requests"] - before) / SECONDS)


def theirs(python: str, grade: str, delay_ms: int) -> Rate:
    """python-OBD in a process of its own."""
    with adapter(grade, delay_ms) as (path, _slave, _asked):
        done = subprocess.run(
            [python, "-c", PEER, path, str(SECONDS), str(int(GRADES[grade].counts))],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
    values = float(done.stdout.split()[-1])
    return Rate(values, values)


@contextmanager
def peer() -> Iterator[str | None]:
    """A python that has python-OBD; None where it can't be had."""
    if python := os.environ.get("ODOGRAPH_OBD_PEER"):
        yield python
        return
    with tempfile.TemporaryDirectory(prefix="odograph-peer-") as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = str(Path(folder) / "bin" / "python")
        made = subprocess.run([python, "-m", "pip", "install", "--quiet", "obd==0.7.3"], check=False)
        yield python if made.returncode == 0 else None


def main() -> None:
    """Print the table."""
    print("vehicle bus, values a second      ours   requests   of what the delay allows   python-OBD   ratio")
    with peer() as python:
        for grade in ("genuine", "clone"):
            for delay_ms in DELAYS_MS:
                mine = ours(grade, delay_ms)
                other = theirs(python, grade, delay_ms) if python else Rate(float("nan"), float("nan"))
                waits_ms = 0 if GRADES[grade].counts else GRADES[grade].wait_ms
                share = 100 * mine.queries * (delay_ms + waits_ms) / 1000
                print(f"  {grade:<8} {delay_ms:>4} ms an answer    {mine.values:8.1f} {mine.queries:10.1f} {share:24.0f} % "
                      f"{other.values:14.1f} {mine.values / other.values:7.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
