"""What a user sees on the live page, in a real browser. The hub is a stub here; the end-to-end test has the real one."""

import re
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from playwright.async_api import Browser, expect

from tests.hub.pages.stub import CODE, DIST, TOKEN, Stub, fleet, serving
from tests.hub.pages.visitor import DESK, PHONE, browsing, visitor
from tests.rigs import eventually
from wire.geo import distance_m

pytestmark = pytest.mark.e2e
PAIRS = (
    ("ink", "surface"), ("ink", "raised"), ("ink", "live-soft"), ("muted", "surface"), ("muted", "raised"), ("muted", "land"),
    ("live", "surface"), ("live", "live-soft"), ("catching-up", "surface"), ("catching-up", "live-soft"),
    ("offline", "surface"), ("on-accent", "live"), ("on-accent", "catching-up"),
)  # fmt: skip


TO_GO = re.compile(r"^catching up · \d+ fixes to go$")


@pytest.fixture
async def stub() -> Stub:
    assert (DIST / "index.html").exists(), "build the pages first: npm ci && npm run build in hub/pages"
    return Stub(fleet())


@pytest.fixture
async def base_url(stub: Stub) -> AsyncIterator[str]:
    async with serving(stub) as url:
        yield url


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with browsing() as browser:
        yield browser


async def test_three_vehicles_glide_and_nothing_is_amiss(browser: Browser, base_url: str) -> None:
    visit = await visitor(browser, base_url)
    await visit.enter(CODE)
    assert visit.page.url == f"{base_url}/", "the code stays out of the address bar"
    await expect(visit.page.locator("#rows tr")).to_have_count(3)
    await expect(visit.page.locator("#rows .name")).to_have_text(["Truck 7", "Van 1", "Van 2"])
    for key in ("van-1", "van-2"):
        row = await visit.row(key)
        assert "km/h" in row
        assert "rpm" in row
        assert "± 10 m" in row
        assert row.endswith("live")
    places = []
    for _ in range(12):
        await visit.page.wait_for_timeout(250)
        shown = (await visit.vehicle("van-1"))["shown"]
        places.append((shown["lat"], shown["lon"]))
    steps = [distance_m(*a, *b) for a, b in pairwise(places)]
    assert sum(steps) > 10, "the van moves"
    assert max(steps) < 25, "and it does not jump"
    assert not [url for url in visit.asked if CODE in url or TOKEN in url], "no secret in a URL"
    assert await visit.complaints() == []


async def test_now_first_then_the_backlog(browser: Browser, base_url: str, stub: Stub) -> None:
    visit = await visitor(browser, base_url)
    await visit.enter(CODE)
    van = stub.drives[1]
    van.cut()
    await visit.page.wait_for_timeout(9000)
    van.pace = 1  # a fix a second comes, a fix a second goes: the backlog stays until we have looked
    van.heal()
    lane = visit.page.locator("tr[data-veh='van-2'] .lane")
    await expect(lane).to_have_text(TO_GO, timeout=5000)
    assert (await visit.seen())["atMs"] - (await visit.vehicle("van-2"))["fixMs"] < 2500, "now comes first"
    await expect(visit.page.locator("[data-tally='catching-up']")).to_have_text("1")
    await expect(visit.page.locator("#said")).to_have_text(re.compile(f"^Van 2: {TO_GO.pattern.lstrip('^')}"))
    van.pace = 4
    await expect(lane).to_have_text(re.compile(r"^live · \d+ fixes caught up$"), timeout=8000)
    await visit.page.wait_for_timeout(2500)
    assert (await visit.vehicle("van-2"))["track"] >= 430, "the gap is filled from the store"
    assert await visit.complaints() == []


async def test_a_vehicle_without_link_is_held_and_its_bound_grows(browser: Browser, base_url: str, stub: Stub) -> None:
    visit = await visitor(browser, base_url)
    await visit.enter(CODE)
    stub.drives[2].online = False
    await expect(visit.page.locator("tr[data-veh='truck-7'] .lane")).to_contain_text("offline since", timeout=4000)
    await visit.page.wait_for_timeout(800)
    before = await visit.vehicle("truck-7")
    await visit.page.wait_for_timeout(1500)
    after = await visit.vehicle("truck-7")
    assert before["shown"] == after["shown"]
    assert after["errorM"] > before["errorM"] + 30
    assert "–" in await visit.row("truck-7"), "no speed is claimed"


