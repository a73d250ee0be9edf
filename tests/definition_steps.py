"""Steps of the tests of definitions as code: files, a store in memory, and what is said of mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from obverse.adapters.definition_files import read_files
from obverse.adapters.runtime.system import open_runtime
from obverse.core.documents.checking import Checks, check
from obverse.core.documents.written import Key
from obverse.core.flaws import Flaw
from obverse.flows.apply_definitions import ApplyDefinitions, Plan, Scope
from obverse.ports.definition_store import DefinitionStore
from obverse.wiring import trait_kinds

CHECKS = Checks(trait_kinds(), ("hubspot", "memory"), lambda crm: ("pin",) if crm == "hubspot" else ())

ORDERS = """\
version: obverse/v1
kind: trait
metadata: {name: orders}
spec: {aggregate: count, event: Order Completed}
"""
SPENT = """\
version: obverse/v1
kind: trait
metadata: {name: spent}
spec: {aggregate: sum, event: Order Completed, property: revenue}
"""
BUYERS = """\
version: obverse/v1
kind: audience
metadata: {name: buyers}
spec:
  where: {op: gte, trait: orders, value: 1}
"""
PLAN = """\
version: obverse/v1
kind: tracking_plan
metadata: {name: shop}
spec:
  version: "1.0"
  calls:
    - event: Order Completed
      schema: {required: [order_id]}
"""


def put(folder: Path, **files: str) -> Path:
    """Write files of YAML; of a name with `__` in it, into a folder."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def flaws_of(folder: Path) -> list[Flaw]:
    """Every flaw of a folder, its files named from there on."""
    files = read_files([folder], folder)
    checked = check(files.documents, CHECKS)
    flaws = sorted([*files.flaws, *checked.flaws])
    assert (checked.definitions is None) == bool(flaws) or files.flaws
    return [
        Flaw(
            file=str(Path(one.file).relative_to(folder)),
            line=one.line,
            column=one.column,
            rule=one.rule,
            what=one.what,
        )
        for one in flaws
    ]


def applying(store: DefinitionStore) -> ApplyDefinitions:
    """The flow upon this store."""
    return ApplyDefinitions(store, CHECKS, open_runtime())


async def planned(
    store: DefinitionStore,
    folder: Path,
    paths: Sequence[Path] = (),
    *,
    project: str = "shop",
    prune: bool = False,
) -> Plan:
    """The plan of a folder, or of a part of it."""
    files = read_files(paths or [folder], folder)
    scope = Scope(project=project, whole=not paths, prune=prune)
    return await applying(store).plan(files.documents, scope, files.flaws)


async def applied(
    store: DefinitionStore,
    folder: Path,
    paths: Sequence[Path] = (),
    *,
    project: str = "shop",
    prune: bool = False,
    by: str = "ada",
) -> Plan:
    """The same, brought into force."""
    plan = await planned(store, folder, paths, project=project, prune=prune)
    await applying(store).apply(plan, by)
    return plan


async def names_in(store: DefinitionStore) -> list[str]:
    """What is in force."""
    return [one.document.key.title for one in (await store.read()).entries]


def signs(plan: Plan) -> list[str]:
    """What a plan would do."""
    return [f"{one.action} {one.key.title}" for one in plan.changes]


TRAIT = Key("trait", "orders")
