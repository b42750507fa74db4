"""Somebody who opens the live page in a real browser, and notes what should not happen there."""

import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, Page, async_playwright

ARGS = (
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-gpu-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=Translate",
)
WAIT_S = 20
DESK, PHONE = (1440, 900), (390, 844)
VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (e) => window.violations.push(`${e.violatedDirective}: ${e.blockedURI}`));
"""


@dataclass(slots=True)
class Visitor:
    """A page, and what was noted: errors in its console, requests to other hosts."""

    page: Page
    base_url: str
    errors: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def note(self) -> None:
        home = urlsplit(self.base_url).netloc

        def request(url: str) -> None:
            self.asked.append(url)
            parts = urlsplit(url)
            if parts.scheme not in {"data", "blob"} and parts.netloc != home:
                self.strangers.append(url)

        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda asked: request(asked.url))
        self.page.on("websocket", lambda socket: request(socket.url))

    async def enter(self, code: str) -> None:
        """Opens the sign-in link, and waits for the fleet."""
        await self.page.goto(f"{self.base_url}/#code={code}")
        await self.page.wait_for_selector("#link[data-state=live]")
        # Polled from here: a function that waits inside the page would need the policy to allow eval.
        for _ in range(WAIT_S * 10):
            seen = await self.seen()
            if seen["map"] is not None and seen["frames"] > 2:
                return
            await self.page.wait_for_timeout(100)
        raise TimeoutError("the map did not come up")

    async def seen(self) -> dict[str, Any]:
        """The page's own account: `vehicles` with predicted and shown places, `map`, `connected`."""
        seen: dict[str, Any] = await self.page.evaluate("JSON.parse(JSON.stringify(window.odograph))")
        return seen

    async def vehicle(self, key: str) -> dict[str, Any]:
        vehicles: list[dict[str, Any]] = (await self.seen())["vehicles"]
        return next(vehicle for vehicle in vehicles if vehicle["id"] == key)

    async def row(self, key: str) -> str:
        """A vehicle's row as one line of text."""
        return " ".join((await self.page.locator(f"tr[data-veh='{key}']").inner_text()).split())

    async def complaints(self) -> list[str]:
        """All that was noted, and what the content security policy stopped. Nothing is as it should be."""
        violations: list[str] = await self.page.evaluate("window.violations")
        return [*self.errors, *self.strangers, *violations]


Visit = Callable[..., Awaitable[Visitor]]


@contextlib.asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """Debian's Chromium without a screen."""
    chromium = shutil.which("chromium")
    assert chromium is not None, "the tests of the pages need Debian's package chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(ARGS))
        try:
            yield browser
        finally:
            await browser.close()


async def visitor(browser: Browser, base_url: str, size: tuple[int, int] = DESK, **context: Any) -> Visitor:
    """A new tab of a browser that has never been here."""
    tab = await browser.new_context(viewport={"width": size[0], "height": size[1]}, **context)
    page = await tab.new_page()
    await page.add_init_script(VIOLATIONS)
    visiting = Visitor(page, base_url)
    visiting.note()
    return visiting
