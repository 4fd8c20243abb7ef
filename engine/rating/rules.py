"""Revisions of the rating rules: behaviour changes by a record in the `tariffs` topic, never by code.

Every published revision stays in the code, and a charge names the one it was rated by, so history
verifies to the byte after any upgrade (semantics section 7). A deployment starts with revision 1
and adopts later ones by a `rules_revision` record.

    1  usage of any source, whenever it comes
    2  sources are registered, and usage is judged by when it was received: more than five minutes
       ahead of time is rejected, beyond the source's lateness is in suspense
    3  the whole tariff language (engine.rating.language), supplier tariffs, exchange rates
    4  the whole life of an account: grants and buckets, limits, approvals, voids and amends, the clock
"""

from typing import NamedTuple

from engine.rating.errors import InvalidDocument, Refusal

FIRST_REVISION = 1
LATEST_REVISION = 4
REGISTERED_SOURCES = 2
"""The revision from which sources are registered and times are judged."""

TARIFF_LANGUAGE = 3
"""The revision from which tariffs may say everything, and the buy side is known."""

ACCOUNT_LIFE = 4
"""The revision from which accounts have buckets, usage can be voided, and time passes."""

MAX_AHEAD = 5 * 60 * 1_000_000
"""How far usage may lie ahead of its receipt, in us: clocks differ."""

DEFAULT_LATENESS = 90 * 24 * 3_600 * 1_000_000
"""How late usage may be received and still be rated at once, in us."""


class Terms(NamedTuple):
    """What one event is rated by: the revision, and its source's lateness in us (None: any)."""

    rules: int = LATEST_REVISION
    lateness: int | None = None


ANY_TIME = Terms()
"""The latest rules without a bound on lateness, for rating that knows no receipt."""


def check_revision(revision: int, place: str) -> None:
    """Refuse a revision that this code does not have. InvalidDocument."""
    if not FIRST_REVISION <= revision <= LATEST_REVISION:
        raise InvalidDocument(
            f"{place}, rules revision",
            revision,
            f"{FIRST_REVISION} to {LATEST_REVISION}; upgrade this program before it is adopted",
        )


def rules_needed(what: str, rules: int) -> Refusal:
    """Return why something can not be done before rules revision 4."""
    return Refusal(
        "needs_rules",
        f"{what}: needs rules revision {ACCOUNT_LIFE}, and {rules} counts; "
        f"`tollbook rules adopt {ACCOUNT_LIFE}` once every worker is upgraded",
    )
