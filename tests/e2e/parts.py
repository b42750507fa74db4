"""What end-to-end tests share: waiting for a vehicle to drain, and reading the hub as a client does."""

import asyncio
import secrets
import time

import httpx

from bench.yard import Gateway, Hub
from wire.errors import UnavailableError


async def token_of(hub: Hub) -> str:
    """A fresh token that may read."""
    return str((await hub.json("token", "add", f"test-{secrets.token_hex(4)}"))["token"])


async def exported(hub: Hub, vehicle: str, token: str = "") -> str:
    """The whole track of a vehicle as NDJSON."""
    token = token or await token_of(hub)
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(
            f"{hub.http}/v1/vehicles/{vehicle}/track",
            params={"format": "ndjson", "from": "0"},
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )
    answer.raise_for_status()
    return answer.text


async def drained(gateway: Gateway, *, within_s: float = 30.0) -> None:
    """Until nothing waits in the agent, twice in a row."""
    deadline, quiet = time.monotonic() + within_s, 0
    state: dict[str, object] = {}
    while quiet < 2:
        if time.monotonic() > deadline:
            raise AssertionError(f"not drained: {state}\n{gateway.agent.log.read_text()[-3000:]}")
        try:
            state = await gateway.status()
            quiet = quiet + 1 if state.get("waiting") == 0 else 0
        except UnavailableError:
            quiet = 0
        await asyncio.sleep(0.3)
