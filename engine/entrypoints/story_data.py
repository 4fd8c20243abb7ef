"""A month of an enterprise's life, as plain data: what happens, step by step.

Northwind has 40 logins, a package of tokens that comes again every month, a package of money, and a
promotion that ends in the middle of the month. Its usage is a real trace (Mooncake, FAST '25;
Apache-2.0), stretched over October 2026 in Shanghai: a second of the trace lasts 2,620. What a prompt
shares with earlier ones counts as read from the cache. Nothing here decides or computes a price; the
demo sends these steps to Kafka, and a test works the month out again with them.
"""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

from engine.rating.errors import InvalidDocument

ACCOUNT = "northwind"
SOURCE = "gateway-demo"
CURRENCY = "USD"
TIME_ZONE = "Asia/Shanghai"
CLOSE_GRACE_DAYS = 2
LOGINS = 40
PERIOD = "2026-10"
LIMITED = "login-07"

TARIFF: dict[str, Any] = {
    "tariff_id": "kimi",
    "version": 1,
    "effective_from": "2026-01-01T00:00:00Z",
    "currency": CURRENCY,
    "time_zone": TIME_ZONE,
    "components": [
        {
            "id": "input",
            "match": {"provider": "moonshot", "model": "kimi-k3"},
            "kinds": ["input"],
            "price": {"model": "unit", "unit_price": "3", "per": 1_000_000},
        },
        {
            "id": "cache-read",
            "match": {"provider": "moonshot", "model": "kimi-k3"},
            "kinds": ["cache_read"],
            "price": {"model": "unit", "unit_price": "0.30", "per": 1_000_000},
        },
        {
            "id": "output",
            "match": {"provider": "moonshot", "model": "kimi-k3"},
            "kinds": ["output"],
            "period": "calendar_month",
            "minimum": "2.50",
            "price": {
                "model": "graduated",
                "per": 1_000_000,
                "tiers": [
                    {"up_to": 100_000, "unit_price": "15"},
                    {"unit_price": "12"},
                ],
            },
        },
    ],
}
"""List prices of moonshot/kimi-k3; output gets cheaper, and comes to 2.50 a month at least."""

_DATA = Path(__file__).parents[2] / "tests" / "data" / "traces"
_TRACE = "mooncake_fast25_synthetic.jsonl.gz"
_BLOCK_TOKENS = 512
_STRETCH = 2_620
_MILLISECOND = 1_000
_SHANGHAI = timezone(timedelta(hours=8))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Use(NamedTuple):
    """A request of a login; `at` is when it was used, times in us UTC."""

    received_at: int
    at: int
    event_id: str
    subject: str
    quantities: tuple[tuple[str, int], ...]


class Void(NamedTuple):
    """An event is taken back."""

    received_at: int
    event_id: str
    corrects: str


class Amend(NamedTuple):
    """An event is taken back, and another one stands in its place."""

    received_at: int
    at: int
    event_id: str
    corrects: str
    subject: str
    quantities: tuple[tuple[str, int], ...]


class Package(NamedTuple):
    """Prepaid units: `tokens` at weights, or `money`; amounts as decimals, ends in us UTC."""

    received_at: int
    grant_id: str
    unit: str
    amount: str
    begins: int
    ends: int | None
    priority: int
    weights: tuple[tuple[str, str], ...] = ()
    per_subject_cap: str = ""
    recurs: str = ""
    rollover_up_to: str = ""
    is_paid: bool = False


class TopUp(NamedTuple):
    """An open bucket gets more units."""

    received_at: int
    bucket: str
    amount: str


class TokenLimit(NamedTuple):
    """So many tokens a day for one login."""

    received_at: int
    limit_id: str
    subject: str
    tokens: int


class Goodwill(NamedTuple):
    """An adjustment of what is due."""

    received_at: int
    amount: str
    reason: str


class Tick(NamedTuple):
    """The clock says how late it is."""

    received_at: int


Step = Use | Void | Amend | Package | TopUp | TokenLimit | Goodwill | Tick


