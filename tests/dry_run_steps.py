"""Steps of the tests of dry runs: people under some rules, and what would be otherwise under others."""

from __future__ import annotations

from collections import Counter

from obverse.core.definitions import Definitions, define
from obverse.core.dry_run import Comparison, DryRun
from obverse.core.events import Event
from obverse.core.identity import REFUSED, IdentityRules
from obverse.core.people import People
from people_steps import event, fold, new

DAY = 24 * 3600
OPEN = IdentityRules(limits={})
SEGMENTS = IdentityRules()


def of(rules: IdentityRules, *log: Event) -> People:
    """Return the people that an engine makes of a log under these rules."""
    people = new(define(identity=rules))
    fold(people, *log)
    return people


def refused(people: People) -> Counter[str]:
    edges = (edge for profile in people.profiles.values() for edge in profile.edges.values())
    pairs = {(edge.rule, edge.a, edge.b) for edge in edges if edge.refused}  # both sides tell of a pair
    return Counter(rule.removeprefix(REFUSED) for rule, *_ in pairs)


def clusters(people: People) -> set[frozenset[str]]:
    return {frozenset(profile.identifiers) for profile in people.profiles.values() if profile.identifiers}


def compared(today: People, rules: IdentityRules, *log: Event, show: int = 10) -> Comparison:
    run = DryRun("main", rules, Definitions())
    for one in log:
        run.take(one)
    return run.compare(today.owners, refused(today), show=show)


TABLET = [
    event("m1", user_id="ada", anonymous_id="tablet"),
    event("m2", at=1, user_id="bob", anonymous_id="tablet"),
    event("m3", at=2, user_id="bob", anonymous_id="phone"),
]
