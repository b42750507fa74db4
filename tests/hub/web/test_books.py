"""The account by REST: it closes, it is bounded by the fleet, and wrong spans are named."""

from hub.ports import Heard
from tests.hub.makers import STORE, T0, a_batch, an_incoming
from tests.hub.web.conftest import FOREIGN, Web
from wire.messages import Lost


async def booked(web: Web) -> None:
    await web.store.append([
        an_incoming(a_batch(1, 10, lost=[Lost(11, 12, "thinned")]), device="gw-van-1"),
        an_incoming(a_batch(1, 5), device="gw-van-2"), an_incoming(a_batch(1, 3), device="gw-far"),
    ])  # fmt: skip
    await web.store.heard([Heard("gw-van-1", STORE, 20, T0)])
    await web.start()


async def test_days_and_devices_of_the_fleet(web: Web) -> None:
    await booked(web)
    async with web.http() as http:
        told = (await http.get("/v1/ledger/days")).json()
        assert told["at"] == web.at_ms
        assert [(one["vehicle"], one["day"], one["recorded"]) for one in told["days"]] == [
            ("van-1", "2025-10-09", 20), ("van-2", "2025-10-09", 5),
        ]  # fmt: skip
        assert told["days"][0] == {
            "vehicle": "van-1", "day": "2025-10-09", "recorded": 20, "received": 10, "lost": {"thinned": 2},
            "out_there": 8, "told_ms": T0, "notes": [],
        }  # fmt: skip
        assert [(one["device"], one["off"]) for one in told["devices"]] == [("gw-van-1", 0), ("gw-van-2", 0)]
        one = (await http.get("/v1/ledger/days?vehicle=van-2&from=2025-10-01&to=2025-10-09")).json()
        assert [day["vehicle"] for day in one["days"]] == ["van-2"]
        assert (await http.get("/v1/ledger/days?from=2024-01-01&to=2024-02-01")).json()["days"] == []
    async with web.http(FOREIGN) as http:
        assert [one["vehicle"] for one in (await http.get("/v1/ledger/days")).json()["days"]] == ["far"]
        assert (await http.get("/v1/ledger/days?vehicle=van-1")).status_code == 404
    async with web.http(None) as http:
        assert (await http.get("/v1/ledger/days")).status_code == 401


async def test_a_device_that_was_in_another_fleet_too_is_not_summed(web: Web) -> None:
    await web.store.bind("gw-far", "van-1", valid_from_ms=T0 + 10_000_000, now_ms=T0)
    await web.refresh()
    await booked(web)
    async with web.http() as http:
        told = (await http.get("/v1/ledger/days")).json()
    assert "gw-far" not in {one["device"] for one in told["devices"]}
    assert {one["vehicle"] for one in told["days"]} == {"van-1", "van-2"}


async def test_wrong_spans_are_named(web: Web) -> None:
    await web.start()
    async with web.http() as http:
        for query, where in (("from=soon", "from"), ("to=x", "to"), ("from=2025-02-01&to=2025-01-01", "to")):
            answer = await http.get(f"/v1/ledger/days?{query}")
            assert (answer.status_code, answer.json()["error"]["where"]) == (422, where)
