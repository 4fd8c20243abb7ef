"""Balances by replay: computed again from the journal, with no help from any topic but it.

Without a time, a balance is the fold's own state. Effective at T, it counts the charges of usage
up to T and nothing later (semantics section 8: effective at T, as known now).
"""

from collections.abc import Callable

from engine.ports import RecordLog
from engine.rating.account import Account, PeriodSpend
from engine.rating.balance import Balance, balance_of
from engine.rating.charge import SUSPENSE, Charge
from replay.journal import fold_journal, journal_partitions, read_journal


def replay_balances(
    log: RecordLog, partitions: int, progress: Callable[[int], None] = lambda _: None
) -> list[Balance]:
    """Return the balance of every account, by account id, as the journal's fold gives it."""
    states = fold_journal(log, partitions, progress)
    balances = [
        balance_of(account) for state in states for account in state.ledger.accounts.values()
    ]
    return sorted(balances, key=lambda balance: balance.account_id)


def replay_balances_at(
    log: RecordLog, partitions: int, at: int, progress: Callable[[int], None] = lambda _: None
) -> list[Balance]:
    """Return the balance of every account from the charges of usage up to `at` (us UTC)."""
    effective: dict[str, Balance] = {}
    names = journal_partitions(partitions)
    ends = log.ends(names)
    for name in names:
        for read in read_journal(log, name, ends[name]):
            for record in read.commit.records:
                if isinstance(record, Charge) and record.occurred_at <= at:
                    account = read.state.ledger.accounts[record.account_id]
                    so_far = effective.get(record.account_id) or _nothing_yet(account)
                    effective[record.account_id] = _with(so_far, record)
            progress(1)
    return [effective[account_id] for account_id in sorted(effective)]


def _nothing_yet(account: Account) -> Balance:
    known = balance_of(account)
    return known._replace(due=0, periods=(), charges=0, suspended_lines=0)


def _with(balance: Balance, charge: Charge) -> Balance:
    periods = dict(balance.periods)
    spend = periods.get(charge.service_period, PeriodSpend(0, 0))
    periods[charge.service_period] = PeriodSpend(spend.amount + charge.amount, spend.charges + 1)
    suspended = sum(line.status == SUSPENSE for line in charge.lines)
    return balance._replace(
        sequence=charge.sequence,
        due=balance.due + charge.amount,
        periods=tuple(sorted(periods.items())),
        charges=balance.charges + 1,
        suspended_lines=balance.suspended_lines + suspended,
        as_of=charge.received_at,
    )
