"""Lago's percentage: of each event's money, a fee per event, bounds per event, and what is free.

It is a volume price of one event, because that starts anew behind free units. Events are free by
their number or by their money; one promotion counts one of both. Where a record has both limits,
the one that ends what is free is written, and if neither alone leaves the same free, none is.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from tests.vectors.records import MONEY, Record, number, text, whole

Promotion = dict[str, Any]
NOTHING_FREE: Promotion = {}


def write_percentage(record: Record) -> dict[str, Any]:
    """Return the component of a percentage.

    The least that an event costs is a `minimum`, but that is owed by free events as well; beside a
    promotion it is a first tier, up to the money whose share it is.
    """
    price = record["price"]
    rate, fee = number(price["rate_percent"]) / 100, number(price.get("fixed_per_event"))
    least = number(price.get("per_event_min"))
    tiers: list[dict[str, Any]] = [{"unit_price": text(rate)}]
    if fee:
        tiers[0]["flat_fee"] = text(fee)
    component: dict[str, Any] = {"id": "price", "kinds": [MONEY], "period": "event"}
    if price.get("per_event_max") is not None:
        component["maximum"] = text(number(price["per_event_max"]))
    if least > fee and promotion_of(record):
        tiers = [*_least(least, fee, rate), *tiers] if rate else [{"flat_fee": text(least)}]
    elif least > fee:
        component["minimum"] = text(least)
    return {**component, "price": {"model": "volume", "tiers": tiers}}


def _least(least: Fraction, fee: Fraction, rate: Fraction) -> list[dict[str, Any]]:
    up_to = int((least - fee) / rate)
    return [{"up_to": up_to, "flat_fee": text(least)}] if up_to else []


def write_promotions(record: Record) -> list[Promotion]:
    """Return the promotions of the tariff."""
    if record["price"]["model"] != "percentage":
        return []
    promotion = promotion_of(record)
    return (
        [{"id": "free", "kinds": [MONEY], "percent_off": "100", **promotion}] if promotion else []
    )


def promotion_of(record: Record) -> Promotion | None:
    """Return what of events is free, by number or amount; None if no one promotion says it."""
    price = record["price"]
    events, amount = number(price.get("free_events")), number(price.get("free_amount"))
    found: list[Promotion] = []
    if events:
        found.append({"first_events": whole(events)})
    if amount.denominator == 1 and amount:
        found.append({"first_units": whole(amount)})
    return next((p for p in (*found, NOTHING_FREE) if _agrees(record, p)), None)


def _agrees(record: Record, promotion: Promotion) -> bool:
    """Say whether a promotion leaves free what the other system does, and charges as many fees."""
    money = percentage_events(record)
    ours = [*_free_of(money, promotion.get("first_events"), promotion.get("first_units"))]
    if record["usage"].get("events"):
        return ours == _free_there(record, money)
    amount, fees = _free_in_sum(record)
    paid = sum(free < event for free, event in zip(ours, money, strict=True))
    same_fees = not number(record["price"].get("fixed_per_event")) or paid == fees
    return sum(ours) == amount and same_fees


def _free_there(record: Record, money: Sequence[Fraction]) -> list[Fraction]:
    """Return what is free of each event: within the number of free events, and their amount."""
    price = record["price"]
    events, amount = number(price.get("free_events")), number(price.get("free_amount"))
    if not (events or amount):
        return [Fraction(0)] * len(money)
    return [*_free_of(money, whole(events) or None, amount or None)]


def _free_of(
    money: Sequence[Fraction], events: int | None, amount: Fraction | int | None
) -> Iterator[Fraction]:
    left = Fraction(0 if amount is None else amount)
    for position, event in enumerate(money):
        if (events is None and amount is None) or (events is not None and position >= events):
            yield Fraction(0)
            continue
        free = event if amount is None else min(left, event)
        left -= free
        yield free


def _free_in_sum(record: Record) -> tuple[Fraction, int]:
    """Return the free money and the paid fees, as the README of the vectors says."""
    price, usage = record["price"], record["usage"]
    totals = [number(total) for total in usage.get("running_totals_of_free_candidates") or []]
    events, amount = whole(number(price.get("free_events"))), number(price.get("free_amount"))
    last = totals[-1] if totals else Fraction(0)
    free = totals[events - 1] if 0 < events < len(totals) else min(last, amount or last)
    under = sum(total < amount for total in totals)
    free_of_fee = min([count for count in (events, under) if count], default=0)
    count = whole(number(usage.get("event_count", "1"))) if number(usage["quantity"]) else 0
    return (free if count else Fraction(0)), max(0, count - free_of_fee)


def percentage_events(record: Record) -> list[Fraction]:
    """Return the money of each event; what the record gives as a sum is shared evenly."""
    usage = record["usage"]
    if usage.get("events"):
        return [number(amount) for amount in usage["events"]]
    if not number(usage["quantity"]):
        return []
    totals = [number(t) for t in usage.get("running_totals_of_free_candidates") or []]
    amounts = [after - before for before, after in pairwise([Fraction(0), *totals])]
    rest = number(usage["quantity"]) - sum(amounts)
    count = whole(number(usage.get("event_count", "1"))) - len(amounts)
    if rest <= 0 or count <= 0:
        return amounts
    share = Fraction(int(rest / count * 100) or 1, 100)
    return [*amounts, *[share] * (count - 1), rest - share * (count - 1)]