async def test_selecting_follows_and_the_keyboard_does_it_too(browser: Browser, base_url: str, stub: Stub) -> None:
    """Whoever is selected is looked at by its id, so that the hub asks it to be more exact, until it no longer is."""
    visit = await visitor(browser, base_url)
    await visit.enter(CODE)
    button = visit.page.get_by_role("button", name="Van 2", exact=True)
    await button.focus()
    await visit.page.keyboard.press("Enter")
    await expect(button).to_have_attribute("aria-pressed", "true")
    await expect(visit.page.locator("#follow")).to_have_text("Following Van 2")
    await expect(visit.page.locator("#detail")).to_contain_text("km in")
    await visit.page.wait_for_timeout(2500)
    seen = await visit.seen()
    shown = (await visit.vehicle("van-2"))["shown"]
    centre = seen["map"]["centre"]
    assert distance_m(centre["lat"], centre["lon"], shown["lat"], shown["lon"]) < 30
    box = await visit.page.locator("#map").bounding_box()
    assert box is not None
    await visit.page.keyboard.press("Escape")
    await expect(visit.page.locator("#detail")).to_be_hidden()
    await eventually(lambda: stub.looked_at[-2:] == [["van-2"], None])
    assert len((await visit.seen())["vehicles"]) > 1, "the snapshot of the one is not taken for the fleet"
    await visit.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await expect(visit.page.locator("tr[data-selected='true'] .name")).to_have_text("Van 2")
    assert await visit.complaints() == []


async def test_a_lost_hub_is_told_and_found_again(browser: Browser, base_url: str, stub: Stub) -> None:
    visit = await visitor(browser, base_url)
    await visit.enter(CODE)
    await stub.break_streams()
    await expect(visit.page.locator("#banner")).to_contain_text("The hub is out of reach.")
    await expect(visit.page.locator("#countdown")).to_contain_text("Next try in")
    await expect(visit.page.locator("tr[data-veh='van-1'] .lane")).to_contain_text("no news since")
    stub.down = False
    # By script, because the page may find the hub by itself before a mouse gets there.
    await visit.page.evaluate("document.getElementById('retry').click()")
    await expect(visit.page.locator("#banner")).to_be_hidden(timeout=3000)
    await expect(visit.page.locator("tr[data-veh='van-1'] .lane")).to_have_text("live")


async def test_signing_in_and_out(browser: Browser, base_url: str) -> None:
    visit = await visitor(browser, base_url)
    await visit.page.goto(f"{base_url}/#code=used-before")
    await expect(visit.page.get_by_role("alert")).to_contain_text("used already")
    field = visit.page.get_by_label("Access token")
    await expect(field).to_be_focused()
    await field.fill("wrong")
    await visit.page.keyboard.press("Enter")
    await expect(visit.page.get_by_role("alert")).to_contain_text("not known to the hub")
    await field.fill(TOKEN)
    await visit.page.get_by_role("button", name="Sign in").click()
    await expect(visit.page.locator("#rows tr")).to_have_count(3)
    await visit.page.reload()
    await expect(visit.page.locator("#rows tr")).to_have_count(3)
    await visit.page.get_by_role("button", name="Sign out").click()
    await expect(field).to_be_visible()
    assert await visit.page.evaluate("sessionStorage.length + localStorage.length") == 0


async def test_an_empty_fleet_says_what_to_do(browser: Browser, base_url: str, stub: Stub) -> None:
    stub.drives.clear()
    visit = await visitor(browser, base_url)
    await visit.enter(CODE)
    await expect(visit.page.get_by_role("heading", name="No vehicles yet")).to_be_visible()
    await expect(visit.page.locator("#empty code").first).to_have_text("odograph-hub vehicle add")
    assert await visit.complaints() == []


async def test_a_phone_has_the_map_on_top_and_cards_below(browser: Browser, base_url: str) -> None:
    visit = await visitor(browser, base_url, PHONE, has_touch=True, is_mobile=True)
    await visit.enter(CODE)
    stage = await visit.page.locator("#stage").bounding_box()
    cards = [await card.bounding_box() for card in await visit.page.locator("#rows tr").all()]
    assert stage is not None
    assert stage["width"] == PHONE[0]
    assert 300 < stage["height"] < 0.6 * PHONE[1]
    for card in cards:
        assert card is not None
        assert card["y"] > stage["y"] + stage["height"]
        assert card["x"] >= 0
        assert card["x"] + card["width"] <= PHONE[0]
    assert await visit.page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
    await visit.page.locator("tr[data-veh='van-1']").tap()
    await expect(visit.page.locator("#follow")).to_have_text("Following Van 1")
    assert await visit.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_stands_out(browser: Browser, base_url: str, scheme: str) -> None:
    visit = await visitor(browser, base_url, DESK, color_scheme=scheme)
    await visit.page.goto(base_url)
    for text, ground in PAIRS:
        ratio = await visit.page.evaluate(
            """([text, ground]) => {
              const style = getComputedStyle(document.documentElement);
              const light = (name) => {
                const hex = style.getPropertyValue(`--${name}`).trim().replace(/^#(.)(.)(.)$/, "#$1$1$2$2$3$3").slice(1);
                const parts = [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255);
                const [r, g, b] = parts.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
              };
              const [a, b] = [light(text), light(ground)].sort();
              return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            }""",
            [text, ground],
        )
        assert ratio >= 4.5, f"{text} on {ground} is {ratio:.2f}"


async def test_calm_where_motion_is_not_wanted(browser: Browser, base_url: str) -> None:
    visit = await visitor(browser, base_url, reduced_motion="reduce")
    await visit.enter(CODE)
    before = (await visit.seen())["frames"]
    await visit.page.wait_for_timeout(2000)
    assert (await visit.seen())["frames"] - before <= 5
