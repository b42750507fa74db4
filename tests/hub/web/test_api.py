"""REST: answers, refusals in one form, fleets kept apart, nothing loaded from elsewhere."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from hub.core.access import digest
from hub.core.registry import Token
from tests.hub.makers import STORE, T0, a_batch, an_incoming
from tests.hub.web.conftest import FOREIGN, LIVE, Web
from tests.rigs import eventually
from wire.predict import predict


async def test_vehicles_are_those_of_the_fleet(web: Web) -> None:
    await web.start()
    await web.live("van-1", LIVE)
    async with web.http() as http:
        await eventually(lambda: web.boards.of("main").vehicles["van-1"].rank == web.at_ms)
        body = (await http.get("/v1/vehicles")).json()
        assert [vehicle["veh"] for vehicle in body["vehicles"]] == ["van-1", "van-2"]
        assert body["vehicles"][1] == {
            "veh": "van-2", "name": "Van-2", "on": False, "live": None, "rx": None, "q": 0, "through": None,
            "catching_up": False,
        }  # fmt: skip
        one = (await http.get("/v1/vehicles/van-1")).json()
        lat, lon = predict(LIVE, web.at_ms)
        assert one["now"] == {"lat": round(lat, 7), "lon": round(lon, 7), "bound_m": 10.0, "at": web.at_ms}
        assert (await http.get("/v1/vehicles/van-2")).json()["now"] is None
    async with web.http(FOREIGN) as http:
        body = (await http.get("/v1/vehicles")).json()
        assert [vehicle["veh"] for vehicle in body["vehicles"]] == ["far"]
        for path in ("/v1/vehicles/van-1", "/v1/vehicles/van-1/track?from=0", "/v1/ledger?vehicle=van-1"):
            assert (await http.get(path)).status_code == 404


async def test_a_vehicle_is_listed_before_redis_knows_it(web: Web) -> None:
    await web.start()
    web.boards.of("main").vehicles.clear()
    async with web.http() as http:
        body = (await http.get("/v1/vehicles")).json()
    assert [vehicle["veh"] for vehicle in body["vehicles"]] == ["van-1", "van-2"]


async def test_near(web: Web) -> None:
    await web.start()
    await web.live("van-1", LIVE)
    async with web.http() as http:
        await eventually(lambda: web.boards.of("main").vehicles["van-1"].rank == web.at_ms)
        body = (await http.get("/v1/near", params={"lat": 41.281, "lon": -96.08, "radius_m": 500})).json()
        assert [(v["veh"], v["distance_m"]) for v in body["vehicles"]] == [("van-1", pytest.approx(111.2, abs=0.5))]
        assert body["cut"] is False
        none = (await http.get("/v1/near", params={"lat": 10, "lon": 10, "limit": 99999})).json()
        assert none["vehicles"] == []
        web.now.down = True
        away = await http.get("/v1/near", params={"lat": 10, "lon": 10})
        assert (away.status_code, away.json()["error"]["code"], away.headers["retry-after"]) == (
            503,
            "unavailable",
            "1",
        )


@pytest.mark.parametrize(
    ("form", "kind"),
    [("geojson", "application/geo+json"), ("gpx", "application/gpx+xml"), ("csv", "text/csv; charset=utf-8"),
     ("ndjson", "application/x-ndjson")],
)  # fmt: skip
async def test_track(web: Web, form: str, kind: str) -> None:
    await web.store.append(
        [an_incoming(a_batch(1, 10), device="gw-van-1"), an_incoming(a_batch(11, 10), device="gw-van-1")]
    )
    await web.start()
    async with web.http() as http:
        answer = await http.get(
            "/v1/vehicles/van-1/track", params={"from": T0 + 5000, "to": T0 + 15_000, "format": form}
        )
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert answer.headers["content-disposition"] == f'attachment; filename="van-1.{form}"'
    if form == "ndjson":
        rows = [json.loads(line) for line in answer.text.splitlines()]
        assert [row["seq"] for row in rows] == list(range(5, 15))
        assert {(row["device"], row["store"]) for row in rows} == {("gw-van-1", STORE)}
    elif form == "geojson":
        assert [len(line) for line in answer.json()["geometry"]["coordinates"]] == [10]
    elif form == "gpx":
        assert len(list(ET.fromstring(answer.text).iter("{http://www.topografix.com/GPX/1/1}trkpt"))) == 10
    else:
        assert len(answer.text.splitlines()) == 11


async def test_the_track_follows_the_bindings(web: Web) -> None:
    """The device moved at T0 + 5 s: what it saw before belongs to the first vehicle, the rest to the second."""
    await web.store.append([an_incoming(a_batch(1, 10), device="gw-van-1")])
    await web.store.bind("gw-van-1", "van-2", valid_from_ms=T0 + 5000, now_ms=T0)
    await web.refresh()
    await web.start()
    async with web.http() as http:
        for vehicle, seqs in (("van-1", [1, 2, 3, 4]), ("van-2", [5, 6, 7, 8, 9, 10])):
            text = (await http.get(f"/v1/vehicles/{vehicle}/track?from=0&format=ndjson")).text
            assert [json.loads(line)["seq"] for line in text.splitlines()] == seqs


async def test_ledger(web: Web) -> None:
    await web.store.append([an_incoming(a_batch(1, 10), device="gw-van-1")])
    await web.start()
    async with web.http() as http:
        assert (await http.get("/v1/ledger?vehicle=van-1")).json() == [
            {"device": "gw-van-1", "day": "2025-10-09", "what": "rows", "n": 10}
        ]


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/v1/near", "query.lat"), ("/v1/near?lat=91&lon=0", "query.lat"), ("/v1/near?lat=x&lon=0", "query.lat"),
        ("/v1/near?lat=nan&lon=0", "query.lat"), ("/v1/near?lat=0&lon=0&radius_m=0", "query.radius_m"),
        ("/v1/near?lat=0&lon=0&limit=0", "query.limit"), ("/v1/vehicles/van-1/track", "query.from"),
        ("/v1/vehicles/van-1/track?from=soon", "from"), ("/v1/vehicles/van-1/track?from=0&to=x", "to"),
        ("/v1/vehicles/van-1/track?from=5&to=5", "to"), ("/v1/vehicles/van-1/track?from=0&format=exe", "query.format"),
        ("/v1/ledger", "query.vehicle"),
    ],
)  # fmt: skip
async def test_bad_parameters_are_named(web: Web, path: str, where: str) -> None:
    await web.start()
    async with web.http() as http:
        answer = await http.get(path)
        assert (answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["where"]) == (
            422,
            "invalid",
            where,
        )
        assert (await http.get("/v1/vehicles")).status_code == 200


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer wrong", "Basic token-of-main", "Bearer " + "x" * 5000, "token-of-main"]
)
@pytest.mark.parametrize(
    "path",
    [
        "/v1/vehicles",
        "/v1/vehicles/van-1",
        "/v1/near?lat=0&lon=0",
        "/v1/vehicles/van-1/track?from=0",
        "/v1/ledger?vehicle=van-1",
    ],
)
async def test_nothing_is_told_without_a_token(web: Web, path: str, header: str | None) -> None:
    await web.start()
    async with web.http(None) as http:
        answer = await http.get(path, headers={} if header is None else {"Authorization": header})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "auth"
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_login_code_becomes_a_token_once(web: Web) -> None:
    await web.store.add_login_code(digest("code-1"), "main", expires_ms=web.at_ms + 10, now_ms=T0)
    await web.start()
    async with web.http(None) as http:
        body = (await http.post("/v1/login", json={"code": "code-1"})).json()
        assert body["expires_ms"] == web.at_ms + 12 * 3_600_000
        seen = await http.get("/v1/vehicles", headers={"Authorization": f"Bearer {body['token']}"})
        assert [vehicle["veh"] for vehicle in seen.json()["vehicles"]] == ["van-1", "van-2"]
        for _ in range(5):
            again = await http.post("/v1/login", json={"code": "code-1"})
            assert (again.status_code, again.json()["error"]["code"]) == (401, "auth")
        limited = await http.post("/v1/login", json={"code": "code-1"})
        assert (limited.status_code, limited.json()["error"]["code"]) == (429, "too_many")
        web.at_ms += 12 * 3_600_000
        assert (await http.get("/v1/vehicles", headers={"Authorization": f"Bearer {body['token']}"})).status_code == 401


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"", 422), (b"{", 422), (b"[]", 422), (b'{"code":5}', 422), (b'{"code":""}', 422), (b'{"code":"x","y":1}', 422),
     (b'{"code":"' + b"x" * 500 + b'"}', 422), (b"x" * 20_000, 413), (b"\xff\xfe", 422)],
)  # fmt: skip
async def test_bad_bodies(web: Web, content: bytes, status: int) -> None:
    await web.start()
    async with web.http(None) as http:
        answer = await http.post("/v1/login", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == status
        assert set(answer.json()["error"]) == {"code", "message", "where"}
        assert (await http.get("/health/live")).status_code == 200


async def test_health_says_which_part_is_not_ready(web: Web) -> None:
    await web.start()
    async with web.http(None) as http:
        assert (await http.get("/health/live")).json() == {"status": "ok"}
        assert (await http.get("/health/ready")).json() == {"status": "ok", "parts": {"store": "ok", "redis": "ok"}}
        web.parts["redis"] = "does not answer"
        answer = await http.get("/health/ready")
        assert (answer.status_code, answer.json()["parts"]["redis"]) == (503, "does not answer")


async def test_metrics_are_for_this_machine_or_a_token(web: Web) -> None:
    await web.start()
    async with web.http(None) as http:
        text = (await http.get("/metrics")).text
        assert "odograph_hub_http_requests_total" in text
        assert (await http.get("/metrics", headers={"X-Forwarded-For": "203.0.113.5"})).status_code == 401
    async with web.http() as http:
        assert (await http.get("/metrics", headers={"X-Forwarded-For": "203.0.113.5"})).status_code == 200


async def test_every_answer_has_the_security_headers(web: Web) -> None:
    await web.start()
    async with web.http(None) as http:
        for path in ("/", "/v1/vehicles", "/nothing", "/docs", "/health/live"):
            headers = (await http.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            policy = headers["content-security-policy"]
            assert policy.startswith(
                "default-src 'self'; connect-src 'self' ws: wss: https://*.tiles.example; worker-src 'self'; "
            )
            assert "frame-ancestors 'none'" in policy
        assert (await http.get("/page.json")).json() == {
            "tile_url": "https://{s}.tiles.example/{z}/{x}/{y}.png", "attribution": "© somebody",
        }  # fmt: skip


async def test_pages(web: Web) -> None:
    await web.start()
    async with web.http(None) as http:
        missing = await http.get("/")
        assert (missing.status_code, "not built" in missing.text) == (503, True)
        assert (await http.get("/assets/x.js")).status_code == 404
        (web.pages / "assets").mkdir(parents=True)
        (web.pages / "index.html").write_text("<!doctype html>the page")
        (web.pages / "assets" / "x.js").write_text("1")
        (Path(web.pages).parent / "secret").write_text("no")
        page = await http.get("/")
        assert (page.text, page.headers["content-type"]) == ("<!doctype html>the page", "text/html; charset=utf-8")
        script = await http.get("/assets/x.js")
        assert "immutable" in script.headers["cache-control"]
        assert "javascript" in script.headers["content-type"]
        for path in ("/%2e%2e/secret", "/..%2fsecret", "/assets", "/assets/../../secret", "//etc/passwd", "/%00", "/a%00b",
                     "/" + "a" * 3000, "/" + "a/" * 3000 + "a", "/assets/x.js/more"):  # fmt: skip
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown"), path[:40]
        unknown = await http.get("/v1/nothing")
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown")


async def test_a_method_that_is_not_served_is_refused_in_the_one_form(web: Web) -> None:
    await web.start()
    async with web.http() as http:
        for method, path in (("DELETE", "/v1/vehicles"), ("PUT", "/v1/vehicles/van-1/track"), ("POST", "/nothing")):
            answer = await http.request(method, path)
            error = answer.json()["error"]
            assert (answer.status_code, answer.headers["allow"], error["code"]) == (405, "GET", "http"), path
            assert set(error) == {"code", "message", "where"}


async def test_a_token_made_a_moment_ago_is_let_in(web: Web) -> None:
    """The registry that the web holds does not know it yet; the store does."""
    await web.start()
    for path in ("/v1/vehicles", "/metrics"):
        fresh = f"fresh{path}"
        await web.store.add_token(Token(digest(fresh), "fresh", "main", "read"), T0)
        async with web.http(fresh) as http:
            assert (await http.get(path, headers={"X-Forwarded-For": "203.0.113.5"})).status_code == 200
    assert web.looks == 2


async def test_only_an_unknown_token_is_looked_up(web: Web) -> None:
    await web.start()
    async with web.http() as http:
        assert (await http.get("/v1/vehicles")).status_code == 200
        for header in ("", "Bearer", "Basic YTpi", "Bearer " + "x" * 5000):
            assert (await http.get("/v1/vehicles", headers={"Authorization": header})).status_code == 401
        assert web.looks == 0
        assert (await http.get("/v1/vehicles", headers={"Authorization": "Bearer guess"})).status_code == 401
        assert web.looks == 1


async def test_the_api_describes_itself_and_loads_nothing(web: Web) -> None:
    await web.start()
    async with web.http(None) as http:
        schema = (await http.get("/openapi.json")).json()
        text = (await http.get("/docs")).text
    assert {"/v1/vehicles", "/v1/near", "/v1/vehicles/{vehicle}/track", "/v1/login"} <= schema["paths"].keys()
    for calls in schema["paths"].values():
        for call in calls.values():
            refused = call["responses"]["default"]["content"]["application/json"]["schema"]
            assert refused == {"$ref": "#/components/schemas/ErrorBody"}
            assert "422" not in call["responses"]
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    assert "https://" not in text
    assert "/v1/near" in text


async def test_a_store_that_is_down_is_said(web: Web) -> None:
    await web.start()
    web.store.down = True
    async with web.http() as http:
        for path in ("/v1/vehicles/van-1/track?from=0", "/v1/ledger?vehicle=van-1"):
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert (await http.get("/v1/vehicles")).status_code == 200
