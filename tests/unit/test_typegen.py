"""Typed clients: what is as planned compiles, what is not does not."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from mypy import api as mypy

from nodejs import node
from obverse.core.tracking_plans import TrackingPlan, planned_call
from obverse.core.typegen import python, typescript

ORDER: dict[str, Any] = {
    "type": "object",
    "required": ["order_id", "products"],
    "properties": {
        "order_id": {"type": "string", "description": "Its */ number\nin the shop"},
        "total": {"type": ["number", "null"]},
        "class": {"enum": ["a", "b", 3]},
        "first-time": {"type": "boolean"},
        "products": {
            "type": "array",
            "items": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}},
        },
        "anything": {},
        "tree": {"type": "object"},
    },
}
PLAN = TrackingPlan(
    "web shop",
    (1, 2),
    {
        (one.type, one.name): one
        for one in (
            planned_call("track", "Order Completed", ORDER, 'When "paid"'),
            planned_call("track", "order-completed", {}),
            planned_call("track", "class", {"properties": {"🎁 'it\\'": {"type": "string"}}}),
            planned_call("track", '50% Off — Grüße 🎁 "so\\', {"properties": {"x": {"const": True}}}),
            planned_call("identify", None, {"properties": {"email": {"type": "string"}}}),
            planned_call("group", None, {"properties": {"name": {"type": "string"}}}),
            planned_call("page", "Home", {}),
            planned_call("screen", None, {}),
        )
    },
)


class Client:
    """Remembers what it was asked to send."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, call: str) -> Any:
        return lambda **told: self.calls.append((call, told))


def test_the_python_client_sends_what_is_planned() -> None:
    module = ModuleType("generated")
    exec(compile(python(PLAN), "generated.py", "exec"), module.__dict__)
    client = Client()
    shop: Any = module.__dict__["WebShop"](client)
    shop.order_completed({"order_id": "o1", "products": []}, user_id="ada", timestamp=None)
    shop.order_completed2({}, anonymous_id="device")
    shop.class_({}, user_id="ada")
    shop.n_50_off_gr_e_so({}, user_id="ada")
    shop.identify({"email": "a@b.c"}, user_id="ada")
    shop.group({"name": "Initech"}, group_id="g", user_id="ada")
    shop.home_page({}, user_id="ada")
    properties = {"order_id": "o1", "products": []}
    assert client.calls[0] == (
        "track",
        {
            "event": "Order Completed",
            "properties": properties,
            "user_id": "ada",
            "anonymous_id": None,
            "timestamp": None,
        },
    )
    assert [(call, told.get("event", told.get("name"))) for call, told in client.calls[1:]] == [
        ("track", "order-completed"),
        ("track", "class"),
        ("track", '50% Off — Grüße 🎁 "so\\'),
        ("identify", None),
        ("group", None),
        ("page", "Home"),
    ]
    assert client.calls[5][1]["group_id"] == "g"


PYTHON_LINES = {
    'shop.order_completed({"order_id": "o", "products": [{"sku": "s"}], "first-time": True}, user_id="a")': True,
    'shop.order_completed({"order_id": "o", "products": [], "total": None, "class": "a"}, user_id="a")': True,
    'shop.group({"name": "x"}, user_id="a", group_id="g")': True,
    'shop.order_completed({"order_id": 1, "products": []}, user_id="a")': False,
    'shop.order_completed({"products": []}, user_id="a")': False,
    'shop.order_completed({"order_id": "o", "products": [{}]}, user_id="a")': False,
    'shop.order_completed({"order_id": "o", "products": [], "class": "c"}, user_id="a")': False,
    'shop.group({"name": "x"}, user_id="a")': False,
}


@pytest.mark.parametrize("name", ["None", "true", "False", "class", "1st", "\0", "\u2028", 'a"""\\', "self", "Any"])
def test_the_python_client_of_any_name_is_python(name: str) -> None:
    schema = {"properties": {name: {"description": name, "properties": {name: {"const": name}}}}}
    for kind in ("track", "page"):
        one = planned_call(kind, name, schema, name)
        for title in ("shop", "none", "True"):
            compile(python(TrackingPlan(title, (1, 0), {(kind, name): one}, name)), "client.py", "exec")


def test_no_interface_hides_what_the_typescript_client_is_written_with() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array"}, "b": {"type": "object"}}}
    calls = [planned_call("track", name, schema) for name in ("Array", "Record")]
    text = typescript(TrackingPlan("shop", (1, 0), {(one.type, one.name): one for one in calls}))
    assert re.findall("export interface (Array|Record) ", text) == []
    assert "export interface Record2 {" in text


def test_mypy_sees_what_is_not_as_planned(tmp_path: Path) -> None:
    (tmp_path / "generated.py").write_text(python(PLAN), encoding="utf-8")
    lines = ["from generated import WebShop", "shop = WebShop(None)", *PYTHON_LINES]
    (tmp_path / "used.py").write_text("\n".join(lines), encoding="utf-8")
    cache = Path.cwd() / ".mypy_cache/typegen"
    told, _, _ = mypy.run(["--strict", "--config-file=", f"--cache-dir={cache}", str(tmp_path / "used.py")])
    assert "generated.py" not in told
    flawed = {int(found[1]) for found in re.finditer(r"used\.py:(\d+): error", told)}
    assert flawed == {place for place, good in enumerate(PYTHON_LINES.values(), 3) if not good}, told


SCRIPT_LINES = {
    'shop.orderCompleted({ order_id: "o", products: [{ sku: "s" }], class: 3 });': True,
    'shop.homePage({}); shop.screen({}); shop.identify("a", { email: "a@b.c" }); shop.group("g", { name: "x" });': True,
    'WebShopMessages.orderCompleted({ userId: "a", properties: { order_id: "o", products: [] } }).event;': True,
    "shop.orderCompleted({ order_id: 1, products: [] });": False,
    "shop.orderCompleted({ products: [] });": False,
    'shop.orderCompleted({ order_id: "o1", products: [], class: "c" });': False,
    'WebShopMessages.orderCompleted({ properties: { order_id: "o", products: [] } });': False,
    'WebShopMessages.group({ userId: "a", traits: {} });': False,
}


@pytest.mark.service
def test_typescript_sees_what_is_not_as_planned(tmp_path: Path) -> None:
    (tmp_path / "generated.ts").write_text(typescript(PLAN), encoding="utf-8")
    lines = [
        'import { WebShop, WebShopMessages, type PageClient } from "./generated";',
        "declare const client: PageClient;",
        "const shop = new WebShop(client);",
        *SCRIPT_LINES,
    ]
    (tmp_path / "used.ts").write_text("\n".join(lines), encoding="utf-8")
    compiler = Path(__file__).parents[2] / "console/node_modules/typescript/bin/tsc"
    done = subprocess.run(
        [node(), str(compiler), "--noEmit", "--strict", "--target", "es2022", str(tmp_path / "used.ts")],
        capture_output=True,
        check=False,
        text=True,
    )
    assert "generated.ts" not in done.stdout
    flawed = {int(found[1]) for found in re.finditer(r"used\.ts\((\d+),\d+\): error", done.stdout)}
    assert flawed == {place for place, good in enumerate(SCRIPT_LINES.values(), 4) if not good}, done.stdout
