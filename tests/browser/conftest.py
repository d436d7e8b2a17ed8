"""A headless Chromium as the far end. Signalling is calls of functions of its page."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, async_playwright

ADDRESS = "http://localhost/page"  # never dialled: the page is served from here
PAGES = Path(__file__).parent
CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--autoplay-policy=no-user-gesture-required",
]


@asynccontextmanager
async def opened(html: str) -> AsyncIterator[Page]:
    """A page in a browser and a profile of its own."""
    if CHROMIUM is None:
        pytest.skip("no chromium: apt install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page()

        async def serve(route: Route) -> None:
            await route.fulfill(body=html, content_type="text/html")

        await page.route(ADDRESS, serve)
        await page.goto(ADDRESS)
        yield page
        await browser.close()


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A page with `farEnd`, see far_end.html."""
    async with opened((PAGES / "far_end.html").read_text()) as page:
        yield page


@pytest.fixture
async def view() -> AsyncIterator[Page]:
    """A page with `shown`, see view.html."""
    async with opened((PAGES / "view.html").read_text()) as page:
        yield page


@pytest.fixture
async def rebuilt() -> AsyncIterator[Page]:
    """A page with `farEnd`, see rebuilt.html."""
    async with opened((PAGES / "rebuilt.html").read_text()) as page:
        yield page
