"""The ledger of one partition: accounts, identities, and the four outcomes of usage.

A usage event is charged, a duplicate, rejected or (later) forwarded; nothing else. The ledger
decides in the order *identity, rate, fold*: it never mutates an account but by applying the very
record it returns, so recovering from the journal ends in the same state as having lived it.

What a record makes due in closed periods follows right behind it (`settlements`); whoever decides
a record asks for them before the next one.
"""

from collections.abc import Iterator
from typing import Protocol

from engine.rating.account import Account
from engine.rating.charge import USAGE, AccountEvent, Charge
from engine.rating.command import AccountCommand
from engine.rating.errors import Refusal
from engine.rating.lifecycle import decide_command, decide_version
from engine.rating.rate import rate_usage
from engine.rating.rules import ANY_TIME, Terms
from engine.rating.settlement import settlements
from engine.rating.tariff import TariffVersion
from engine.rating.tariff_book import TariffBook
from engine.rating.usage import Origin, UsageEvent, identity_key

DUPLICATE = "duplicate"


class Identities(Protocol):
    """Digest by identity of every usage event that was ever accepted, without a time window."""

    @property
    def commit(self) -> int:
        """The number of the last commit whose identities were in here from the start; 0: none."""

    def get(self, identity: str) -> bytes | None:
        """Return the digest that occupies an identity, or None."""

    def add(self, identity: str, digest: bytes) -> None:
        """Occupy an identity."""


class MemoryIdentities(dict[str, bytes]):
    """Identities in memory."""

    commit = 0

    def add(self, identity: str, digest: bytes) -> None:
        """Occupy an identity."""
        self[identity] = digest


class NoIdentities:
    """For readers that fold what others have checked, and take no usage in: it holds nothing."""

    commit = 2**63
    """Whatever commit comes: its identities were checked where it was decided."""

    def get(self, identity: str) -> bytes | None:  # noqa: ARG002 - the protocol's
        """Return None: nobody asks."""
        return None

    def add(self, identity: str, digest: bytes) -> None:
        """Forget it."""


class Ledger:
    """All accounts of one partition."""

    def __init__(self, book: TariffBook, identities: Identities) -> None:
        self.accounts: dict[str, Account] = {}
        self._book = book
        self.identities = identities

    def charge(
        self, event: UsageEvent, origin: Origin, terms: Terms = ANY_TIME
    ) -> Charge | Refusal | str:
        """Decide one usage event and take the charge in: a Charge, a Refusal, or DUPLICATE."""
        charge = self.decide(event, origin, terms)
        if isinstance(charge, Charge):
            self.apply(charge)
        return charge

    def decide(
        self, event: UsageEvent, origin: Origin, terms: Terms = ANY_TIME
    ) -> Charge | Refusal | str:
        """Decide one usage event and change nothing (semantics section 1)."""
        identity = identity_key(event.account_id, event.source, event.event_id)
        digest = self.identities.get(identity)
        if digest is not None:
            if digest == event.digest:
                return DUPLICATE
            return Refusal(
                "identity_conflict",
                f"event_id: {event.event_id!r} of source {event.source!r} was accepted before "
                f"with digest {digest.hex()}, expected the same content, got {event.digest.hex()}",
            )
        if event.action != "record":
            return Refusal(
                "action_not_supported",
                f"action: got {event.action!r}, expected record (rules revision {terms.rules})",
            )
        account = self.account(event.account_id)
        return rate_usage(account, identity, event, origin, self._book, terms)

    def command(self, command: AccountCommand, origin: Origin) -> AccountEvent:
        """Decide one account command: the account event that says what it did."""
        account = self.account(command.account_id)
        event = AccountEvent(
            command.account_id,
            account.sequence + 1,
            command.command_id,
            command.principal,
            origin.position,
            origin.received_at,
            decide_command(account, command, origin.received_at, self._book),
        )
        self.apply(event)
        return event

    def publish(self, version: TariffVersion, origin: Origin) -> Iterator[AccountEvent]:
        """Adopt or stage a newly known version for each account that it concerns, by account id."""
        for account_id in sorted(self.accounts):
            account = self.accounts[account_id]
            change = decide_version(account, version)
            if change is not None:
                event = AccountEvent(
                    account.account_id,
                    account.sequence + 1,
                    "",
                    "",
                    origin.position,
                    origin.received_at,
                    change,
                )
                self.apply(event)
                yield event

    def settlements(self, cause: Charge | AccountEvent, rules: int) -> Iterator[Charge]:
        """Settle what a record just taken in makes due, and take each settlement in."""
        for charge in self.decide_settlements(cause, rules):
            self.apply(charge)
            yield charge

    def decide_settlements(self, cause: Charge | AccountEvent, rules: int) -> Iterator[Charge]:
        """Decide what a record makes due; each is to be taken in before the next is asked for."""
        return settlements(self.account(cause.account_id), cause, rules, self._book)

    def apply(self, record: Charge | AccountEvent) -> None:
        """Fold one journal record in; the only way that state changes."""
        if isinstance(record, Charge) and record.kind == USAGE:
            self.identities.add(record.charge_id, record.digest)
        self.account(record.account_id).apply(record)

    def is_occupied(self, identity: str) -> bool:
        """Whether an accepted usage event has this identity."""
        return self.identities.get(identity) is not None

    def account(self, account_id: str) -> Account:
        """Return an account; one that is not known yet starts empty and not open."""
        account = self.accounts.get(account_id)
        if account is None:
            account = self.accounts[account_id] = Account(account_id)
        return account
