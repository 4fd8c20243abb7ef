"""Autumn's balances: what is deducted draws from buckets, and what is refunded takes usage back.

A balance below zero is what is due. Tokens are deducted: buckets cover what they can, and of the rest a
balance that allows overage owes. A refund is a void of usage that was paid with money: it lowers what
is due first, and then goes back to the buckets, as far as was drawn from them.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import lcm
from typing import Any, NamedTuple

from engine.rating.charge import Charge
from engine.rating.command import PRICED, SUSPENDED
from engine.rating.money import PICO
from tests.vectors.prepaid_account import (
    ANY,
    MONEY_AS_IT_IS,
    ONE_EACH,
    PrepaidAccount,
    uncovered,
)
from tests.vectors.records import COUNT, MONEY, Record, number, text
from tests.vectors.shapes import Shown, first, only


class Balance(NamedTuple):
    """A balance of a record; `starting` is how much was given."""

    name: str
    left: Fraction
    starting: Fraction
    allows_overage: bool

    @property
    def used(self) -> Fraction:
        """What was drawn from it before, without what it owes."""
        return self.starting - max(self.left, Fraction(0))

    @property
    def owed(self) -> Fraction:
        """What was used of it beyond what it had."""
        return max(-self.left, Fraction(0))


def read_balances(record: Record) -> list[Balance]:
    """Return the balances, prepaid ones first; of a refund of one of them, only that."""
    only(record, "balances", "deduct", "allow_overage", "target", "target_entity")
    found = []
    for row in record["balances"]:
        only(
            row,
            *("balance", "overage_allowed", "usage_allowed", "starting_balance", "starting"),
            *("granted", "allowance", "quantity", "billing_units"),
        )
        left = number(row["balance"])
        starting = first(row, "starting_balance", "starting", "granted", "allowance")
        given = number(starting)
        if starting is None and row.get("quantity") is not None:
            given = number(row["quantity"]) * number(row.get("billing_units") or 1)
        allowed = first(row, "overage_allowed", "usage_allowed") in (True, "true")
        found.append(Balance(str(row["id"]), left, max(given, left, Fraction(0)), allowed))
    return sorted(found, key=lambda balance: balance.allows_overage)


class Deduction:
    """A record of balances, run to its end."""

    def __init__(self, record: Record) -> None:
        self.balances = read_balances(record)
        self.amount = number(record["deduct"])
        self.owed = {balance.name: balance.owed for balance in self.balances}
        self.target = str(first(record, "target", "target_entity") or "")
        self.left_over = Fraction(0)
        if self.amount < 0:
            self._refund(-self.amount)
        else:
            self._deduct(may_owe(record))

    def _give(self, **terms: Any) -> None:
        for place, balance in enumerate(self.balances):
            if balance.starting:
                self.acme.give(balance.name, balance.starting, priority=place, **terms)

    def _deduct(self, owing: Balance | None) -> None:
        amounts = [
            self.amount,
            *(b.used for b in self.balances),
            *(b.starting for b in self.balances),
        ]
        scale = lcm(*(amount.denominator for amount in amounts))
        price = {**ONE_EACH["price"], "per": scale}
        overage = PRICED if owing else SUSPENDED
        self.acme = PrepaidAccount({**ONE_EACH, "price": price}, overage=overage)
        self._give(weights={COUNT: text(Fraction(1, scale))})
        for balance in self.balances:
            if balance.used:
                self.acme.use({COUNT: balance.used * scale}, model=balance.name)
        if sum(self.owed.values()):
            self.acme.adjust(sum(self.owed.values(), Fraction(0)), "owed before")
        if not self.amount:
            return
        charge = self.acme.use({COUNT: self.amount * scale}, model=self.target or ANY)
        beyond = Fraction(uncovered(charge), scale)
        if owing:
            self.owed[owing.name] += beyond
        else:
            self.left_over = beyond

    def _refund(self, amount: Fraction) -> None:
        """Report all that was used, what is refunded last, and take that back.

        The first balance was drawn last: what comes back goes to the latest draw first.
        """
        self.acme = PrepaidAccount(MONEY_AS_IT_IS)
        self._give(unit="money")
        meant = [b for b in self.balances if self.target in ("", b.name)]
        used = [(NOBODYS, sum((b.owed for b in meant), Fraction(0)))]
        used += [(balance.name, balance.used) for balance in reversed(meant)]
        kept = max(Fraction(0), sum(units for _, units in used) - amount)
        taken_back: list[Charge] = []
        for model, units in used:
            stays = min(units, kept)
            kept -= stays
            for part in filter(None, (stays, units - stays)):
                charge = self.acme.use({MONEY: part}, model=model)
            if units > stays:
                taken_back.append(charge)
        returned = [self.acme.take_back(charge).amount for charge in reversed(taken_back)]
        self.left_over = -amount - Fraction(sum(returned), PICO)
        self._heal()

    def _heal(self) -> None:
        """Say whose what is still owed is: the first balance is healed first."""
        due = self.acme.due
        for balance in reversed(self.balances):
            self.owed[balance.name] = min(due, balance.owed)
            due -= self.owed[balance.name]

    def left(self) -> dict[str, Fraction]:
        """Return each balance: what is left of it, less what is owed."""
        assert self.acme.due == sum(self.owed.values()), "what is owed is due"
        return {
            balance.name: self.acme.remaining(balance.name) - self.owed[balance.name]
            for balance in self.balances
        }

    def shown(self) -> Shown:
        """Return what records may expect."""
        return {"remaining": lambda: self.left_over, "balances": self.left}


NOBODYS = "owed"
"""The model of usage that no balance had anything for."""


def may_owe(record: Record) -> Balance | None:
    """Return the balance that owes what is beyond all of them; None: nothing may be."""
    allowed = record.get("allow_overage") in (True, "true")
    owing = (balance for balance in read_balances(record) if balance.allows_overage)
    return next(owing, None) if allowed else None


def _refund_beyond_use(record: Record) -> bool:
    """More comes back than was used; there it goes above what was given, here it is a recharge."""
    if number(record["deduct"]) >= 0 or record.get("allow_overage") not in (True, "true"):
        return False
    used = sum(balance.used + balance.owed for balance in read_balances(record))
    return -number(record["deduct"]) > used


REASONS: Mapping[str, Callable[[Record], bool]] = {"refund_beyond_use": _refund_beyond_use}


class Conversion:
    """Credits for units of a feature: a bucket burns units at the weight of a credit.

    Tokens are units of what they cost: of 0.125 there are 125 thousandths.
    """

    def __init__(self, record: Record) -> None:
        only(record, "price", "usage")
        only(record["price"], *_PER_UNIT, "feature_amount")
        only(record["usage"], "quantity", *_COSTS)
        price, usage = record["price"], record["usage"]
        self.quantity = number(usage.get("quantity") or 1)
        units = self.quantity * number(first(usage, *_COSTS) or 1)
        per_unit = number(first(price, *_PER_UNIT) or 1) / number(price.get("feature_amount") or 1)
        acme, parts = PrepaidAccount(ONE_EACH), units.denominator
        weights = {COUNT: text(per_unit / parts)}
        acme.give("credits", max(Fraction(1), per_unit * units), weights=weights)
        acme.use({COUNT: units * parts})
        self.credits = acme.drawn("credits")

    def shown(self) -> Shown:
        """Return what records may expect."""
        names = ("credit_cost", "credits", "total")
        of_one = dict.fromkeys(("credit_cost_per_unit", "credits_per_unit"), self._of_one)
        return {**of_one, **{name: lambda: self.credits for name in names}}

    def _of_one(self) -> Fraction:
        return self.credits / self.quantity


_PER_UNIT = ("credits_per_unit", "credit_amount", "credits_per_usd", "credits_per_dollar")
_COSTS = ("cost", "usd_cost", "cost_usd", "amount")
