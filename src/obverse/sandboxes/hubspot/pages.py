"""The pages that a person sees: plain HTML, nothing from elsewhere, light and dark."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from obverse.sandboxes.hubspot.answers import moment
from obverse.sandboxes.hubspot.definitions import Definition
from obverse.sandboxes.hubspot.store import Contact

_STYLE: Final = """
:root { color-scheme: light dark; --line: #767676; --good: #0a6b2d; --bad: #b00020; --link: #0b57d0; }
@media (prefers-color-scheme: dark) { :root { --line: #9a9a9a; --good: #6fdc8c; --bad: #ff8a95; --link: #8ab4f8; } }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .4rem .6rem; text-align: left; overflow-wrap: anywhere; }
caption { font-weight: 600; margin-top: .75rem; text-align: left; }
dl { display: flex; flex-wrap: wrap; gap: .25rem 2rem; }
dt { font-weight: 600; } dd { margin: 0; }
label { display: block; font-weight: 600; margin-top: .75rem; }
input, select, textarea, button { font: inherit; padding: .45rem; border: 1px solid var(--line); }
form.edit input, form.edit select, form.edit textarea { width: 100%; box-sizing: border-box; }
button { margin-top: .75rem; padding: .45rem 1rem; cursor: pointer; }
.good { color: var(--good); } .bad { color: var(--bad); }
"""
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of the pages."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page, and the status of its answer."""

    html: str
    status: int = 200


_NAME: Final = "HubSpot sandbox"


def list_page(
    base: str, contacts: Sequence[Contact], figures: Mapping[str, int], *, query: str, after: int | None
) -> Page:
    """The contacts, each with a link to edit it."""
    base = escape(base)
    told = "".join(
        f"<div><dt>{escape(name.replace('_', ' '))}</dt><dd>{value:,}</dd></div>" for name, value in figures.items()
    )
    rows = "".join(_row(base, contact) for contact in contacts)
    if not rows:
        text = f"No contact has the address {escape(query)}." if query else "There are no contacts yet."
        table = f"<p>{text}</p>"
    else:
        table = (
            '<div class="wide" role="region" aria-label="Contacts" tabindex="0"><table><caption>Contacts</caption>'
            '<thead><tr><th scope="col">Email</th><th scope="col">Name</th><th scope="col">Company</th>'
            f'<th scope="col">Last modified</th></tr></thead><tbody>{rows}</tbody></table></div>'
        )
    more = f'<p><a href="{base}/sandbox?after={after}">Next contacts</a></p>' if after else ""
    back = _all_contacts(base) if query else ""
    find = (
        f'<form role="search" action="{base}/sandbox" method="get"><label for="email">Find by email</label>'
        f'<input id="email" name="email" type="search" value="{escape(query)}" autocomplete="off"> '
        "<button>Find</button></form>"
    )
    return Page(_whole(_NAME, f"<dl>{told}</dl>{find}{table}{more}{back}"))


def contact_page(
    base: str,
    contact: Contact,
    editable: Mapping[str, Definition],
    values: Mapping[str, str],
    *,
    saved: bool = False,
    wrong: Sequence[str] = (),
) -> Page:
    """The form that edits one contact."""
    base = escape(base)
    said = '<p role="status" class="good">Saved.</p>' if saved else ""
    if wrong:
        listed = "".join(f"<li>{escape(one)}</li>" for one in wrong)
        said = f'<div role="alert" class="bad"><p>Not saved:</p><ul>{listed}</ul></div>'
    fields = "".join(_field(definition, values.get(name, "")) for name, definition in editable.items())
    body = (
        f"{said}<p>Record {contact.id}, last modified <time>{moment(contact.updated_at)}</time>. "
        "What is saved here counts as a person's edit.</p>"
        f'<form class="edit" method="post" action="{base}/sandbox/contacts/{contact.id}">{fields}'
        f"<button>Save</button></form>{_all_contacts(base)}"
    )
    name = _name(contact) or contact.value("email") or f"Contact {contact.id}"
    return Page(_whole(name, body), 400 if wrong else 200)


def error_page(base: str, status: int, message: str) -> Page:
    """A page that tells what went wrong."""
    body = f'<p role="alert" class="bad">{escape(message)}</p>{_all_contacts(escape(base))}'
    return Page(_whole("This did not work", body), status)


def _all_contacts(base: str) -> str:
    return f'<p><a href="{base}/sandbox">All contacts</a></p>'


def _row(base: str, contact: Contact) -> str:
    email = contact.value("email") or f"Contact {contact.id}"
    return (
        f'<tr><td><a href="{base}/sandbox/contacts/{contact.id}">{escape(email)}</a></td>'
        f"<td>{escape(_name(contact))}</td><td>{escape(contact.value('company'))}</td><td><time>{moment(contact.updated_at)}</time></td></tr>"
    )


def _name(contact: Contact) -> str:
    return f"{contact.value('firstname')} {contact.value('lastname')}".strip()


def _field(definition: Definition, value: str) -> str:
    name, label = escape(definition.name), escape(definition.label)
    head = f'<label for="field-{name}">{label}</label>'
    if definition.options and definition.field_type != "checkbox":
        choices = [("", "(none)"), *((option.value, option.label) for option in definition.options)]
        options = "".join(
            f'<option value="{escape(one)}"{" selected" if one == value else ""}>{escape(text)}</option>'
            for one, text in choices
        )
        return f'{head}<select id="field-{name}" name="{name}">{options}</select>'
    if definition.field_type in {"textarea", "html"} or "\n" in value:
        # HTML takes away the first line end of a text area: here is one to take.
        return f'{head}<textarea id="field-{name}" name="{name}" rows="4">\n{escape(value)}</textarea>'
    return f'{head}<input id="field-{name}" name="{name}" value="{escape(value)}" autocomplete="off">'


def _whole(title: str, body: str) -> str:
    head = escape(title)
    named = head if title == _NAME else f"{head} · {_NAME}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{named}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main><h1>{head}</h1>"
        "<p>A HubSpot account that lives on this machine. It is a double for tests and demonstrations, not HubSpot.</p>"
        f"{body}</main></body></html>"
    )
