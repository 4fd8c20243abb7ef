"""Balances by replay: computed again from the journal, with no help from any topic but it.

Every answer takes two times (semantics section 8). *Effective at T* counts the charges of usage up
to T and nothing later. *As known at K* counts what the journal held then: K is a checkpoint over
all partitions, or a sequence of one account. Without either, a balance is the fold's own state.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from engine.ports import RecordLog
from engine.rating.account import Account, PeriodSpend
from engine.rating.balance import Balance, balance_of
from engine.rating.charge import SUSPENSE, AccountEvent, Charge
from engine.rating.errors import BrokenChain
from replay.checkpoint import Checkpoint
from replay.journal import fold_journal, journal_partitions, read_journal


class AsOf(NamedTuple):
    """Effective at T (`at`, us UTC), as known at K; None: now.

    K: `known`, or `sequence` of the one account `account_id`; without `sequence`, `account_id`
    alone only chooses.
    """

    at: int | None = None
    known: Checkpoint | None = None
    account_id: str | None = None
    sequence: int | None = None


NOW = AsOf()


def replay_balances(
    log: RecordLog,
    partitions: int,
    as_of: AsOf = NOW,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Balance]:
    """Return the balance of every account, or of the chosen one, by account id.

    BrokenChain if the journal is broken, or is not the one that the checkpoint names.
    """
    if as_of == NOW:
        states = fold_journal(log, partitions, progress)
        accounts = {name: found for s in states for name, found in s.ledger.accounts.items()}
        return [balance_of(accounts[account_id]) for account_id in sorted(accounts)]
    balances: dict[str, Balance] = {}
    accounts = {}
    for record in _known_records(log, partitions, as_of, progress):
        account = accounts.setdefault(record.account_id, Account(record.account_id))
        account.apply(record)
        balances[record.account_id] = (
            balance_of(account)
            if as_of.at is None
            else _effective(balances.get(record.account_id), account, record, as_of.at)
        )
    found = [balances[account_id] for account_id in sorted(balances)]
    return found if as_of.at is None else [balance for balance in found if balance.charges]


def _known_records(
    log: RecordLog, partitions: int, as_of: AsOf, progress: Callable[[int], None]
) -> Iterator[Charge | AccountEvent]:
    """Yield the charges and account events that were known, in journal order."""
    names = journal_partitions(partitions)
    ends = log.ends(names)
    for name in names:
        last = 0
        for read in read_journal(log, name, ends[name]):
            if as_of.known is not None and not as_of.known.knows(read.commit, read.digest):
                break
            last = read.commit.commit
            for record in read.commit.records:
                if isinstance(record, Charge | AccountEvent) and _is_asked_for(record, as_of):
                    yield record
            progress(1)
        if as_of.known is not None and last < as_of.known.commits[name.partition].commit:
            raise BrokenChain(
                f"journal partition {name.partition}: ends at commit {last}, the checkpoint names "
                f"{as_of.known.commits[name.partition].commit}"
            )


def _is_asked_for(record: Charge | AccountEvent, as_of: AsOf) -> bool:
    if as_of.account_id not in (None, record.account_id):
        return False
    return as_of.sequence is None or record.sequence <= as_of.sequence


def _effective(
    so_far: Balance | None, account: Account, record: Charge | AccountEvent, at: int
) -> Balance:
    """Return the balance after a record, of usage up to `at` only."""
    balance = so_far or balance_of(account)._replace(
        due=0, periods=(), charges=0, suspended_lines=0
    )
    known = balance_of(account)
    balance = balance._replace(
        currency=known.currency, time_zone=known.time_zone, tariff_id=known.tariff_id
    )
    if not isinstance(record, Charge) or record.occurred_at > at:
        return balance
    periods = dict(balance.periods)
    spend = periods.get(record.service_period, PeriodSpend(0, 0))
    periods[record.service_period] = PeriodSpend(spend.amount + record.amount, spend.charges + 1)
    suspended = sum(line.status == SUSPENSE for line in record.lines)
    return balance._replace(
        sequence=record.sequence,
        due=balance.due + record.amount,
        periods=tuple(sorted(periods.items())),
        charges=balance.charges + 1,
        suspended_lines=balance.suspended_lines + suspended,
        as_of=record.received_at,
    )
