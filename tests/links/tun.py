"""A line of packets: the agent in a network namespace of its own, and a relay in Python between two TUN devices. Needs root.

netem is not everywhere; delay, loss, rate and resets are made here, packet by packet, so that the kernel's own TCP meets them.
"""

import asyncio
import ctypes
import fcntl
import os
import random
import shutil
import struct
import subprocess
import threading
from pathlib import Path

from tests.links import packets
from tests.links.line import Gate, Shape

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
MTU = 1500


def possible() -> bool:
    """Whether this machine and this user can have such a line."""
    return os.getuid() == 0 and shutil.which("ip") is not None and Path("/dev/net/tun").exists()


def _run(*words: str) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def _tun(name: str, namespace: str | None) -> int:
    """A TUN device, in a namespace if one is named; made by a thread that alone goes there."""
    made: list[int] = []

    def make() -> None:
        if namespace is not None:
            there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
            if ctypes.CDLL(None, use_errno=True).setns(there, CLONE_NEWNET) != 0:
                os.close(there)
                return
            os.close(there)
        end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        made.append(end)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if not made:
        raise OSError(f"no TUN device {name} in {namespace or 'this namespace'}")
    return made[0]


class TunLine:
    """The hub's end is this namespace, the vehicle's end one of its own."""

    def __init__(self, chance: random.Random) -> None:
        word = f"{os.getpid() % 0xFFFF:x}{random.SystemRandom().randrange(256):02x}"
        self.shape = Shape()
        self._name, self._device = f"odo{word}", f"odo{word}"
        self.prefix = ["ip", "netns", "exec", self._name]
        net = f"10.{200 + os.getpid() % 50}.{random.SystemRandom().randrange(256)}"
        self.broker_host, self._vehicle = f"{net}.1", f"{net}.2"
        self._chance = chance
        self._ends: list[int] = []
        self._gates = (Gate(), Gate())
        self._timers: set[asyncio.TimerHandle] = set()
        self.carried = [0, 0]
        self.dropped = 0

    def prepare(self) -> None:
        """The devices, before a broker listens on one of them."""
        _run("ip", "netns", "add", self._name)
        self._ends = [_tun("up0", self._name), _tun(self._device, None)]
        inside = ["ip", "-n", self._name]
        _run(*inside, "addr", "add", self._vehicle, "peer", self.broker_host, "dev", "up0")
        _run(*inside, "link", "set", "up0", "up", "mtu", str(MTU))
        _run(*inside, "link", "set", "lo", "up")
        _run("ip", "addr", "add", self.broker_host, "peer", self._vehicle, "dev", self._device)
        _run("ip", "link", "set", self._device, "up", "mtu", str(MTU))

    async def start(self, broker_port: int) -> str:
        """Carry packets from now on."""
        loop = asyncio.get_running_loop()
        for at, end in enumerate(self._ends):
            loop.add_reader(end, self._take, at)
        return f"mqtt://{self.broker_host}:{broker_port}"

    async def stop(self) -> None:
        """Both devices and the namespace go."""
        for timer in self._timers:
            timer.cancel()
        for end in self._ends:
            asyncio.get_running_loop().remove_reader(end)
            os.close(end)
        self._ends = []
        ending = await asyncio.create_subprocess_exec("ip", "netns", "delete", self._name)
        await ending.wait()

    def up(self) -> None:
        """Good as new; what stands in a queue is forgotten."""
        self.shape = Shape()
        self._gates = (Gate(), Gate())

    def _take(self, at: int) -> None:
        for _ in range(64):
            try:
                packet = os.read(self._ends[at], MTU + 100)
            except BlockingIOError:
                return
            self._judge(at, packet)

    def _judge(self, at: int, packet: bytes) -> None:
        """`at` 0 is from the vehicle, 1 to it."""
        shape = self.shape
        if shape.dead or (shape.mute and at == 1) or self._chance.random() < shape.loss:
            self.dropped += 1
            return
        tcp = packets.is_tcp(packet)
        if tcp and at == 0 and shape.refuse:
            if not packets.flags(packet) & packets.RST:
                self._put(0, packets.resets(packet)[0])
            return
        if tcp and at == 0 and shape.resets_per_s and not packets.flags(packet) & packets.RST:
            self._maybe_reset(packet, shape)
        now = asyncio.get_running_loop().time()
        due = self._gates[at].leaves_at(len(packet), now, shape, bps=shape.deaf_bps if at == 0 else 0.0)
        if due is None:
            self.dropped += 1
        elif due <= now:
            self._put(1 - at, packet)
        else:
            self._later(due - now, 1 - at, packet)

    _reset_at = 0.0

    def _maybe_reset(self, packet: bytes, shape: Shape) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._reset_at:
            return
        self._reset_at = now + self._chance.expovariate(shape.resets_per_s)
        back, on = packets.resets(packet)
        self._put(0, back)
        self._put(1, on)

    def _later(self, seconds: float, end: int, packet: bytes) -> None:
        def put() -> None:
            self._timers.discard(timer)
            if not self.shape.dead:
                self._put(end, packet)

        timer = asyncio.get_running_loop().call_later(seconds, put)
        self._timers.add(timer)

    def _put(self, end: int, packet: bytes) -> None:
        self.carried[1 - end] += len(packet)
        try:
            os.write(self._ends[end], packet)
        except (BlockingIOError, OSError):
            self.dropped += 1
