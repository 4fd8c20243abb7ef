"""The steps of the story as what the engine takes in: a tariff, commands, usage, passing time.

The offline test and the demo on Kafka both send what stands here; nothing is worked out beside it.
"""

from fractions import Fraction

from engine.adapters.avro.usage import DEFAULTS, NO_QUANTITIES, Fields
from engine.adapters.documents.tariff import parse_tariff
from engine.adapters.zones import freeze_zone
from engine.entrypoints.story_data import (
    ACCOUNT,
    BEGINS,
    CLOSE_GRACE_DAYS,
    CURRENCY,
    SOURCE,
    TARIFF,
    TIME_ZONE,
    Amend,
    Goodwill,
    Package,
    Step,
    TokenLimit,
    TopUp,
    Use,
    Void,
)
from engine.rating.command import (
    AccountCommand,
    Adjust,
    AdvanceTo,
    AssignTariff,
    IssueGrant,
    OpenAccount,
    Order,
    RechargeBucket,
    SetLimit,
)
from engine.rating.grant import BREAKAGE, CREDIT, Grant, Rollover
from engine.rating.limit import DAY, SUBJECT, TOKENS, Limit
from engine.rating.money import PICO
from engine.rating.tariff import TariffVersion

_DAY = 24 * 3_600 * 1_000_000


def story_tariff() -> TariffVersion:
    """Return the version that the story is rated by."""
    return parse_tariff(TARIFF, "story")


def opening_orders() -> list[AccountCommand]:
    """Return the commands that open the account and put it on its tariff."""
    orders: tuple[Order, ...] = (
        OpenAccount(CURRENCY, freeze_zone(TIME_ZONE), CLOSE_GRACE_DAYS * _DAY),
        AssignTariff(TARIFF["tariff_id"], BEGINS, None),
    )
    return [
        AccountCommand(f"{ACCOUNT}/{number}", ACCOUNT, "demo", order)
        for number, order in enumerate(orders)
    ]


def sent(step: Step) -> Fields | AccountCommand | AdvanceTo:
    """Return what a step sends: a usage event's fields, a command, or how late it is."""
    if isinstance(step, Use | Void | Amend):
        return usage_fields(step)
    order = _order(step)
    if order is None:
        return AdvanceTo(step.received_at, "demo")
    name = "/".join([type(step).__name__, *map(str, step[:2])])
    return AccountCommand(name, ACCOUNT, "demo", order)


def usage_fields(step: Use | Void | Amend) -> Fields:
    """Return the fields of a usage event. A void has the time of its own asking."""
    common: Fields = {
        **DEFAULTS,
        "account_id": ACCOUNT,
        "source": SOURCE,
        "event_id": step.event_id,
        "provider": "moonshot",
        "model": "kimi-k3",
        "operation": "chat",
    }
    if isinstance(step, Void):
        voids: Fields = {"action": "void", "corrects": step.corrects}
        return {**common, **voids, "occurred_at": step.received_at, "quantities": NO_QUANTITIES}
    if isinstance(step, Amend):
        common |= {"action": "amend", "corrects": step.corrects}
    return {
        **common,
        "occurred_at": step.at,
        "subject": step.subject,
        "quantities": {**NO_QUANTITIES, **dict(step.quantities)},
    }


def _order(step: Step) -> Order | None:
    if isinstance(step, Package):
        return IssueGrant(grant_of(step))
    if isinstance(step, TopUp):
        return RechargeBucket(step.bucket, _pico(step.amount))
    if isinstance(step, TokenLimit):
        limit = Limit(step.limit_id, TOKENS, SUBJECT, step.subject, DAY, step.tokens * PICO)
        return SetLimit(limit)
    if isinstance(step, Goodwill):
        return Adjust(_pico(step.amount), step.reason, step.received_at)
    return None


def grant_of(package: Package) -> Grant:
    """Return the grant that gives a package; money that was paid for comes back as credit."""
    return Grant(
        grant_id=package.grant_id,
        unit=package.unit,
        amount=_pico(package.amount),
        valid_from=package.begins,
        valid_to=package.ends,
        granted_at=package.received_at,
        priority=package.priority,
        weights=tuple((kind, Fraction(weight)) for kind, weight in package.weights),
        per_subject_cap=_pico(package.per_subject_cap) if package.per_subject_cap else None,
        recurrence=package.recurs,
        rollover=Rollover(_pico(package.rollover_up_to)) if package.rollover_up_to else None,
        is_paid=package.is_paid,
        returns=CREDIT if package.is_paid else BREAKAGE,
    )


def _pico(text: str) -> int:
    return int(Fraction(text) * PICO)
