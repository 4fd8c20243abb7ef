"""Balances by replay: computed again from the journal, with no help from any topic but it.

Every answer takes two times (semantics section 8). *As known at K* counts what the journal held then:
K is a checkpoint over all partitions, or a sequence of one account. *Effective at T* counts, of what
was known, the charges of use up to T and nothing later: what they came to by month, and what of it
became due, which is their amounts less what money buckets paid. Buckets, limits and the states that
follow from them are as known: a bucket has no other time than the journal's. Without either, a
balance is the fold's own state.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from engine.ports import RecordLog
from engine.rating.account import Account, PeriodSpend
from engine.rating.balance import Balance, balance_of
from engine.rating.charge import MONEY_CHARGES, SUSPENSE, VOIDED, Charge
from engine.rating.errors import BrokenChain
from engine.rating.event import AccountEvent
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
    accounts = {}
    tallies: dict[str, _Tally] = {}
    for record in _known_records(log, partitions, as_of, progress):
        account = accounts.setdefault(record.account_id, Account(record.account_id))
        due = account.due
        account.apply(record)
        if isinstance(record, Charge) and _counts(record, as_of):
            tally = tallies.setdefault(record.account_id, _Tally())
            tally.add(record, account.due - due)
    if as_of.at is None:
        return [balance_of(accounts[account_id]) for account_id in sorted(accounts)]
    return [tallies[account_id].balance(accounts[account_id]) for account_id in sorted(tallies)]


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


def _counts(charge: Charge, as_of: AsOf) -> bool:
    """Whether a charge has an amount, for use up to the time that is asked for."""
    return as_of.at is not None and charge.kind in MONEY_CHARGES and charge.occurred_at <= as_of.at


class _Tally:
    """What an account's charges of use up to a time come to."""

    def __init__(self) -> None:
        self.sequence = self.as_of = 0
        self.due = self.charges = self.suspended_lines = 0
        self.periods: dict[str, PeriodSpend] = {}

    def add(self, charge: Charge, due: int) -> None:
        """Count a charge that has changed what is due by so many pico."""
        self.sequence, self.as_of = charge.sequence, charge.received_at
        self.due += due
        self.charges += 1
        spend = self.periods.get(charge.service_period, PeriodSpend(0, 0))
        self.periods[charge.service_period] = PeriodSpend(
            spend.amount + charge.amount, spend.charges + 1
        )
        self.suspended_lines += _suspended_lines(charge)

    def balance(self, account: Account) -> Balance:
        """Return the balance: effective as tallied, everything else as known."""
        return balance_of(account)._replace(
            sequence=self.sequence,
            as_of=self.as_of,
            due=self.due,
            periods=tuple(sorted(self.periods.items())),
            charges=self.charges,
            suspended_lines=self.suspended_lines,
        )


def _suspended_lines(charge: Charge) -> int:
    """Return how many lines more are in suspense after a charge; a void takes some out of it."""
    entered = sum(line.status == SUSPENSE for line in charge.lines)
    left = sum(line.status == VOIDED and bool(line.reason) for line in charge.lines)
    return entered - left
