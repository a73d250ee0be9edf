"""The page Loads in Chromium: a file uploaded, corrected, brought in; its refused rows taken home."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from console_steps import DESK, PATIENCE, PHONE, Demo, serious, take_picture, visiting
from installation import Installation

pytestmark = pytest.mark.service


def people() -> str:
    rows = (
        f"console-{number},p{number}@console.example,{'-' if number % 50 == 7 else number % 90}\n"
        for number in range(200)
    )
    return "Customer ID,E-Mail,Score\n" + "".join(rows)


@pytest.fixture
def demo(shared_installation: Installation) -> Demo:
    """The shared installation, as the console's steps know one."""
    note = shared_installation.note
    return Demo(shared_installation.data, note["api"], note["collector"], shared_installation.key, "", [], 0)


def test_a_file_is_uploaded_corrected_and_brought_in(browser: Browser, demo: Demo, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(people(), encoding="utf-8")
    with visiting(browser, demo) as visitor:
        page = visitor.page
        visitor.open("/loads")
        expect(page.get_by_text("No file was uploaded")).to_be_visible()
        with page.expect_file_chooser() as chosen:
            page.get_by_role("button", name="Upload a file").click()
        chosen.value.set_files(path)
        page.get_by_role("heading", name="people.csv").wait_for(timeout=PATIENCE)
        expect(page.get_by_role("combobox", name="Customer ID is")).to_have_value("user_id")
        expect(page.get_by_role("combobox", name="E-Mail is")).to_have_value("email")
        expect(page.get_by_text("most are integer")).to_be_visible()
        expect(page.get_by_text("200 rows taken, 0 refused of all rows")).to_be_visible()
        assert serious(page) == []
        page.get_by_role("combobox", name="Type of Score").fill("money")
        page.get_by_role("button", name="Look with this").click()
        expect(page.get_by_text("there is no type 'money'")).to_be_visible(timeout=PATIENCE)
        page.locator(".mantine-Notification-closeButton").click()
        page.get_by_role("combobox", name="Type of Score").fill("integer")
        page.get_by_role("button", name="Look with this").click()
        expect(page.get_by_text("196 rows taken, 4 refused of all rows")).to_be_visible(timeout=PATIENCE)
        take_picture(page, "/loads/one", "light", DESK)
        page.get_by_role("button", name="Load", exact=True).click()
        page.get_by_role("dialog").get_by_role("button", name="Load", exact=True).click()
        expect(page.get_by_text("196 rows in, 4 refused")).to_be_visible(timeout=PATIENCE)
        expect(page.get_by_text("Done")).to_be_visible(timeout=PATIENCE)
        with page.expect_download() as saved:
            page.get_by_role("link", name="Download the refused rows").click()
        lines = Path(saved.value.path()).read_text(encoding="utf-8").splitlines()
        assert lines[0] == "Customer ID,E-Mail,Score,line,column,reason"
        assert lines[1] == "console-7,p7@console.example,-,9,Score,'-' is no integer"
        assert len(lines) == 5
        visitor.open("/loads")
        expect(page.get_by_role("link", name="people.csv")).to_be_visible()
        assert serious(page) == []
        take_picture(page, "/loads", "light", DESK)
        page.set_viewport_size(PHONE)
        for shown in ("/loads", page.get_by_role("link", name="people.csv").get_attribute("href") or ""):
            visitor.open(shown)
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        page.get_by_role("button", name="Remove the file").click()
        expect(page.get_by_text("No file was uploaded")).to_be_visible(timeout=PATIENCE)
        # The flawed mapping was answered 400.
        assert [one for one in visitor.wrong if "/mapping" not in one] == []
