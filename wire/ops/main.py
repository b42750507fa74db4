"""Runs a program: log lines, signals, tasks, and an exit status from the error tree."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine

from wire.errors import OdographError

TIDY_S = 3.0
AGAIN_S = 10.0
"""A signal to end within so long of another one is the same wish."""
EXIT = """exit status:
  0 fine   1 a bug or a check that failed   2 wrong arguments or settings
  3 something that is needed does not answer   4 refused   5 input that can't be read"""
"""What both programs say about it in their help."""
LOG_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"


def set_up_logging(level: str) -> None:
    """Log lines on standard error; libraries only from warning on."""
    logging.basicConfig(level=logging.WARNING, format=LOG_FORMAT, stream=sys.stderr)
    logging.getLogger("odograph").setLevel(level.upper())


def run(program: Callable[[], Coroutine[object, object, None]]) -> int:
    """Run an async program until it ends or SIGINT or SIGTERM asks it to; gives the exit status."""
    status = 0
    try:
        asyncio.run(_until_signal(program))
    except* OdographError as group:
        status = report(_first(group))
    return status


def call(command: Callable[[], int | None]) -> int:
    """Run a short command; gives the exit status."""
    try:
        return command() or 0
    except OdographError as error:
        return report(error)
    except KeyboardInterrupt:
        return 130


def report(error: OdographError) -> int:
    """Tell an error on standard error, a line for each fault."""
    for line in str(error).splitlines() or [error.code]:
        print(f"error: {line}", file=sys.stderr)
    return error.exit_status


def _first(group: BaseExceptionGroup[OdographError]) -> OdographError:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


async def _until_signal(program: Callable[[], Coroutine[object, object, None]]) -> None:
    task = asyncio.ensure_future(program())
    loop = asyncio.get_running_loop()
    asked_s: list[float] = []

    def ask() -> None:
        """Once: a second signal (of a terminal and of who started us, too) must not cut the tidying short."""
        if not asked_s or loop.time() - asked_s[-1] > AGAIN_S:
            asked_s.append(loop.time())
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask)
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def together(*works: Awaitable[None]) -> None:
    """Run works side by side; when one ends or fails, the others are cancelled and awaited.

    Libraries under a work may lose its cancelling; so it is asked again, after time enough to tidy up.
    """
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        pending = {task for task in tasks if not task.done()}
        while pending:
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=TIDY_S)
        results = await asyncio.gather(*tasks, return_exceptions=True)
    faults = [r for r in results if isinstance(r, BaseException) and not isinstance(r, asyncio.CancelledError)]
    if faults:
        raise BaseExceptionGroup("together", faults)
