"""Takes the pictures of the documentation from a running hub: `python -m tests.hub.pages.picture URL CODE FOLDER [VEHICLE]`.

A code is good once, so one session is opened with it and kept for all pictures.
"""

import asyncio
import sys
from pathlib import Path

from playwright.async_api import Browser

from tests.hub.pages.visitor import DESK, PHONE, browsing, visitor

PICTURES = (
    ("live-page", DESK, "light", 1),
    ("live-page-dark", DESK, "dark", 1),
    ("live-page-phone", PHONE, "light", 2),
)
SETTLE_MS = 6000


async def take(browser: Browser, base_url: str, code: str, folder: Path, vehicle: str | None) -> None:
    token = None
    for name, size, scheme, scale in PICTURES:
        visit = await visitor(browser, base_url, size, color_scheme=scheme, device_scale_factor=scale)
        if token is None:
            await visit.enter(code)
            token = await visit.page.evaluate("sessionStorage.getItem('odograph.token')")
        else:
            await visit.page.goto(base_url)
            await visit.page.get_by_label("Access token").fill(token)
            await visit.page.keyboard.press("Enter")
            await visit.page.wait_for_selector("#link[data-state=live]")
        await visit.page.wait_for_timeout(SETTLE_MS)
        if vehicle is not None:
            await visit.page.locator(f"tr[data-veh='{vehicle}'] .name").click()
            await visit.page.locator("#whole-fleet").click()
            await visit.page.wait_for_timeout(SETTLE_MS)
        folder.mkdir(parents=True, exist_ok=True)
        await visit.page.screenshot(path=folder / f"{name}.png")
        await visit.page.context.close()


async def main(base_url: str, code: str, folder: str, vehicle: str | None = None) -> None:
    async with browsing() as browser:
        await take(browser, base_url.rstrip("/"), code, Path(folder), vehicle)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
