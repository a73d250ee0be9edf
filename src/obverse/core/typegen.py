"""Typed clients from a tracking plan: what is not as planned does not compile."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from obverse.core.tracking_plans import PlannedCall, TrackingPlan

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Za-z][a-z]*|[0-9]+")
_DEEPEST: Final = 20
"""Levels of a schema that become types of their own."""


def _words(text: str) -> list[str]:
    found = [one.lower() for one in _WORD.findall(text)] or ["unnamed"]
    return ["n", *found] if found[0][0].isdigit() else found


def _pascal(text: str) -> str:
    return "".join(one.capitalize() for one in _words(text))


@dataclass(slots=True)
class _Names:
    """Gives each thing a name of its own."""

    taken: set[str] = field(default_factory=set)

    def of(self, wanted: str) -> str:
        name, turn = wanted, 2
        while name in self.taken:
            name, turn = f"{wanted}{turn}", turn + 1
        self.taken.add(name)
        return name


def _title(call: PlannedCall) -> str:
    return call.name if call.type == "track" and call.name else f"{call.name or ''} {call.type}".strip()


def _types(schema: Mapping[str, Any]) -> Sequence[str]:
    said = schema.get("type", ())
    if not said and "properties" in schema:
        return ("object",)
    return (said,) if isinstance(said, str) else tuple(said)


def _description(schema: Any) -> str:
    text = schema.get("description", "") if isinstance(schema, Mapping) else ""
    return _line(text) if isinstance(text, str) else ""


def _line(text: str) -> str:
    """The text on one line, without what source code cannot hold."""
    return " ".join(text.replace("\0", " ").split())


def _literals(schema: Mapping[str, Any]) -> list[Any] | None:
    """The values that alone are allowed, if a type can say them."""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    plain = isinstance(values, list) and values and all(isinstance(one, str | int | None) for one in values)
    return list(values) if plain and values else None


# Python.

_PYTHON: Final = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def python(plan: TrackingPlan) -> str:
    """Return a module of typed dictionaries, and of a class over a client of Segment's or RudderStack's Python SDK."""
    names, methods = _Names({"Any", "Literal", "NotRequired", "TypedDict", "None", "True", "False"}), _Names({"client"})
    blocks: list[str] = []
    body: list[str] = []
    for call in plan.calls.values():
        kind = _python_type(call.schema, _pascal(_title(call)), names, blocks, 0)
        method = methods.of("_".join(_words(_title(call))))
        body.append(
            _python_method(call, method + "_" * keyword.iskeyword(method), "dict[str, Any]" if kind == "Any" else kind)
        )
    head = [
        f'"""Typed calls of tracking plan {plan.title}; written by `obverse typegen`, so do not edit."""',
        "from __future__ import annotations",
        "from typing import Any, Literal, NotRequired, TypedDict",
    ]
    title = names.of(_pascal(plan.name))
    told = _python_text(plan.description or f"Calls of tracking plan {plan.title}.")
    start = f'class {title}:\n    """{told}"""\n\n    def __init__(self, client: Any) -> None:\n'
    start += "        self._client = client\n"
    return "\n\n".join(head) + "\n\n\n" + "".join(f"{block}\n\n\n" for block in blocks) + start + "".join(body)


def _python_text(text: str) -> str:
    return _line(text).replace("\\", "\\\\").replace('"', "'")


def _python_method(call: PlannedCall, name: str, kind: str) -> str:
    place = "traits" if call.type in {"identify", "group"} else "properties"
    group = "group_id: str, " if call.type == "group" else ""
    given = [f"{place}={place}", "user_id=user_id", "anonymous_id=anonymous_id"]
    if call.type == "track":
        given.append(f"event={call.name!r}")
    elif call.name is not None:
        given.append(f"name={call.name!r}")
    given += ["group_id=group_id"] if group else []
    told = _python_text(call.description)
    about = f'        """{told}"""\n' if told else ""
    return (
        f"\n    def {name}(\n        self, {place}: {kind}, *, {group}user_id: str | None = None, "
        "anonymous_id: str | None = None, **options: Any\n    ) -> Any:\n"
        f"{about}        return self._client.{call.type}({', '.join(given)}, **options)\n"
    )


def _python_type(schema: Any, name: str, names: _Names, blocks: list[str], depth: int) -> str:
    if not isinstance(schema, Mapping):
        return "Any"
    values = _literals(schema)
    if values is not None:
        return f"Literal[{', '.join(map(repr, values))}]"
    found: list[str] = []
    for kind in _types(schema):
        if kind == "object" and schema.get("properties") and depth < _DEEPEST:
            found.append(_python_dict(schema, name, names, blocks, depth))
        elif kind == "object":
            found.append("dict[str, Any]")
        elif kind == "array":
            found.append(f"list[{_python_type(schema.get('items'), name + 'Item', names, blocks, depth + 1)}]")
        else:
            found.append(_PYTHON.get(kind, "Any"))
    return "Any" if not found or "Any" in found else " | ".join(dict.fromkeys(found))


def _python_dict(schema: Mapping[str, Any], name: str, names: _Names, blocks: list[str], depth: int) -> str:
    name = names.of(name)
    required = schema.get("required", ())
    lines = []
    for one, inner in schema["properties"].items():
        kind = _python_type(inner, name + _pascal(one), names, blocks, depth + 1)
        about = f"  # {told}" if (told := _description(inner)) else ""
        lines.append(f"        {one!r}: {kind if one in required else f'NotRequired[{kind}]'},{about}\n")
    # As a call, since a property may have a name that Python has no name for. Its types are written out, so that they
    # need no quotes: what a dictionary needs stands above it.
    blocks.append(f'{name} = TypedDict(\n    "{name}",\n    {{\n{"".join(lines)}    }},\n)')
    return name


# TypeScript.

_TYPESCRIPT: Final = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}

_CLIENTS: Final = """\
/** What a page sends with: `@segment/analytics-next`, RudderStack's JavaScript SDK. */
export interface PageClient {
  track(event: string, properties?: object, ...more: unknown[]): unknown;
  identify(userId: string, traits?: object, ...more: unknown[]): unknown;
  group(groupId: string, traits?: object, ...more: unknown[]): unknown;
  page(category: string | undefined, name: string | undefined, properties?: object, ...more: unknown[]): unknown;
  screen?(category: string | undefined, name: string | undefined, properties?: object, ...more: unknown[]): unknown;
}

