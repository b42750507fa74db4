"""kill -9: twenty of whole processes at random instants, and some at single calls of a commit cycle; nothing lost, nothing doubled."""

import secrets
from pathlib import Path

import pytest

from tests.kills.sweep import Shot, one_shot, why_not
from tests.kills.world import Committed, a_world, run

pytestmark = pytest.mark.e2e

NO_STRACE = why_not()
traced = pytest.mark.skipif(bool(NO_STRACE), reason=NO_STRACE)


@pytest.mark.timeout(300)  # on a machine that does much else
async def test_twenty_kills_of_agents_hub_broker_and_valkey(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    seed = secrets.randbelow(1 << 31)
    async with a_world(tmp_path, seed, 2) as world:
        line = await run(world, 20)
    assert not world.faults, f"--seed {seed}: {line}\n" + "\n".join(world.faults)
    assert world.fixes >= 20


@traced
@pytest.mark.parametrize(
    ("what", "call", "n"),
    [
        ("outbox", "pwrite64", 20), ("outbox", "pwrite64", 60), ("outbox", "pwrite64", 95), ("outbox", "fdatasync", 17),
        ("outbox", "fdatasync", 20), ("outbox", "rename", 2), ("store", "pwrite64", 100), ("store", "fdatasync", 9),
    ],
)  # fmt: skip
def test_a_kill_at_one_call_of_a_commit_cycle(what: str, call: str, n: int) -> None:
    killed, faults = one_shot(Shot(what, call, n))
    assert killed, "the cycle has so many calls"
    assert not faults


@traced
@pytest.mark.parametrize(("what", "n", "plant"), [("outbox", 80, "ack-first"), ("store", 120, "ack-first")])
def test_a_word_before_the_commit_is_found(what: str, n: int, plant: str) -> None:
    killed, faults = one_shot(Shot(what, "pwrite64", n), plant)
    assert killed
    assert faults


@traced
@pytest.mark.parametrize("what", ["outbox", "store"])
def test_what_is_doubled_is_found(what: str) -> None:
    _, faults = one_shot(Shot(what, "unlink", 99), "twice")
    assert faults


def test_what_was_committed_may_only_be_dated() -> None:
    undated = Committed("f", b"[null,1,2]", "", open=True)
    assert undated.is_still(Committed("f", b"[5,1,2]", "AAAAAAAAAAA", open=False))
    assert not undated.is_still(Committed("f", b"[5,1,3]", "AAAAAAAAAAA", open=False))
    final = Committed("f", b"[5,1,2]", "AAAAAAAAAAA", open=False)
    assert final.is_still(final)
    assert not final.is_still(Committed("f", b"[6,1,2]", "AAAAAAAAAAA", open=False))
    assert not final.is_still(Committed("f", b"[5,1,2]", "BBBBBBBBBBB", open=False))
