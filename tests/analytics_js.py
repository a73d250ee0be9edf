"""Segment's analytics.js in a real browser: a shop's page that loads it as Segment's snippet does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web
from playwright.async_api import Page, async_playwright

from chromium import QUIET, executable

NODE_MODULES: Final = Path(__file__).parent / "node_modules"

# As Segment's snippet has it, but for the addresses.
_PAGE: Final = """<!doctype html><title>Shop</title><script>
window.analytics = []; analytics._writeKey = KEY; analytics._cdn = HOST;
</script><script data-global-segment-analytics-key="analytics" src="/standalone.js"></script>"""


@asynccontextmanager
async def shop_page(collector: str, key: str) -> AsyncIterator[tuple[Page, list[str]]]:
    """Open the page, its analytics.js started with what our host says; with what goes wrong in it."""
    text = _PAGE.replace("KEY", json.dumps(key)).replace("HOST", json.dumps(collector))
    async with _serving(text) as address, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), args=list(QUIET))
        page = await browser.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        await page.goto(address)
        await page.wait_for_function("window.analytics.initialized === true")
        yield page, wrong
        await browser.close()


@asynccontextmanager
async def _serving(page: str) -> AsyncIterator[str]:
    """A shop's page, and analytics.js beside it as its package has it; the address."""
    app = web.Application()

    async def shown(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    app.router.add_get("/", shown)
    app.router.add_static("/", NODE_MODULES / "@segment/analytics-next/dist/umd")
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()
