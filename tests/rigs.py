"""Real parts for tests: Mosquitto, Redis, PostgreSQL, on loopback and free ports, ended by their own process."""

import asyncio
import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench.yard import free_port

RECORDINGS = Path(__file__).parent / "recordings"


def binary(name: str, *folders: str) -> str:
    """Path of a program that the test set-up has installed."""
    for folder in folders:
        for path in sorted(Path("/").glob(f"{folder.strip('/')}/{name}"), reverse=True):
            return str(path)
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    assert found, f"{name} is not installed; `make test` installs it"
    return found


def wait_for_port(port: int, process: "subprocess.Popen[bytes]", seconds: float = 15.0) -> None:
    """Until something listens there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server has ended at once"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on {port}")


@contextlib.contextmanager
def server(*command: str, port: int, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A server for as long as the block lasts."""
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        wait_for_port(port, process)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def mosquitto_passwords(folder: Path, users: dict[str, str]) -> Path:
    """A password file, made by Mosquitto's own tool."""
    path = folder / "passwords"
    path.write_text("".join(f"{user}:{secret}\n" for user, secret in users.items()), encoding="utf-8")
    subprocess.run([binary("mosquitto_passwd"), "-U", str(path)], check=True)
    path.chmod(0o644)
    return path


@contextlib.contextmanager
def mosquitto(folder: Path, lines: list[str], port: int | None = None) -> Iterator[int]:
    """Debian's Mosquitto with these lines of configuration; gives its port."""
    port = port or free_port()
    config = folder / f"mosquitto-{port}.conf"
    user = [f"user {pwd.getpwuid(os.getuid()).pw_name}"]
    config.write_text("\n".join([f"listener {port} 127.0.0.1", *user, *lines]) + "\n", encoding="utf-8")
    with server(binary("mosquitto"), "-c", str(config), port=port, log=folder / "mosquitto.log"):
        yield port


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Debian's Redis without persistence; gives its URL."""
    port = free_port()
    command = [binary("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with server(*command, port=port, log=folder / "redis.log"):
        yield f"redis://127.0.0.1:{port}/0"


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A cluster of its own; initdb refuses root, so it runs as `postgres` or `nobody` then. Gives its URL."""
    port = free_port()
    data = folder / "pg"
    data.mkdir()
    prefix: list[str] = []
    if os.getuid() == 0:
        user = next(name for name in ("postgres", "nobody") if _has_user(name))
        shutil.chown(data, user)
        for parent in [folder, *folder.parents]:
            if parent.stat().st_uid == 0 and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
        prefix = ["runuser", "-u", user, "--"]
    initdb = binary("initdb", "usr/lib/postgresql/*/bin")
    subprocess.run(
        [*prefix, initdb, "-D", str(data), "-U", "odograph", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"],
        check=True, stdout=subprocess.DEVNULL, cwd="/",
    )  # fmt: skip
    command = [*prefix, binary("postgres", "usr/lib/postgresql/*/bin"), "-D", str(data), "-p", str(port),
               "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]  # fmt: skip
    with server(*command, port=port, log=folder / "postgres.log"):
        _wait_for_postgres(port)
        yield f"postgresql://odograph@127.0.0.1:{port}/postgres"


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _wait_for_postgres(port: int) -> None:
    ready = binary("pg_isready", "usr/lib/postgresql/*/bin", "usr/bin")
    for _ in range(200):
        if subprocess.run([ready, "-q", "-h", "127.0.0.1", "-p", str(port)], check=False).returncode == 0:
            return
        time.sleep(0.05)
    raise AssertionError("PostgreSQL does not get ready")


async def eventually(check: "object", *, within_s: float = 10.0, every_s: float = 0.05) -> None:
    """Until `check()` is true; it may be a coroutine function."""
    assert callable(check)
    deadline = time.monotonic() + within_s
    while True:
        result = check()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return
        assert time.monotonic() < deadline, f"not within {within_s} s"
        await asyncio.sleep(every_s)
