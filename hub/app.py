"""Puts the hub together: the only place where adapters meet the flow."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from hub.adapters.broker import EmbeddedBroker
from hub.adapters.mqtt import Link
from hub.adapters.redis import RedisNow
from hub.adapters.store.sql import SqlStore
from hub.adapters.valkey import EmbeddedValkey
from hub.boards import Boards
from hub.books import after_upgrade
from hub.core.registry import Registry
from hub.events import HAPPENINGS
from hub.flow import BULK, OUTCOMES, WORDS, Limits
from hub.ground import first_fleet, identities, only_hub, open_store, own_secrets
from hub.ports import Surroundings
from hub.settings import Hub
from hub.upkeep import Upkeep
from hub.watching import Watching
from hub.web.api import build
from hub.web.server import HttpServer
from wire import VERSION
from wire.errors import UnavailableError
from wire.ops.clock import utc_ms
from wire.ops.main import together
from wire.ops.mqtt import Login, login
from wire.ops.watch import Watch
from wire.topics import Way, every

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  # where the hub itself finds such a broker
PAGES = Path(__file__).parent / "pages" / "dist"
WATCHDOG_S = 0.5


@dataclass(slots=True)
class Parts:
    """What runs."""

    store: SqlStore
    now: RedisNow
    ingest: Upkeep
    links: tuple[Link, Link]
    broker: EmbeddedBroker | None
    valkey: EmbeddedValkey | None
    http: HttpServer
    watch: Watch
    boards: Boards
    place: "Place"


@asynccontextmanager
async def assembled(settings: Hub, data: Path) -> AsyncIterator[Parts]:
    """All parts, started in the order in which they need each other, and ended the other way round."""
    watch = Watch("hub", HAPPENINGS)
    async with AsyncExitStack() as stack:
        stack.enter_context(only_hub(data))
        store = open_store(settings, data, watch)
        stack.push_async_callback(store.close)
        await store.open()
        await first_fleet(settings, store)
        await after_upgrade(store, watch)
        own = await own_secrets(settings, store, data)
        valkey = None
        if settings.redis.url is None:
            valkey = EmbeddedValkey(data / "run", watch)
            stack.push_async_callback(valkey.stop)
            await valkey.start()
        now = RedisNow(settings.redis.url or (valkey.url if valkey else ""))
        stack.push_async_callback(now.close)
        limits = Limits(settings.limits.inbox_batches, settings.limits.inbox_words)
        ingest = Upkeep(store, now, watch=watch, utc_ms=utc_ms, limits=limits)
        broker, place = None, Place(settings.mqtt.url or "", settings.mqtt.url or "")
        if settings.mqtt.url is None:
            broker = EmbeddedBroker(watch, ingest.look_again)
            broker.enforce(await store.registry())
            stack.push_async_callback(broker.stop)
            await _listen(broker, settings, place)
        links = _links(settings, place, own, ingest=ingest, watch=watch)
        ingest.bulk, ingest.fast = links
        await ingest.start()
        http = HttpServer(settings.http.host, settings.http.port)
        stack.callback(http.close)
        yield Parts(store, now, ingest, links, broker, valkey, http, watch, Boards(now, store.last_pos, watch), place)
        await ingest.save_live()


async def _listen(broker: EmbeddedBroker, settings: Hub, place: "Place") -> None:
    """Start the embedded broker; at the port that it had, if it had one."""
    mqtt = settings.mqtt
    port, own_port = await broker.start(
        mqtt.host, urlsplit(place.public).port or mqtt.port, tls_cert=mqtt.tls_cert, tls_key=mqtt.tls_key,
        max_connections=mqtt.max_connections,
    )  # fmt: skip
    host = f"[{mqtt.host}]" if ":" in mqtt.host else mqtt.host
    place.public = f"mqtt{'s' if mqtt.tls_cert else ''}://{host}:{port}"
    place.own = f"mqtt://{host if mqtt.tls_cert is None else '127.0.0.1'}:{own_port}"
    if mqtt.tls_cert is None and mqtt.host in ANYWHERE:
        place.own = f"mqtt://{ANYWHERE[mqtt.host]}:{own_port}"


def _links(settings: Hub, place: "Place", own: dict[str, str], *, ingest: Upkeep, watch: Watch) -> tuple[Link, Link]:
    """One connection for live and track, one for events and statuses: a backlog must not hold an SOS up."""

    def made(identity: str, names: tuple[str, ...]) -> Link:
        def entry() -> Login:
            return login(place.own, identity, secret=own[identity], ca_file=settings.mqtt.ca_file)

        filters = [every(Way.UP, name) for name in names]
        return Link(names[0], entry, filters=filters, on_message=ingest.take, watch=watch)

    bulk, fast = identities(settings)
    return made(bulk, BULK), made(fast, (*WORDS, OUTCOMES))


@dataclass(slots=True)
class Place:
    """Where the broker is: for devices, and for the hub itself."""

    public: str
    own: str


def _ready(parts: Parts) -> dict[str, str | None]:
    """By part, why it is not ready; None if it is."""
    return {
        "store": parts.ingest.store_fault,
        "redis": parts.ingest.redis_fault if parts.ingest.redis_tried else "not tried yet",
        "mqtt": None if all(link.up for link in parts.links) else "no link to the broker",
        "stream": None if parts.boards.follows else "not yet listening to Redis",
        "http": None if parts.http.serves else "not yet listening",
    }


def _awaited(parts: Parts) -> bool:
    """Whether the start still waits for a part. A Redis that does not answer holds neither store nor ack up."""
    without_redis = {"redis", "stream"} if parts.ingest.redis_fault is not None else set()
    return any(why for name, why in _ready(parts).items() if name not in without_redis)


def _surroundings(parts: Parts, settings: Hub) -> Surroundings:
    return Surroundings(
        store=parts.store, now=parts.now, registry=lambda: parts.ingest.registry, board=parts.boards.of,
        watch=parts.watch, utc_ms=utc_ms, random_token=lambda: secrets.token_urlsafe(32),
        render_metrics=parts.watch.render, ready=lambda: _ready(parts), registry_changed=parts.ingest.refresh,
        look_again=parts.ingest.look_again, tile_url=settings.page.tile_url, attribution=settings.page.attribution,
        stream_clients=settings.limits.stream_clients, client_rate=settings.limits.client_rate,
        client_silent_s=settings.limits.client_silent_s, near_vehicles=settings.limits.near_vehicles, pages=str(PAGES),
    )  # fmt: skip


async def _watch_broker(parts: Parts, settings: Hub) -> None:
    """Start the embedded broker again when it stops serving."""
    broker = parts.broker
    while broker is not None:
        await asyncio.sleep(WATCHDOG_S)
        if not broker.serves:
            parts.watch("broker.died")
            try:
                await broker.stop()
                await _listen(broker, settings, parts.place)
            except UnavailableError as error:
                parts.watch("broker.died", error=error)


async def _announce(parts: Parts, settings: Hub, ready_file: Path | None) -> None:
    """Say once that vehicles and people may come, then be quiet for ever."""
    while _awaited(parts):  # noqa: ASYNC110  # each part has its own way to be ready
        await asyncio.sleep(0.02)
    host = f"[{settings.http.host}]" if ":" in settings.http.host else settings.http.host
    line = f"ready http://{host}:{parts.http.port} {parts.place.public}"
    print(line, flush=True)
    if ready_file is not None:
        fresh = ready_file.with_name(ready_file.name + ".new")
        fresh.write_text(line + "\n", encoding="utf-8")
        fresh.replace(ready_file)
    parts.watch("hub.started", http=parts.http.port, mqtt=parts.place.public)
    await asyncio.Event().wait()


async def run(settings: Hub, data: Path, ready_file: Path | None = None) -> None:
    """Run the hub until it is cancelled."""
    async with assembled(settings, data) as parts:
        application, streams = build(_surroundings(parts, settings), VERSION)
        parts.watch.gauge(
            "ledger_out_there", "records told of that have not come", lambda: float(parts.ingest.out_there)
        )
        parts.watch.gauge("stream_clients", "open stream clients", lambda: float(streams.count))
        if parts.broker is not None:
            broker = parts.broker
            parts.watch.gauge("broker_connections", "open connections to the broker", lambda: float(broker.connected))

        def on_registry(registry: Registry) -> None:
            parts.boards.know(registry)
            if parts.broker is not None:
                parts.broker.enforce(registry)

        ingest = parts.ingest
        ingest.on_registry = on_registry
        watching = Watching(
            parts.boards, lambda: ingest.registry, down=parts.links[1], watch=parts.watch, utc_ms=utc_ms
        )
        ingest.on_outcome = watching.outcome
        works = [
            ingest.keep_books(settings.limits.quarantine_mb << 20),
            ingest.keep_registry(), ingest.keep_redis(str(await parts.store.epoch())), ingest.keep_live(),
            ingest.live_lane(), ingest.track_lane(), ingest.word_lane(), ingest.relay(),
            *(link.run() for link in parts.links), parts.boards.run(), parts.boards.look(),
            watching.run(),
            parts.http.run(application, streams.bye), _announce(parts, settings, ready_file),
        ]  # fmt: skip
        if parts.broker is not None:
            works.append(_watch_broker(parts, settings))
        if parts.valkey is not None:
            works.append(parts.valkey.run())
        try:
            await together(*works)
        finally:
            parts.watch("hub.stopped")
