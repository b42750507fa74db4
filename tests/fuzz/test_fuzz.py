"""Hostile input in short form: payloads that once broke something, 100,000 fresh ones, and the ingest with its store."""

import asyncio
import random
import secrets
from pathlib import Path

import pytest

from tests.fuzz import mass
from tests.fuzz.cases import CASES
from tests.fuzz.decoders import BY_NAME, DECODERS, Decoder
from tests.fuzz.ingest import IngestViolationError, ingesting
from tests.fuzz.mass import Result, Tally
from tests.fuzz.mutate import Mutator
from wire.codec import decode_ack, encode_ack
from wire.messages import Ack

DECODED, INGESTED = 97_000, 2_400
PIECES = 4


@pytest.mark.parametrize("name", CASES)
def test_what_once_broke(name: str) -> None:
    decoder, payload = CASES[name]
    BY_NAME[decoder].check(payload)


@pytest.mark.parametrize("decoder", DECODERS, ids=[one.name for one in DECODERS])
def test_what_is_real_is_taken(decoder: Decoder) -> None:
    """Otherwise the mutations would begin with nothing."""
    chance = random.Random(1)
    taken = [decoder.check(decoder.seal(one, chance)) for one in decoder.corpus()]
    assert any(taken)


@pytest.mark.parametrize("piece", range(PIECES))
def test_fresh_payloads(piece: int) -> None:
    seed = secrets.randbelow(1 << 31)
    result = Result()
    for result in mass.run(DECODED // PIECES, seed):  # noqa: B007  # the last is the whole
        pass
    assert result.sent >= DECODED // PIECES
    assert not result.violations, f"--seed {seed}: {result.violations}"


async def test_the_ingest_answers_and_goes_on(tmp_path: Path) -> None:
    seed = secrets.randbelow(1 << 31)
    async with ingesting(tmp_path, seed) as work:
        try:
            while work.sent < INGESTED:
                await work.round()
            await work.ended()
        except IngestViolationError as error:
            raise AssertionError(f"--seed {seed}: {error}") from None
    assert work.tracks > INGESTED // 4


# The judges can fail.


def _crashes(payload: bytes) -> bool:
    return {b"{": True}[payload[:1]]


def _swells(payload: bytes) -> bool:
    return bool(bytearray(2 * mass.ROOM_BYTES))


def _dawdles(payload: bytes) -> bool:
    return sum(range(20_000_000)) > 0


@pytest.mark.parametrize(
    ("check", "how"),
    [(_crashes, "KeyError"), (_swells, "MemoryError"), (_dawdles, "took")],
    ids=["crash", "memory", "time"],
)
def test_a_bad_decoder_is_found(check: object, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mass, "MOST_S", 0.1)
    assert callable(check)
    decoder = Decoder("bad", 1, lambda: (b'{"v":1}',), check)
    tally = Tally()
    with mass.bounded():
        assert how in mass.tried(decoder, b"x" * 10, tally)
    assert tally.sent == 1


async def _run_with(tmp_path: Path, hurt: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.ingest.PATIENCE_S", 1.0)
    assert callable(hurt)
    async with ingesting(tmp_path, 1) as work:
        work.hurt = hurt
        for _ in range(10):
            await work.round()


async def test_poison_without_an_answer_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(answer: bytes) -> bytes:
        return b"" if decode_ack(answer).bad is not None else answer

    with pytest.raises(IngestViolationError, match="is answered"):
        await _run_with(tmp_path, silent, monkeypatch)


async def test_a_device_that_is_stuck_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(answer: bytes) -> bytes:
        ack = decode_ack(answer)
        return answer if ack.upto is None else encode_ack(Ack(ack.store, 0, ack.h))

    with pytest.raises(IngestViolationError, match="not taken"):
        await _run_with(tmp_path, stuck, monkeypatch)


def test_the_same_seed_makes_the_same_payloads() -> None:
    first, second = (Mutator(random.Random(7), (b'{"v":1,"t":5}', b"$GPRMC,1*00")) for _ in range(2))
    assert [first.one() for _ in range(500)] == [second.one() for _ in range(500)]


async def test_a_lane_that_ends_is_found(tmp_path: Path) -> None:
    async with ingesting(tmp_path, 1) as work:
        ended = asyncio.create_task(asyncio.sleep(0))
        await ended
        work.tasks.insert(0, ended)
        with pytest.raises(IngestViolationError, match="a lane has ended"):
            await work._until(lambda: False, "never")