/** Who a server's call is of. */
export type Person = { userId: string; anonymousId?: string } | { userId?: string; anonymousId: string };
"""


def typescript(plan: TrackingPlan) -> str:
    """Return a module of interfaces; of a class for pages, and of one that makes a server SDK's messages."""
    names, methods = _Names({"PageClient", "Person", "Array", "Record"}), _Names({"constructor", "client"})
    blocks: list[str] = []
    pages: list[str] = []
    messages: list[str] = []
    for call in plan.calls.values():
        kind = _script_type(call.schema, _pascal(_title(call)), names, blocks, 0)
        pascal = _pascal(_title(call))
        method = methods.of(pascal[0].lower() + pascal[1:])
        kind = "Record<string, unknown>" if kind == "unknown" else kind
        pages += _script_page(call, method, kind)
        messages += _script_message(call, method, kind)
    title = names.of(_pascal(plan.name))
    head = (
        f"// Typed calls of tracking plan {plan.title}; written by `obverse typegen`, so do not edit.\n\n{_CLIENTS}\n"
    )
    page = f"export class {title} {{\n  constructor(private readonly client: PageClient) {{}}\n{''.join(pages)}}}\n"
    server = f"\n/** Messages for a server's SDK: `analytics.track({title}Messages.…)`. */\n"
    server += f"export const {title}Messages = {{\n{''.join(messages)}}};\n"
    return head + "".join(f"{block}\n\n" for block in blocks) + page + server


def _comment(text: str, indent: str) -> Iterable[str]:
    plain = _line(text).replace("*/", "* /")
    return [f"{indent}/** {plain} */\n"] if plain else []


def _script_page(call: PlannedCall, method: str, kind: str) -> list[str]:
    name = json.dumps(call.name) if call.name is not None else "undefined"
    match call.type:
        case "track":
            taken, given = f"properties: {kind}", f"{name}, properties"
        case "identify":
            taken, given = f"userId: string, traits: {kind}", "userId, traits"
        case "group":
            taken, given = f"groupId: string, traits: {kind}", "groupId, traits"
        case "page" | "screen":
            taken, given = f"properties: {kind}", f"undefined, {name}, properties"
        case _:
            return []
    called = f"{call.type}?." if call.type == "screen" else call.type
    return [
        "\n",
        *_comment(call.description, "  "),
        f"  {method}({taken}, ...more: unknown[]): unknown {{\n",
        f"    return this.client.{called}({given}, ...more);\n  }}\n",
    ]


def _script_message(call: PlannedCall, method: str, kind: str) -> list[str]:
    place = "traits" if call.type in {"identify", "group"} else "properties"
    group = "groupId: string; " if call.type == "group" else ""
    named = {"track": "event"}.get(call.type, "name")
    name = f"{named}: {json.dumps(call.name)} as const, " if call.name is not None else ""
    return [
        *_comment(call.description, "  "),
        f"  {method}: <M extends Person & {{ {group}{place}: {kind} }}>(message: M) => ({{ {name}...message }}),\n",
    ]


def _script_type(schema: Any, name: str, names: _Names, blocks: list[str], depth: int) -> str:
    if not isinstance(schema, Mapping):
        return "unknown"
    values = _literals(schema)
    if values is not None:
        return " | ".join(map(json.dumps, values))
    found: list[str] = []
    for kind in _types(schema):
        if kind == "object" and schema.get("properties") and depth < _DEEPEST:
            found.append(_script_interface(schema, name, names, blocks, depth))
        elif kind == "object":
            found.append("Record<string, unknown>")
        elif kind == "array":
            inner = _script_type(schema.get("items"), name + "Item", names, blocks, depth + 1)
            found.append(f"Array<{inner}>")
        else:
            found.append(_TYPESCRIPT.get(kind, "unknown"))
    return "unknown" if not found or "unknown" in found else " | ".join(dict.fromkeys(found))


def _script_interface(schema: Mapping[str, Any], name: str, names: _Names, blocks: list[str], depth: int) -> str:
    name = names.of(name)
    required = schema.get("required", ())
    lines: list[str] = []
    for one, inner in schema["properties"].items():
        kind = _script_type(inner, name + _pascal(one), names, blocks, depth + 1)
        lines += [
            *_comment(_description(inner), "  "),
            f"  {json.dumps(one)}{'' if one in required else '?'}: {kind};\n",
        ]
    if schema.get("additionalProperties", True) is not False:
        lines.append("  [name: string]: unknown;\n")
    blocks.append(f"export interface {name} {{\n{''.join(lines)}}}")
    return name


LANGUAGES: Final[Mapping[str, Callable[[TrackingPlan], str]]] = {"python": python, "typescript": typescript}
"""What a typed client can be written in."""
