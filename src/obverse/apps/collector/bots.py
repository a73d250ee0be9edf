"""Which browsers are none: crawlers by the public list of what they call themselves."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from crawleruseragents import is_crawler

_LONGEST: Final = 1000
"""Characters that are looked at: no browser needs as many."""


@lru_cache(maxsize=10_000)
def is_bot(agent: str) -> bool:
    """
    Whether a browser that calls itself so is a crawler.

    >>> is_bot("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"), is_bot("")
    (True, False)
    """
    return bool(is_crawler(agent[:_LONGEST]))
