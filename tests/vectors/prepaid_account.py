"""One account with prepaid units, for a vector: documents, commands, usage and the clock.

A grant is a document, usage is reported as it happens, and time passes before each of them, so that
buckets close, roll over and open again as they would. Every grant is for usage of its own id (*own*,
which stands in the place of the model) and of ``any``: what a record says was used of one balance
before it begins is reported as usage of that one alone.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import count
from typing import Any

from engine.adapters.documents.grants import parse_grant
from engine.adapters.documents.tariff import parse_tariff
from engine.rating.account import Account
from engine.rating.bucket import Bucket
from engine.rating.charge import Charge
from engine.rating.command import (
    PRICED,
    Adjust,
    AssignTariff,
    IssueGrant,
    Order,
    RechargeBucket,
    VoidGrant,
)
from engine.rating.event import AccountEvent, CommandRefused
from engine.rating.money import PICO
from engine.rating.period import FIRST_INSTANT, format_instant
from tests.rating.scenario import Scenario
from tests.vectors.offline import VERSION
from tests.vectors.records import COUNT, MONEY, text

ANY = "any"
"""The model of usage that every bucket fits."""

ONE_EACH: Mapping[str, Any] = {
    "id": "units",
    "kinds": [COUNT],
    "period": "calendar_month",
    "price": {"model": "unit", "unit_price": "1"},
}
"""Units at 1 each: what no bucket covers becomes due, or waits."""

MONEY_AS_IT_IS: Mapping[str, Any] = {
    "id": "money",
    "kinds": [MONEY],
    "period": "calendar_month",
    "price": {"model": "percentage", "rate_percent": "100"},
}


class PrepaidAccount:
    """acme, on a tariff of these components, from 2000 on; times in us UTC."""

    def __init__(self, *components: Mapping[str, Any], overage: str = PRICED) -> None:
        self.scenario = Scenario()
        self.now = FIRST_INSTANT
        self._events = count()
        version = {**VERSION, "components": [dict(component) for component in components]}
        self.scenario.publish(parse_tariff(version, "vector"))
        self.scenario.open()
        self.order(AssignTariff("plan", FIRST_INSTANT, None, overage))

    @property
    def account(self) -> Account:
        """The account as it stands."""
        return self.scenario.ledger.account("acme")

    @property
    def due(self) -> Fraction:
        """What the account owes, in currency units."""
        return Fraction(self.account.due, PICO)

    @property
    def charges(self) -> list[Charge]:
        """Every charge so far."""
        return [record for record in self.scenario.records if isinstance(record, Charge)]

    def order(self, order: Order) -> AccountEvent:
        """Give an order that has to be applied."""
        event = self.scenario.command(order, received_at=self.now)
        assert not isinstance(event.change, CommandRefused), event.change
        return event

    def give(
        self,
        grant_id: str,
        amount: Fraction,
        *,
        unit: str = "tokens",
        begins: int = FIRST_INSTANT,
        models: Iterable[str] | None = (ANY,),
        **terms: Any,
    ) -> None:
        """Issue a grant: `terms` are fields of its document. Models None: for any usage."""
        if models is not None:
            terms["match"] = {"model": [grant_id, *models]}
        self.order(
            IssueGrant(
                parse_grant(
                    {
                        "grant_id": grant_id,
                        "unit": unit,
                        "amount": text(amount),
                        "valid_from": format_instant(begins),
                        "granted_at": format_instant(FIRST_INSTANT),
                        **terms,
                    },
                    "grant",
                )
            )
        )

    def advance(self, until: int) -> None:
        """Let time pass."""
        if until > self.now:
            self.now = until
            self.scenario.advance(format_instant(until))

    def use(self, kinds: Mapping[str, Fraction], model: str = ANY) -> Charge:
        """Report usage that happens now; it has to be charged. Money is in currency units."""
        quantities = {
            kind: int(value * PICO) if kind == MONEY else int(value)
            for kind, value in kinds.items()
        }
        for kind, value in kinds.items():
            assert quantities[kind] == (value * PICO if kind == MONEY else value), value
        event_id = f"event-{next(self._events)}"
        at = format_instant(self.now)
        return self.scenario.charged(event_id, at, quantities, model=model)

    def take_back(self, charge: Charge) -> Charge:
        """Void the usage of a charge; return the correction."""
        event_id = f"event-{next(self._events)}"
        at = format_instant(charge.occurred_at)
        return self.scenario.charged(event_id, at, {}, action="void", corrects=charge.event_id)

    def adjust(self, amount: Fraction, reason: str) -> Charge:
        """Change what is due; money buckets pay for what is added. Return the charge."""
        self.order(Adjust(int(amount * PICO), reason, self.now))
        return self.charges[-1]

    def recharge(self, bucket_id: str, amount: Fraction) -> None:
        """Put more into an open bucket."""
        self.order(RechargeBucket(bucket_id, int(amount * PICO)))

    def void(self, grant_id: str) -> None:
        """Take a grant back."""
        self.order(VoidGrant(grant_id))

    def buckets(self, grant_id: str) -> list[Bucket]:
        """Return the buckets of a grant, open and closed, in the order in which they opened."""
        return [b for b in self.account.prepaid.buckets.values() if b.grant.grant_id == grant_id]

    def holding(self, grant_id: str) -> Bucket | None:
        """Return the open bucket of a grant from which usage of now may draw; None: there is none."""
        held = [b for b in self.buckets(grant_id) if b.holds_at(self.now) and not b.is_closed]
        return held[0] if held else None

    def remaining(self, grant_id: str) -> Fraction:
        """Return what usage of now may draw from a grant, in its unit."""
        bucket = self.holding(grant_id)
        return Fraction(0) if bucket is None else Fraction(bucket.remaining, PICO)

    def drawn(self, grant_id: str) -> Fraction:
        """Return what was drawn from a grant in all, in its unit."""
        return Fraction(sum(bucket.drawn for bucket in self.buckets(grant_id)), PICO)


def uncovered(charge: Charge) -> int:
    """Return how much of a charge's quantity no bucket covers."""
    return sum(line.quantity - line.covered for line in charge.lines)


def draws(charge: Charge) -> list[tuple[str, Fraction]]:
    """Return what a charge draws from which bucket, in the order of drawing."""
    return [
        (draw.bucket, Fraction(draw.units, PICO)) for line in charge.lines for draw in line.draws
    ]
