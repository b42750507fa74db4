"""The ground of the simulation: a clock that jumps to the next timer, and processes that can die at any await."""

import asyncio
import copy
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any

CURRENT: ContextVar["Process | None"] = ContextVar("CURRENT", default=None)


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop without a wait in it: what costs time in the world costs none here."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self._selector = self
        self.set_task_factory(_task)

    def time(self) -> float:
        return self.now_s

    def select(self, timeout: float | None) -> list[object]:
        if timeout is None:
            raise RuntimeError("the simulation stands still: nothing is left to happen")
        if timeout > 0:
            self.now_s = self._scheduled[0].when()  # type: ignore[attr-defined]  # the timers of BaseEventLoop
        return []

    def _process_events(self, event_list: list[object]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps."""


class Process:
    """Tasks that die together. What they held when they died goes on in objects that nobody looks at any more."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.tasks: dict[asyncio.Task[Any], None] = {}

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        context = copy_context()
        context.run(CURRENT.set, self)
        asyncio.get_running_loop().create_task(work, context=context)

    def kill(self) -> None:
        self.alive = False
        self.cancel()

    def cancel(self) -> None:
        for task in [*self.tasks]:
            task.cancel()


def _task(loop: asyncio.AbstractEventLoop, coro: Any, context: Any = None) -> "asyncio.Task[Any]":
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, context=context)
    process = CURRENT.get() if context is None else context.get(CURRENT)
    if process is not None:
        process.tasks[task] = None
        task.add_done_callback(lambda done: process.tasks.pop(done, None))
    return task


def run(main: Coroutine[Any, Any, None], on_fault: Callable[[dict[str, Any]], None]) -> VirtualLoop:
    """Run to the end of `main`; whatever still runs then is ended."""
    loop = VirtualLoop()
    loop.set_exception_handler(lambda _loop, context: on_fault(context))
    try:
        loop.run_until_complete(main)
        for _ in range(20):
            left = asyncio.all_tasks(loop)
            if not left:
                break
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.wait(left))
    finally:
        loop.close()
    return loop


def copied(one: object) -> Any:
    """Another object with the same state: what stands in its containers is frozen, the containers are its own."""
    twin = copy.copy(one)
    for name, value in vars(one).items():
        if isinstance(value, dict | list | set):
            setattr(twin, name, copy.copy(value))
    return twin
