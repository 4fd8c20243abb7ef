"""Account events, orders and charges as one sentence each, for people who read a history."""

import re

from engine.rating.charge import COVERED, MONEY_CHARGES, SUSPENSE, VOIDED, Charge
from engine.rating.command import (
    PRICED,
    Adjust,
    AdoptVersion,
    Approve,
    AssignTariff,
    ClosePeriod,
    IssueGrant,
    OpenAccount,
    Order,
    RechargeBucket,
    SetLimit,
    VoidGrant,
)
from engine.rating.event import (
    AccountEvent,
    AccountOpened,
    Adjusted,
    AlertCleared,
    AlertRaised,
    ApprovalAwaited,
    BucketRecharged,
    Change,
    CommandRefused,
    Granted,
    GrantVoided,
    LimitSet,
    PeriodClosed,
    TariffAssigned,
    UsageRefused,
    VersionAdopted,
    VersionStaged,
    VoidLapsed,
    VoidPending,
)
from engine.rating.grant import MONEY, Grant
from engine.rating.limit import SPEND, SUBJECT, Limit
from engine.rating.money import format_pico
from engine.rating.period import FIRST_INSTANT, format_instant

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


def change_name(change: Change) -> str:
    """Return the name of what happened, such as ``tariff_assigned``."""
    return _CAPITAL.sub("_", type(change).__name__).lower()


def order_name(order: Order) -> str:
    """Return the name of what is asked, such as ``issue_grant``."""
    return _CAPITAL.sub("_", type(order).__name__).lower()


def describe_event(event: AccountEvent) -> str:
    """Return what happened to an account in one sentence."""
    text = _describe_change(event.change)
    return f"{text}; approves {event.approves}" if event.approves else text


def _describe_change(change: Change) -> str:
    match change:
        case AccountOpened():
            return f"in {change.currency}, months of {change.zone.name}"
        case TariffAssigned():
            waits = (
                "; staged: usage after its beginning was charged before" if change.staged else ""
            )
            return f"{_interval(change)}{waits}"
        case VersionAdopted() | VersionStaged():
            return f"{change.tariff_id} version {change.version}"
        case PeriodClosed():
            return change.period
        case Granted():
            return describe_grant(change.grant)
        case BucketRecharged():
            return f"{format_pico(change.amount)} more into {change.bucket}"
        case GrantVoided():
            return change.grant_id
        case LimitSet():
            return describe_limit(change.limit)
        case Adjusted():
            return f"{_signed(change.amount)}: {change.reason}"
        case ApprovalAwaited():
            return f"{order_name(change.order)}: {describe_order(change.order)}"
        case _:
            return _describe_fact(change)


def _describe_fact(change: Change) -> str:
    """Return what happened without a command, or what a command or usage did not do."""
    match change:
        case VoidPending():
            return (
                f"{change.source}/{change.event_id} waits for {change.corrects} until "
                f"{format_instant(change.lapses_at)}"
            )
        case VoidLapsed():
            return f"{change.source}/{change.event_id} waited in vain for {change.corrects}"
        case UsageRefused():
            refusal = change.refusal
            return f"{change.source}/{change.event_id}: {refusal.code}: {refusal.explanation}"
        case AlertRaised():
            return f"{change.code}: {change.explanation}"
        case AlertCleared():
            return change.key
        case CommandRefused():
            return f"{change.refusal.code}: {change.refusal.explanation}"
        case _:
            return ""


def describe_order(order: Order) -> str:
    """Return what is asked of an account in one sentence."""
    match order:
        case OpenAccount():
            return f"in {order.currency}, months of {order.zone.name}"
        case AssignTariff():
            return _interval(order)
        case ClosePeriod():
            return order.period
        case IssueGrant():
            return describe_grant(order.grant)
        case RechargeBucket():
            return f"{format_pico(order.amount)} more into {order.bucket}"
        case VoidGrant():
            return order.grant_id
        case SetLimit():
            return describe_limit(order.limit)
        case Adjust():
            return f"{_signed(order.amount)}: {order.reason}"
        case AdoptVersion():
            return f"{order.tariff_id} version {order.version}"
        case Approve():
            return order.awaited


def _interval(assigned: TariffAssigned | AssignTariff) -> str:
    start = assigned.effective_from
    since = "from the beginning" if start == FIRST_INSTANT else f"from {format_instant(start)}"
    end = assigned.effective_to
    until = "" if end is None else f" to {format_instant(end)}"
    overage = "" if assigned.overage == PRICED else f", overage {assigned.overage}"
    return f"{assigned.tariff_id} {since}{until}{overage}"


def describe_grant(grant: Grant) -> str:
    """Return the main terms of a grant."""
    unit = "" if grant.unit == MONEY else " units"
    end = "" if grant.valid_to is None else f" to {format_instant(grant.valid_to)}"
    again = f", each {grant.recurrence}" if grant.recurs else ""
    return (
        f"{grant.grant_id}: {format_pico(grant.amount)}{unit} from "
        f"{format_instant(grant.valid_from)}{end}{again}"
    )


def describe_limit(limit: Limit) -> str:
    """Return a limit in one sentence."""
    if limit.amount is None:
        return f"{limit.limit_id}: removed"
    who = ""
    if limit.scope == SUBJECT:
        who = f" of {limit.subject}" if limit.subject else " of each subject"
    unit = "" if limit.measure == SPEND else " tokens"
    return f"{limit.limit_id}: {format_pico(limit.amount)}{unit}{who} per {limit.period}"


def describe_charge(charge: Charge) -> str:
    """Return what a charge is for in one sentence."""
    if charge.kind not in MONEY_CHARGES:
        return ", ".join(_moved(charge))
    kinds = ", ".join(
        f"{line.quantity} {line.kind}{_how(line.status, line.reason, line.covered)}"
        for line in charge.lines
        if line.quantity
    )
    if not charge.event_id:
        components = ", ".join(line.component for line in charge.lines if line.component)
        return f"{charge.service_period} {components}".strip()
    taken_back = f" takes back {charge.corrects}" if charge.corrects else ""
    return f"{charge.source}/{charge.event_id}{taken_back}: {charge.model} {kinds}".strip()


def _how(status: str, reason: str, covered: int) -> str:
    if status == SUSPENSE:
        return f" (in suspense: {reason})"
    if status == VOIDED or not covered:
        return ""
    return " (covered)" if status == COVERED else f" ({covered} covered)"


def _moved(charge: Charge) -> list[str]:
    return [
        f"{drawdown.bucket}: "
        + ", ".join(
            f"{format_pico(abs(units))} {word}"
            for units, word in (
                (drawdown.units, "put in" if drawdown.units < 0 else "drawn"),
                (drawdown.rolled, "rolled over"),
                (drawdown.expired, "expired"),
            )
            if units
        )
        for drawdown in charge.drawdowns
    ]


def _signed(amount: int) -> str:
    return f"{'+' if amount > 0 else ''}{format_pico(amount)}"
