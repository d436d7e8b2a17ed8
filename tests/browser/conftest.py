"""A headless Chromium as the far end. Signalling is calls of functions of its page."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, async_playwright

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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """The browser; each page has a profile of its own in it."""
    if CHROMIUM is None:
        pytest.skip("no chromium: apt install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@asynccontextmanager
async def opened(chromium: Browser, html: str) -> AsyncIterator[Page]:
    """A page in a profile of its own."""
    async with await chromium.new_context() as profile:
        page = await profile.new_page()

        async def serve(route: Route) -> None:
            await route.fulfill(body=html, content_type="text/html")

        await page.route(ADDRESS, serve)
        await page.goto(ADDRESS)
        yield page


@pytest_asyncio.fixture(loop_scope="module")
async def page(chromium: Browser) -> AsyncIterator[Page]:
    """A page with `farEnd`, see far_end.html."""
    async with opened(chromium, (PAGES / "far_end.html").read_text()) as page:
        yield page


@pytest_asyncio.fixture(loop_scope="module")
async def view(chromium: Browser) -> AsyncIterator[Page]:
    """A page with `shown`, see view.html."""
    async with opened(chromium, (PAGES / "view.html").read_text()) as page:
        yield page


@pytest_asyncio.fixture(loop_scope="module")
async def rebuilt(chromium: Browser) -> AsyncIterator[Page]:
    """A page with `farEnd`, see rebuilt.html."""
    async with opened(chromium, (PAGES / "rebuilt.html").read_text()) as page:
        yield page
