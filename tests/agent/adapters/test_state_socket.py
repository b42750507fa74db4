"""The status socket: who may ask, what comes back, and each way in which nobody answers."""

import asyncio
import json
import socket
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.adapters import state_socket
from agent.adapters.state_socket import answer, ask, socket_path
from wire.errors import UnavailableError


async def answering(path: Path, state: Callable[[], dict[str, object]]) -> "asyncio.Task[None]":
    task = asyncio.create_task(answer(path, state))
    while not path.exists():  # the file appears with the socket
        assert not task.done()
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.01)
    return task


async def ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_agents_word_for_its_owner_only(tmp_path: Path) -> None:
    path = socket_path(tmp_path / "outbox.db")
    path.write_text("what a crash has left")
    path.unlink()
    task = await answering(path, lambda: {"running": True, "fix": None})
    assert path.name == "outbox.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [await asyncio.to_thread(ask, path) for _ in range(3)] == [{"running": True, "fix": None}] * 3
    await ended(task)
    assert not path.exists()


async def test_one_left_by_a_crash_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert ask(path) is None, "nobody is behind it"
    task = asyncio.create_task(answer(path, lambda: {"running": True}))
    await asyncio.sleep(0.1)
    assert await asyncio.to_thread(ask, path) == {"running": True}
    await ended(task)


async def test_who_asks_and_goes_or_never_reads_disturbs_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context))
    monkeypatch.setattr(state_socket, "REPLY_S", 0.1)
    monkeypatch.setattr(state_socket, "REQUEST_S", 0.1)
    path = tmp_path / "x.sock"
    task = await answering(path, lambda: {"running": True, "much": "x" * 3_000_000})
    deaf = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for one in deaf:
        one.connect(str(path))
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as rude:
            rude.connect(str(path))
    await asyncio.sleep(0.3)
    for one in deaf:
        one.close()
    await ended(task)
    await asyncio.sleep(0)
    assert faults == []


async def test_orders(tmp_path: Path) -> None:
    asked: list[object] = []

    async def obey(request: Mapping[str, object]) -> dict[str, object]:
        asked.append(request)
        return {"done": True}

    path = tmp_path / "x.sock"
    task = asyncio.create_task(answer(path, lambda: {"running": True}, {"it": obey}))
    while not path.exists():  # noqa: ASYNC110  # the file appears with the socket
        await asyncio.sleep(0.01)
    assert await asyncio.to_thread(ask, path, {"do": "it", "n": 1}) == {"done": True}
    assert asked == [{"do": "it", "n": 1}]
    assert await asyncio.to_thread(ask, path, {"do": "else"}) == {"error": "unknown order"}
    with pytest.raises(UnavailableError, match="can't be asked"):
        await asyncio.to_thread(ask, path, {"do": "it", "much": "x" * 3_000_000})
    for said in (b"hello\n", b"[1]\n", b"[" * 4000 + b"\n", b"\xff\n"):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(said)
        assert json.loads(await reader.readline()) == {"error": "unknown order"}
        writer.close()
        await writer.wait_closed()
    assert await asyncio.to_thread(ask, path) == {"running": True}
    assert len(asked) == 1
    await ended(task)


def test_nobody_there(tmp_path: Path) -> None:
    assert ask(tmp_path / "none.sock") is None


@pytest.mark.parametrize("place", ["x" * 120 + "/outbox.sock", "none/outbox.sock", "file/outbox.sock"])
async def test_a_place_where_no_socket_can_be(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match=r"outbox\.sock: "):
        await answer(tmp_path / place, dict)


def test_a_path_that_is_too_long_to_ask(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="can't be asked"):
        ask(tmp_path / ("x" * 120) / "outbox.sock")


@contextmanager
def talking(path: Path, said: bytes | None) -> Iterator[None]:
    """Something else on the socket, that says this, or nothing at all."""
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()
        done = threading.Event()

        def serve() -> None:
            line, _ = door.accept()
            with line:
                if said is None:
                    done.wait(5)
                else:
                    line.sendall(said)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize("said", [b"", b"hello", b"[]", b"\xff\xfe", b"[" * 60_000, b"null\n", b'{"a":'])
def test_something_else_answers(tmp_path: Path, said: bytes) -> None:
    with talking(tmp_path / "x.sock", said), pytest.raises(UnavailableError, match="answers something else"):
        ask(tmp_path / "x.sock")


def test_an_answer_without_end_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError), talking(tmp_path / "x.sock", b"x" * 200_000):
        ask(tmp_path / "x.sock")


def test_an_agent_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_socket, "ASK_S", 0.1)
    with talking(tmp_path / "x.sock", None), pytest.raises(UnavailableError, match="can't be asked: timed out"):
        ask(tmp_path / "x.sock")
