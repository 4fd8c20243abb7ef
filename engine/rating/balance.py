"""The balance: what an account owes, as a pure function of its folded state."""

from typing import NamedTuple

from engine.rating.account import Account, PeriodSpend


class Balance(NamedTuple):
    """What an account owes. `due` in pico; `periods` by billing month, sorted; `as_of` us UTC."""

    account_id: str
    sequence: int
    currency: str
    time_zone: str
    tariff_id: str
    due: int
    periods: tuple[tuple[str, PeriodSpend], ...]
    charges: int
    suspended_lines: int
    as_of: int


def balance_of(account: Account) -> Balance:
    """Return the balance of an account."""
    return Balance(
        account.account_id,
        account.sequence,
        account.currency,
        account.zone.name if account.is_open else "",
        account.assignments[-1].tariff_id if account.assignments else "",
        account.due,
        tuple(sorted(account.periods.items())),
        account.charges,
        account.suspended_lines,
        account.as_of,
    )
