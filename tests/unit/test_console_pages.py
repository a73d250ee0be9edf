"""The console's pages: which addresses are theirs, what goes with them, and that nothing else can be read."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from asgi import App, ask
from obverse.apps.console import PAGES, is_page, mount

SCRIPT = b"document.documentElement.dataset.scheme = 'dark'"
INDEX = b'<!doctype html><title>Obverse</title><script>%s</script><script src="/assets/index-1a.js"></script>' % SCRIPT


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    built = tmp_path / "pages"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_bytes(INDEX)
    (built / "assets" / "index-1a.js").write_bytes(b"export {}")
    (built / "assets" / "index-2b.css").write_bytes(b"body {}")
    (built / "assets" / ".hidden.js").write_bytes(b"secret")
    (tmp_path / "secret.js").write_bytes(b"secret")
    return built


@pytest.fixture
def app(pages: Path) -> App:
    made = Starlette()

    async def overview(_: Request) -> Response:
        return PlainTextResponse("figures")

    made.add_route("/v1/overview", overview)
    mount(made, pages)
    return made


PLACES = ["/", "/events", "/profiles/user_id:a%2Fb", "/crm/hubspot", "/sign-in", "/nowhere", "/vanity", "/documents"]


@pytest.mark.parametrize("target", PLACES)
async def test_every_page_opens_by_its_address(app: App, target: str) -> None:
    answer = await ask(app, f"{target}?tab=queue")

    assert answer.status == 200
    assert answer.body == INDEX
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-cache"


async def test_a_page_may_load_nothing_from_elsewhere(app: App) -> None:
    answer = await ask(app, "/")

    policy = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["script-src"] == f"'self' 'sha256-{b64encode(sha256(SCRIPT).digest()).decode()}'"
    assert policy["style-src"] == "'self' 'unsafe-inline'"
    assert {policy[name] for name in ("object-src", "base-uri", "form-action", "frame-ancestors")} == {"'none'"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("name", "media_type", "content"),
    [("index-1a.js", "text/javascript", b"export {}"), ("index-2b.css", "text/css", b"body {}")],
)
async def test_a_file_of_the_build_is_kept_for_ever(app: App, name: str, media_type: str, content: bytes) -> None:
    answer = await ask(app, f"/assets/{name}")

    assert (answer.status, answer.body) == (200, content)
    assert answer.headers["content-type"].startswith(media_type)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "target",
    [
        "/assets/../secret.js",
        "/assets/..%2Fsecret.js",
        "/assets/%2e%2e/%2e%2e/secret.js",
        "/assets/..%5Csecret.js",
        "/assets//etc/passwd",
        "/assets/.hidden.js",
        "/assets/..",
        "/assets/",
        "/assets/index-1a.js%00",
        "/assets/index-1a.js/",
        "/assets/gone.js",
        "/assets/secret",
    ],
)
async def test_no_other_file_can_be_read(app: App, pages: Path, target: str) -> None:
    (pages.parent / "secret").write_bytes(b"secret")

    answer = await ask(app, target)

    assert answer.status == 404
    assert b"secret" not in answer.body


async def test_a_path_that_climbs_is_a_page_and_no_file(app: App) -> None:
    answer = await ask(app, "/../secret.js")

    assert (answer.status, answer.body) == (200, INDEX)


@pytest.mark.parametrize(
    "target",
    [
        "/v1",
        "/v1/nothing",
        "/v2/overview",
        "/docs/other.js",
        "/openapi.json",
        "/health/",
        "/metrics",
        "/webhooks/crm/x",
    ],
)
async def test_the_addresses_of_the_api_never_become_a_page(app: App, target: str) -> None:
    assert not is_page(target)
    assert (await ask(app, target)).status == 404


async def test_the_routes_of_the_app_come_first(app: App) -> None:
    assert (await ask(app, "/v1/overview")).body == b"figures"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_pages_are_only_read(app: App, method: str) -> None:
    assert (await ask(app, "/profiles", method=method)).status == 404


async def test_head_tells_the_length_and_sends_nothing(app: App) -> None:
    answer = await ask(app, "/", method="HEAD")

    assert (answer.status, answer.headers["content-length"]) == (200, str(len(INDEX)))


async def test_pages_that_were_not_built_say_how(tmp_path: Path) -> None:
    app = Starlette()
    mount(app, tmp_path / "none")

    answer = await ask(app, "/profiles")

    assert answer.status == 503
    assert b"make console" in answer.body
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert (await ask(app, "/assets/index-1a.js")).status == 404


async def test_a_new_build_is_served_without_a_restart(app: App, pages: Path) -> None:
    (pages / "index.html").write_bytes(b"<!doctype html>newer")

    assert (await ask(app, "/")).body == b"<!doctype html>newer"


async def test_pages_lie_in_the_package() -> None:
    assert PAGES.parent.name == "console"
    assert PAGES.name == "pages"
