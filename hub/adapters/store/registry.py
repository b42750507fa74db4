"""The registry in the store: reading it whole, and the changes that the command line makes."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.adapters.store import schema
from hub.adapters.store.database import Database
from hub.core.registry import Binding, Device, Registry, Token, Vehicle
from wire.errors import RefusedError


class RegistryPart(Database):
    """Who is who."""

    async def _meta(self, key: str) -> int:
        async with self.reading() as tx:
            return int(await tx.scalar(select(schema.meta.c.value).where(schema.meta.c.key == key)) or 0)

    async def epoch(self) -> int:
        """Grows when the store was restored from a backup."""
        return await self._meta("epoch")

    async def registry_version(self) -> int:
        """Grows with each change of the registry."""
        return await self._meta("registry")

    async def registry(self) -> Registry:
        """Everybody as of now."""
        async with self.reading() as tx:

            async def rows(query: Select[Any]) -> Sequence[Any]:
                return list(await tx.execute(query))

            version = await tx.scalar(select(schema.meta.c.value).where(schema.meta.c.key == "registry"))
            fleets = await rows(select(schema.fleet.c.fleet).order_by(schema.fleet.c.fleet))
            vehicles = await rows(select(schema.vehicle))
            devices = await rows(select(schema.device))
            bindings = await rows(select(schema.binding).order_by(schema.binding.c.valid_from_ms))
            credentials = await rows(select(schema.credential))
            tokens = await rows(select(schema.token))
        held: defaultdict[str, list[Binding]] = defaultdict(list)
        for row in bindings:
            held[row.device].append(Binding(row.vehicle, row.valid_from_ms))
        return Registry(
            version=int(version or 0),
            fleets=tuple(row.fleet for row in fleets),
            vehicles={r.vehicle: Vehicle(r.vehicle, r.fleet, r.name, tuple(json.loads(r.tags))) for r in vehicles},
            devices={r.device: Device(r.device, r.fleet, bool(r.suspended), tuple(held[r.device])) for r in devices},
            credentials={row.identity: row.hash for row in credentials},
            tokens={r.digest: Token(r.digest, r.name, r.fleet, r.scope, r.expires_ms) for r in tokens},
        )

    @asynccontextmanager
    async def _changing(self, what: str, subject: str, now_ms: int, **detail: object) -> AsyncIterator[AsyncConnection]:
        """A change with its line in the audit and a new version of the registry."""
        async with self.writing() as tx:
            yield tx
            line = {"at_ms": now_ms, "what": what, "subject": subject, "detail": json.dumps(detail)}
            await tx.execute(schema.audit.insert(), line)
            meta = schema.meta
            await tx.execute(update(meta).where(meta.c.key == "registry").values(value=meta.c.value + 1))

    async def add_fleet(self, fleet: str, now_ms: int) -> None:
        """Add a fleet. Raises RefusedError if there is one of this name."""
        try:
            async with self._changing("fleet.add", fleet, now_ms) as tx:
                await tx.execute(schema.fleet.insert(), {"fleet": fleet, "made_ms": now_ms})
        except IntegrityError:
            raise RefusedError(f"there is a fleet {fleet} already") from None

    async def add_vehicle(self, vehicle: str, fleet: str, *, name: str, tags: Sequence[str], now_ms: int) -> None:
        """Add a vehicle to a fleet."""
        async with self._changing("vehicle.add", vehicle, now_ms, fleet=fleet) as tx:
            await _wanted(tx, schema.fleet.c.fleet, fleet, "odograph-hub fleet add")
            await _unused(tx, schema.vehicle.c.vehicle, vehicle)
            row = {"vehicle": vehicle, "fleet": fleet, "name": name, "tags": json.dumps(list(tags)), "made_ms": now_ms}
            await tx.execute(schema.vehicle.insert(), row)

    async def add_device(
        self, device: str, vehicle: str, *, password_hash: str, valid_from_ms: int, now_ms: int
    ) -> None:
        """Add a device, bound to a vehicle."""
        async with self._changing("device.add", device, now_ms, vehicle=vehicle) as tx:
            await _wanted(tx, schema.vehicle.c.vehicle, vehicle, "odograph-hub vehicle add")
            await _unused(tx, schema.device.c.device, device)
            fleet = await tx.scalar(select(schema.vehicle.c.fleet).where(schema.vehicle.c.vehicle == vehicle))
            row = {"device": device, "fleet": fleet, "suspended": False, "made_ms": now_ms}
            await tx.execute(schema.device.insert(), row)
            bound = {"device": device, "vehicle": vehicle, "valid_from_ms": valid_from_ms}
            await tx.execute(schema.binding.insert(), bound)
            await self._put_credential(tx, device, password_hash, now_ms)

    async def bind(self, device: str, vehicle: str, *, valid_from_ms: int, now_ms: int) -> None:
        """Move a device into another vehicle."""
        async with self._changing("device.bind", device, now_ms, vehicle=vehicle) as tx:
            await _wanted(tx, schema.device.c.device, device, "odograph-hub device add")
            await _wanted(tx, schema.vehicle.c.vehicle, vehicle, "odograph-hub vehicle add")
            bound = {"device": device, "vehicle": vehicle, "valid_from_ms": valid_from_ms}
            put = self.insert(schema.binding)
            await tx.execute(
                put.on_conflict_do_update(
                    index_elements=["device", "valid_from_ms"], set_={"vehicle": put.excluded.vehicle}
                ),
                bound,
            )

    async def set_suspended(self, device: str, *, suspended: bool, now_ms: int) -> None:
        """Shut a device out, or let it in again."""
        async with self._changing("device.suspend" if suspended else "device.resume", device, now_ms) as tx:
            await _wanted(tx, schema.device.c.device, device, "odograph-hub device add")
            await tx.execute(update(schema.device).where(schema.device.c.device == device).values(suspended=suspended))

    async def set_credential(self, identity: str, password_hash: str, now_ms: int) -> None:
        """Set the password hash of an identity."""
        async with self._changing("credential.set", identity, now_ms) as tx:
            await self._put_credential(tx, identity, password_hash, now_ms)

    async def _put_credential(self, tx: AsyncConnection, identity: str, password_hash: str, now_ms: int) -> None:
        put = self.insert(schema.credential)
        await tx.execute(
            put.on_conflict_do_update(
                index_elements=["identity"], set_={"hash": put.excluded.hash, "made_ms": put.excluded.made_ms}
            ),
            {"identity": identity, "hash": password_hash, "made_ms": now_ms},
        )

    async def add_token(self, token: Token, now_ms: int) -> None:
        """Add a token."""
        async with self._changing("token.add", token.name, now_ms, scope=token.scope, fleet=token.fleet) as tx:
            await _wanted(tx, schema.fleet.c.fleet, token.fleet, "odograph-hub fleet add")
            await tx.execute(schema.token.insert(), _token_row(token, now_ms))

    async def remove_token(self, name: str, fleet: str, now_ms: int) -> None:
        """Remove a token by its name. Raises RefusedError if the fleet has none of that name."""
        token = schema.token.c
        async with self._changing("token.revoke", name, now_ms, fleet=fleet) as tx:
            gone = await tx.execute(schema.token.delete().where(token.name == name, token.fleet == fleet))
            if gone.rowcount == 0:
                raise RefusedError(f"fleet {fleet} has no token {name}")

    async def add_login_code(self, code_digest: str, fleet: str, *, expires_ms: int, now_ms: int) -> None:
        """Add a one-use login code."""
        async with self._changing("login-code.add", fleet, now_ms) as tx:
            await _wanted(tx, schema.fleet.c.fleet, fleet, "odograph-hub fleet add")
            row = {"digest": code_digest, "fleet": fleet, "expires_ms": expires_ms, "made_ms": now_ms}
            await tx.execute(schema.login_code.insert(), row)

    async def redeem(self, code_digest: str, token: Token, now_ms: int) -> Token | None:
        """Change a login code into this token (its fleet is the code's), once; None if the code does not hold."""
        code = schema.login_code.c
        async with self.writing() as tx:
            held = (code.digest == code_digest) & code.used_ms.is_(None) & (code.expires_ms > now_ms)
            done = await tx.execute(update(schema.login_code).where(held).values(used_ms=now_ms).returning(code.fleet))
            fleet = done.scalar()
            if fleet is None:
                return None
            given = Token(token.digest, token.name, fleet, token.scope, token.expires_ms)
            await tx.execute(schema.token.insert(), _token_row(given, now_ms))
            meta = schema.meta
            await tx.execute(update(meta).where(meta.c.key == "registry").values(value=meta.c.value + 1))
            return given


def _token_row(token: Token, now_ms: int) -> dict[str, object]:
    return {
        "digest": token.digest, "name": token.name, "fleet": token.fleet, "scope": token.scope,
        "expires_ms": token.expires_ms, "made_ms": now_ms,
    }  # fmt: skip


async def _wanted(tx: AsyncConnection, column: Any, value: str, cure: str) -> None:
    if await tx.scalar(select(column).where(column == value)) is None:
        raise RefusedError(f"there is no {column.key} {value}; add it with: {cure} {value}")


async def _unused(tx: AsyncConnection, column: Any, value: str) -> None:
    if await tx.scalar(select(column).where(column == value)) is not None:
        raise RefusedError(f"there is a {column.key} {value} already")
