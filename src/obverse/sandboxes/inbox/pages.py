"""The pages that a person sees: plain HTML without scripts, nothing from elsewhere, light and dark."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from html import escape
from typing import Final
from urllib.parse import quote, urlencode

from obverse.sandboxes.inbox.manners import TOLD
from obverse.sandboxes.inbox.questions import Problem, Question
from obverse.sandboxes.inbox.shapes import Page, Summary, Whole

ROWS: Final = 50
"""Mails on one page."""
_STYLE: Final = """
:root { color-scheme: light dark; --line: #8a8a8a; --dim: #595959; --link: #0b57d0; --bad: #b00020; --row: #f3f5f8; }
@media (prefers-color-scheme: dark) {
  :root { --line: #7a7a7a; --dim: #b4b4b4; --link: #8ab4f8; --bad: #ff8a95; --row: #22262b; }
}
* { box-sizing: border-box; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 64rem; padding: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0; } h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
h1, p, dd, td, li { overflow-wrap: anywhere; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.dim { color: var(--dim); }
form { display: flex; flex-wrap: wrap; gap: .5rem; align-items: end; margin: 1rem 0; }
form div { flex: 1 1 12rem; } label { display: block; font-weight: 600; }
input, button { font: inherit; padding: .45rem .6rem; border: 1px solid var(--line); border-radius: .3rem; }
input { width: 100%; } button { cursor: pointer; }
ol.mails { list-style: none; margin: 0; padding: 0; border-top: 1px solid var(--line); }
ol.mails li { border-bottom: 1px solid var(--line); padding: .6rem .25rem; }
ol.mails li:hover { background: var(--row); }
ol.mails p { margin: 0; } ol.mails a { font-weight: 600; }
.ends { display: flex; flex-wrap: wrap; justify-content: space-between; column-gap: 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: .75rem 0; }
dt { font-weight: 600; } dd { margin: 0; min-width: 0; }
@media (max-width: 34rem) { dl { grid-template-columns: 1fr; } dt { margin-top: .4rem; } }
iframe { width: 100%; height: 70vh; border: 1px solid var(--line); border-radius: .3rem; background: #fff; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line); border-radius: .3rem;
  padding: .75rem; max-height: 70vh; overflow: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .5rem; text-align: left; vertical-align: top; }
th { font-weight: 600; overflow-wrap: anywhere; width: 30%; }
summary { cursor: pointer; }
.bad { color: var(--bad); }
"""
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""The Content-Security-Policy of the pages."""
FRAME_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
"""That of a mail's HTML, wherever it is opened: it runs nothing, loads nothing, sends nothing, leads nowhere."""

# No policy keeps `link` from opening connections, nor `meta` and `base` from leading away when it is opened by itself.
_LEADS_OUT: Final = re.compile(r"<(?=/?(?:link|meta|base|script)\b)", re.IGNORECASE)


def list_page(page: Page, asked: Question) -> str:
    """The mails, the newest first, and a search."""
    wanted = asked.wanted
    filters = {name: value for name, value in (("q", wanted.text), ("to", wanted.to)) if value}
    find = (
        '<form role="search" method="get">'
        f'<div><label for="q">Search</label><input id="q" name="q" type="search" value="{escape(wanted.text)}"></div>'
        f'<div><label for="to">Recipient</label><input id="to" name="to" value="{escape(wanted.to)}" '
        'inputmode="email" autocomplete="off" autocapitalize="none" spellcheck="false"></div>'
        "<button>Find</button></form>"
    )
    of = "found" if filters else "in the inbox"
    count = f"{page.total:,} {'mail' if page.total == 1 else 'mails'} {of}, {page.distinct:,} distinct by Message-ID."
    rows = "".join(f"<li>{_row(one)}</li>" for one in page.messages)
    if not rows:
        rows = "<p>No mail matches. Look for less, or for another word.</p>" if filters else _EMPTY
    else:
        rows = f'<ol class="mails">{rows}</ol>'
    links = [f'<a href="?{escape(urlencode(filters))}">Newest</a>'] if asked.before or not filters else []
    links += ['<a href="?">All mails</a>'] if filters else []
    if page.next:
        links.append(f'<a rel="next" href="?{escape(urlencode({**filters, "after": page.next}))}">Older mails</a>')
    body = f'{find}<p class="dim" role="status">{count}</p>{rows}<nav class="ends" aria-label="Pages">'
    return _whole("Inbox", f"{body}{''.join(links)}</nav>{_MANNERS}")


def mail_page(mail: Whole) -> str:
    """One mail: what it shows, its text, its headers."""
    facts = (
        ("From", mail.sender),
        ("To", ", ".join(mail.to)),
        ("Received", mail.received_at),
        ("Message-ID", mail.message_id or "none"),
        ("Envelope", f"{mail.envelope_from or '<>'} to {', '.join(mail.envelope_to)}"),
        ("Size", f"{mail.bytes:,} bytes"),
    )
    told = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    parts = [f"<dl>{told}</dl>"]
    if mail.html is not None:
        parts.append(
            "<h2>HTML</h2>"
            f'<iframe sandbox="" referrerpolicy="no-referrer" title="The mail as HTML" src="{quote(mail.id)}/html">'
            '</iframe><p class="dim">Pictures and styles from elsewhere, links, forms and scripts are off.</p>'
        )
    text = "This mail has no text part." if mail.text is None else f'<pre tabindex="0">{escape(mail.text)}</pre>'
    parts.append(f"<h2>Text</h2>{text}")
    if mail.attachments:
        rows = _rows((one.name or "unnamed", f"{one.type}, {one.bytes:,} bytes") for one in mail.attachments)
        parts.append(f"<h2>Attachments</h2><table><tbody>{rows}</tbody></table>")
    parts.append(f"<h2>Headers</h2><table><tbody>{_rows(mail.headers)}</tbody></table>")
    parts.append(f'<p><a href="../messages/{quote(mail.id)}/raw" download>Download as it came</a></p>')
    return _whole(mail.subject or "(no subject)", f'<p><a href="../">All mails</a></p>{"".join(parts)}', back=True)


def error_page(problem: Problem) -> str:
    """A page that tells what went wrong, and what to do."""
    body = f'<p role="alert" class="bad">{escape(problem.detail)}</p><p>What to do: {escape(problem.remedy)}.</p>'
    return _whole(problem.title, body)


def frame(html: str) -> str:
    """A mail's HTML as a document of its own. It goes with `FRAME_POLICY`."""
    tame = _LEADS_OUT.sub("<x-", html.replace("\x00", ""))
    # A tag of ours in front, so nothing of the mail decides on the encoding.
    return f'<!doctype html><html lang="und"><meta name="color-scheme" content="light"><title>Mail</title>{tame}'


_EMPTY: Final = (
    "<p>No mail has come yet. Send one to the SMTP port of the inbox, to any address: "
    "it takes every mail and delivers none.</p>"
)
_MANNERS: Final = (
    "<details><summary>Addresses that misbehave, for tests</summary><table><tbody>"
    + "".join(f'<tr><th scope="row">{manner.value}@…</th><td>{told}</td></tr>' for manner, told in TOLD.items())
    + "</tbody></table><p>What follows a plus is free, as in defer+ada@example.com.</p></details>"
)


def _row(mail: Summary) -> str:
    subject = escape(mail.subject) or "(no subject)"
    return (
        f'<div class="ends"><a href="mail/{quote(mail.id)}">{subject}</a>'
        f'<time class="dim" datetime="{mail.received_at}">{mail.received_at[:19].replace("T", " ")} UTC</time></div>'
        f"<p>{escape(mail.sender)} → {escape(', '.join(mail.to))}</p>"
        f'<p class="dim">{escape(mail.preview)}</p>'
    )


def _rows(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in pairs)


def _whole(title: str, body: str, *, back: bool = False) -> str:
    name = escape(title)
    head = "" if not back else ' <span class="dim">Inbox</span>'
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name} · Obverse inbox</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body>{head}<main><h1>{name}</h1>{body}</main></body></html>"
    )