def moment(month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    """Return a time of 2026 in Shanghai as us UTC."""
    local = datetime(2026, month, day, hour, minute, tzinfo=_SHANGHAI)
    return (local - _EPOCH) // timedelta(microseconds=1)


BEGINS = moment(10, 1)
ENDS = moment(11, 1)

_SIGNED = moment(9, 30, 12)
_FOUNDATION: tuple[Step, ...] = (
    Package(
        _SIGNED,
        "welcome",
        "tokens",
        "7000000",
        BEGINS,
        moment(10, 15),
        priority=0,
        weights=(("cache_read", "1"),),
    ),
    Package(
        _SIGNED,
        "team",
        "tokens",
        "19000000",
        BEGINS,
        None,
        priority=10,
        weights=(("input", "1"), ("cache_read", "0.1"), ("output", "4")),
        recurs="calendar_month",
        rollover_up_to="250000",
    ),
    Package(
        _SIGNED,
        "wallet",
        "money",
        "8",
        BEGINS,
        ENDS,
        priority=20,
        per_subject_cap="0.25",
        is_paid=True,
    ),
    TokenLimit(_SIGNED, "day-of-login-07", LIMITED, 100_000),
)
"""Promotion, packages and limit, as they stand before the month begins."""

_TOP_UP = TopUp(moment(10, 28, 9), "team#0", "1600000")
_GOODWILL = Goodwill(moment(10, 16, 15), "-1.25", "slow answers on 12 October")

_LATE_ROWS = (3921, 3936, 3950, 3977, 3990)
"""Requests of the last day of October that a gateway reports when the month is closed."""

_VOIDED_BEFORE = 1030
"""A request whose void arrives before it does."""


def event_of(row: int) -> str:
    """Return the id of the event of a row of the trace (from 1)."""
    return f"mooncake/{row}"


def login_of(row: int) -> str:
    """Return the login that a row of the trace is dealt to."""
    return f"login-{row % LOGINS + 1:02d}"


def _corrections(uses: list[Use]) -> Iterator[Step]:
    """Yield what is taken back, and how usage comes late."""
    early = uses[_VOIDED_BEFORE - 1]
    yield Void(early.received_at - 60_000_000, "void/early", early.event_id)
    yield Void(moment(10, 12, 10), "void/open-buckets", event_of(1128))
    yield Void(moment(10, 19, 10), "void/expired-promotion", event_of(1338))
    yield _amended(uses[2909 - 1], moment(10, 24, 11))
    yield Void(moment(10, 22, 16), "void/paid-by-wallet", event_of(2433))
    yield Void(moment(10, 22, 17), "void/again", event_of(2433))
    yield Void(moment(11, 3, 11), "void/rolled-over", event_of(3841))
    yield Void(moment(11, 3, 12), "void/closed-wallet", event_of(2475))


def _amended(use: Use, received_at: int) -> Amend:
    """Return a request with half of its output."""
    halved = tuple((k, q // 2 if k == "output" else q) for k, q in use.quantities)
    return Amend(received_at, use.at, "amend/half", use.event_id, use.subject, halved)


def story() -> list[Step]:
    """Return all that happens, in the order in which it is received."""
    uses = list(requests())
    late = {event_of(row) for row in _LATE_ROWS}
    reported = moment(11, 3, 10)
    steps: list[Step] = [
        use._replace(received_at=reported) if use.event_id in late else use for use in uses
    ]
    day = moment(10, 2) - BEGINS
    ticks = [Tick(BEGINS + number * day) for number in range(1, 35)]
    steps += [*_FOUNDATION, *ticks, _TOP_UP, _GOODWILL, *_corrections(uses)]
    return sorted(steps, key=lambda step: step.received_at)


def requests() -> Iterator[Use]:
    """Yield the requests of the trace, with the input that a prefix cache would have held."""
    seen: set[int] = set()
    for row, line in enumerate(_read().splitlines(), start=1):
        fields = json.loads(line)
        length, blocks = fields["input_length"], fields["hash_ids"]
        known = next((n for n, block in enumerate(blocks) if block not in seen), len(blocks))
        seen.update(blocks)
        cached = min(length, known * _BLOCK_TOKENS)
        counts = (
            ("input", length - cached),
            ("cache_read", cached),
            ("output", fields["output_length"]),
        )
        at = BEGINS + fields["timestamp"] * _MILLISECOND * _STRETCH
        used = tuple((kind, count) for kind, count in counts if count)
        yield Use(at, at, event_of(row), login_of(row), used)


def _read() -> bytes:
    path = _DATA / _TRACE
    if not path.is_file():
        raise InvalidDocument(str(path), "nothing", "the data of a clone of the repository")
    return gzip.decompress(path.read_bytes())
