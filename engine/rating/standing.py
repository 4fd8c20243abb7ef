"""What stands of a usage event: enough of its charge to take it back, and nothing else.

A void may name an event of long ago, so what stands of every event is kept beside its identity
(`engine.rating.ledger.Identities`), packed into a few dozen bytes. It is worked out from the charge,
so deciding live, recovering and replaying keep the same.
"""

import json
from typing import Any, NamedTuple

from engine.rating.charge import Charge, Draw, Line
from engine.rating.errors import BrokenInvariant

VOIDED = b"v"
"""Nothing stands any more."""

ACTING = b"a"
"""The identity is that of a void: it has nothing that could be taken back."""


class StandingLine(NamedTuple):
    """A line as it stands; see `Line`. `reason`: of suspense, else empty."""

    component: str
    kind: str
    quantity: int
    counter: str
    metered: int
    reason: str
    promotion: str
    tally: str
    tallied: int | None
    covered: int
    draws: tuple[Draw, ...]


class StandingVersion(NamedTuple):
    """The tariff version that a usage event stands under."""

    tariff_id: str
    version: int


class Standing(NamedTuple):
    """A usage event as it stands; see `Charge`."""

    subject: str
    occurred_at: int
    service_period: str
    provider: str
    model: str
    operation: str
    service_tier: str
    region: str
    trace_id: str
    initiator: str
    tariff: StandingVersion | None
    supplier_cost: int | None
    lines: tuple[StandingLine, ...]


def packed(charge: Charge) -> bytes:
    """Return what stands of a usage event right after it was charged."""
    tariff = charge.tariff
    return json.dumps(
        (
            charge.subject,
            charge.occurred_at,
            charge.service_period,
            charge.provider,
            charge.model,
            charge.operation,
            charge.service_tier,
            charge.region,
            charge.trace_id,
            charge.initiator,
            tariff and tariff[:2],
            charge.supplier_cost,
            [_packed(line) for line in charge.lines],
        ),
        separators=(",", ":"),
    ).encode()


def _packed(line: Line) -> tuple[object, ...]:
    rest = (line.promotion, line.tally, line.tallied, line.covered, line.draws)
    always = (line.component, line.kind, line.quantity, line.counter, line.metered, line.reason)
    return (*always, *rest) if line.promotion or line.covered or line.draws else always


def unpacked(data: bytes) -> Standing:
    """Return what stands of a usage event. BrokenInvariant if the bytes say that nothing does."""
    if data in (b"", VOIDED, ACTING):
        raise BrokenInvariant(f"nothing stands in {data!r}")
    *texts, tariff, supplier_cost, lines = json.loads(data)
    version = tariff and StandingVersion(*tariff)
    return Standing._make((*texts, version, supplier_cost, tuple(map(_unpacked, lines))))


_NO_REST = ("", "", None, 0, ())


def _unpacked(line: list[Any]) -> StandingLine:
    *values, draws = line if len(line) == len(StandingLine._fields) else (*line, *_NO_REST)
    return StandingLine._make((*values, tuple(Draw(*draw) for draw in draws)))
