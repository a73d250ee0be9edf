"""Chromium, for tests that look at pages: the machine's, else Debian's."""

from __future__ import annotations

import functools
import shutil

from playwright.sync_api import Browser, Playwright

from machine import NotToBeHad, debian, install, lacking, run

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
"""Root's has no sandbox; and it asks nobody but the pages that it is shown."""


def launch(playwright: Playwright) -> Browser:
    """Start it; a machine without one takes it from Debian, if we are root."""
    return playwright.chromium.launch(executable_path=executable(), args=list(QUIET))


def executable() -> str:
    """Its path."""
    path, why = _find()
    return path or lacking("Chromium", why)


@functools.cache
def _find() -> tuple[str | None, str]:
    """Its path; or None, and why there is none."""
    if (found := _installed()) is None:
        try:
            with debian():
                if _installed() is None:  # another of the tests' processes may have installed it just now
                    run("apt-get", "update", "-q", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20")
                    install("chromium")
        except NotToBeHad as error:
            return None, str(error)
        found = _installed()
    return found, "Debian's package has none of these programs: " + ", ".join(NAMES)


def _installed() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)
