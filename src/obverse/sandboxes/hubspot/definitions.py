"""Definitions of properties: what they are named, what they take, who may write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from obverse.sandboxes.hubspot.answers import Refusal, invalid, moment
from obverse.sandboxes.hubspot.shapes import as_object, as_text, need

# See https://developers.hubspot.com/docs/api-reference/crm-properties-v3/guide
KINDS: Final[Mapping[str, frozenset[str]]] = {
    "bool": frozenset({"booleancheckbox", "calculation_equation"}),
    "enumeration": frozenset({"booleancheckbox", "checkbox", "radio", "select", "calculation_equation"}),
    "date": frozenset({"date"}),
    "datetime": frozenset({"date"}),
    "string": frozenset({"text", "textarea", "html", "phonenumber", "file", "calculation_equation"}),
    "number": frozenset({"number", "calculation_equation"}),
    "phone_number": frozenset({"phonenumber"}),
}
GROUPS: Final = frozenset({"contactinformation", "emailinformation", "conversioninformation", "socialmediainformation"})
MOST_UNIQUE: Final = 10
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,99}")


class Option(msgspec.Struct, frozen=True, rename="camel"):
    """One value that an enumeration allows."""

    label: str
    value: str
    display_order: int = -1
    hidden: bool = False
    description: str = ""


class Definition(msgspec.Struct, frozen=True, rename="camel"):
    """A property of contacts."""

    name: str
    label: str
    type: str
    field_type: str
    group_name: str = "contactinformation"
    description: str = ""
    options: tuple[Option, ...] = ()
    display_order: int = -1
    calculated: bool = False
    has_unique_value: bool = False
    hidden: bool = False
    form_field: bool = True
    hubspot_defined: bool = False
    read_only: bool = False
    created_at: int = 0
    """Milliseconds since 1970."""

    def shown(self) -> dict[str, Any]:
        """The definition as the properties API tells it."""
        whole: dict[str, Any] = msgspec.to_builtins(self)
        read_only = whole.pop("readOnly")
        stamp = moment(whole.pop("createdAt"))
        return {
            "updatedAt": stamp,
            "createdAt": stamp,
            **whole,
            "externalOptions": False,
            "archived": False,
            "modificationMetadata": {
                "archivable": not self.hubspot_defined,
                "readOnlyDefinition": self.hubspot_defined,
                "readOnlyOptions": self.hubspot_defined,
                "readOnlyValue": read_only,
            },
        }


def read_definition(body: Mapping[str, Any], *, now: int) -> Definition:
    """
    The property that a request to create one describes. `now` is in milliseconds.

    Raises:
        Refusal: it describes none that HubSpot would create.
    """
    needed = ("name", "label", "type", "fieldType", "groupName")
    need(body, "PropertyCreate", *needed)
    name, label, kind, field, group = (as_text(body[one]) for one in needed)
    if not _NAME.fullmatch(name):
        raise invalid(
            f'Property name "{name[:200]}" is not valid: it begins with a letter and has only lowercase letters, '
            "numbers and underscores, 100 at most",
            context={"propertyName": [name[:200]]},
        )
    if field not in KINDS.get(kind, ()):
        raise invalid(f'Property "{name}" cannot have type "{kind[:50]}" with fieldType "{field[:50]}"')
    if group not in GROUPS:
        raise invalid(f'Property group "{group[:100]}" does not exist', context={"groupName": [group[:100]]})
    options = _read_options(body.get("options"))
    if kind == "enumeration" and not options:
        raise invalid(f'Property "{name}" is an enumeration and has no options')
    return Definition(
        name=name,
        label=label,
        type=kind,
        field_type=field,
        group_name=group,
        description=as_text(body.get("description") or ""),
        options=options,
        display_order=_number(body, "displayOrder"),
        has_unique_value=_flag(body, "hasUniqueValue", default=False),
        hidden=_flag(body, "hidden", default=False),
        form_field=_flag(body, "formField", default=False),
        created_at=now,
    )


def _read_options(given: Any) -> tuple[Option, ...]:
    if given is None:
        return ()
    if not isinstance(given, list):
        raise invalid("Invalid input JSON: options are not an array")
    read = []
    for one in given:
        need(as_object(one), "OptionInput", "label", "value")
        read.append(
            Option(
                label=as_text(one["label"]),
                value=as_text(one["value"]),
                display_order=_number(one, "displayOrder"),
                hidden=_flag(one, "hidden", default=False),
                description=as_text(one.get("description") or ""),
            )
        )
    values = [option.value for option in read]
    if len(set(values)) < len(values):
        raise invalid("Option values must be unique")
    return tuple(read)


def _number(body: Mapping[str, Any], name: str) -> int:
    given = body.get(name)
    if given is None:
        return -1
    if isinstance(given, bool) or not isinstance(given, int) or abs(given) >= 1 << 31:
        raise _misfit(name, "a 32-bit integer")
    return given


def _flag(body: Mapping[str, Any], name: str, *, default: bool) -> bool:
    given = body.get(name)
    if given is None:
        return default
    if not isinstance(given, bool):
        raise _misfit(name, "a boolean")
    return given


def _misfit(name: str, kind: str) -> Refusal:
    return invalid(f"Invalid input JSON: {name} is not {kind}")
