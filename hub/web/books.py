"""The ledger by REST: its lines, and the account by vehicle and day."""

from typing import Annotated, Any

from fastapi import FastAPI, Query

from hub.core import exports, ledger
from hub.core.marks import DAY_MS
from hub.core.registry import Token
from hub.ports import Surroundings
from hub.web import bodies
from hub.web.doors import ApiError, vehicle_of

MOST_DAYS = 400


class Books:
    """What came in, and what did not."""

    def __init__(self, around: Surroundings, caller: Any) -> None:
        self._around, self._caller = around, caller

    def mount(self, app: FastAPI) -> None:
        """Both calls."""
        token = self._caller

        @app.get("/v1/ledger", response_model=list[bodies.LedgerLine], summary="What came in, by device and UTC day")
        async def lines(vehicle: str, caller: Token = token) -> list[bodies.LedgerLine]:
            found = await self._around.store.ledgers(self._devices(caller, vehicle), ledger.FIRST_DAY, ledger.LAST_DAY)
            return [
                bodies.LedgerLine(device=line.device, day=ledger.day_text(line.day), what=line.what, n=line.n)
                for line in found
            ]

        @app.get(
            "/v1/ledger/days",
            response_model=bodies.LedgerDays,
            summary="Recorded = received + lost + out there, by vehicle and UTC day; at most 400 days, the newest",
        )
        async def days(
            vehicle: str | None = None,
            start: Annotated[str | None, Query(alias="from", description="ISO 8601 or milliseconds since 1970")] = None,
            end: Annotated[str | None, Query(alias="to")] = None,
            caller: Token = token,
        ) -> dict[str, object]:
            return await self._days(caller, vehicle, start, end)

    def _devices(self, caller: Token, vehicle: str | None) -> set[str]:
        """Those that were ever in the vehicle, or in any of the fleet."""
        registry = self._around.registry()
        known = (
            registry.fleet_vehicles(caller.fleet) if vehicle is None else [vehicle_of(self._around, vehicle, caller)]
        )
        wanted = {one.vehicle for one in known}
        return {one.device for one in registry.devices.values() if wanted & {b.vehicle for b in one.bindings}}

    async def _days(self, caller: Token, vehicle: str | None, start: str | None, end: str | None) -> dict[str, object]:
        devices, now_ms = self._devices(caller, vehicle), self._around.utc_ms()
        last = now_ms // DAY_MS + 1 if end is None else exports.when(end, "to") // DAY_MS
        first = last - MOST_DAYS if start is None else exports.when(start, "from") // DAY_MS
        if last < first:
            raise ApiError(422, "invalid", "to must not be before from", where="to")
        store, registry = self._around.store, self._around.registry()
        first = max(first, last - MOST_DAYS)
        lines, reaches = await store.ledgers(devices, first, last), await store.reaches(devices)
        found = ledger.days(lines, reaches, registry=registry, first=first, last=last, now_ms=now_ms)
        mine = {vehicle} if vehicle is not None else {one.vehicle for one in registry.fleet_vehicles(caller.fleet)}
        own = {one.vehicle for one in registry.fleet_vehicles(caller.fleet)}
        whole = {one for one in devices if {b.vehicle for b in registry.devices[one].bindings} <= own}  # none of others
        sums = ledger.balances(
            await store.totals(whole), [one for one in reaches if one.device in whole], now_ms=now_ms
        )
        return {
            "at": now_ms,
            "days": [ledger.day_data(one) for one in found if one.vehicle in mine],
            "devices": [ledger.balance_data(one) for one in sums],
        }
