"""The ledger of one partition: accounts, identities, and what becomes of every input.

A usage event is charged, taken for a duplicate, or rejected; a void takes back what stands of another
one, waits for it, or is refused. The ledger *decides* in the order identity, rate, fold: it never
changes an account but by applying the very record it has decided, so recovering from the journal ends
in the same state as having lived it.

Every decision is an iterator of the records it leads to, in journal order: what opens a bucket comes
before the usage that draws from it, and what a record makes due (settlements, the void that waited
for it, alerts) right behind it. Each record is to be taken in before the next one is asked for.
"""

from collections.abc import Iterator
from typing import Protocol

from engine.rating.account import Account
from engine.rating.charge import CORRECTION, USAGE, Charge
from engine.rating.clock import Due, dues, happening, is_due, refills_before
from engine.rating.command import AccountCommand
from engine.rating.errors import Refusal
from engine.rating.event import (
    AccountEvent,
    Change,
    UsageRefused,
    VoidPending,
)
from engine.rating.lifecycle import decide_command, decide_version
from engine.rating.orders import brought_by
from engine.rating.period import LAST_INSTANT
from engine.rating.rate import rate_usage, suspend_usage
from engine.rating.rules import ACCOUNT_LIFE, ANY_TIME, DEFAULT_LATENESS, LATEST_REVISION, Terms
from engine.rating.settlement import settlements
from engine.rating.standing import ACTING, VOIDED, packed, unpacked
from engine.rating.tariff import TariffVersion
from engine.rating.tariff_book import TariffBook
from engine.rating.usage import Origin, UsageEvent, identity_key
from engine.rating.void import correction
from engine.rating.watch import alerts

DUPLICATE = "duplicate"


Decided = Charge | AccountEvent
"""A record of an account, as the ledger decides it."""

Steps = Iterator[Iterator[Decided]]
"""Decisions about many accounts: records of one step belong together, steps may be apart."""


class Identities(Protocol):
    """Every usage event that was ever accepted, by identity and without a time window."""

    @property
    def commit(self) -> int:
        """The number of the last commit whose identities were in here from the start; 0: none."""

    def get(self, identity: str) -> bytes | None:
        """Return the digest that occupies an identity, or None."""

    def standing(self, identity: str) -> bytes:
        """Return what stands of an event (engine.rating.standing); empty: not known."""

    def add(self, identity: str, digest: bytes, standing: bytes) -> None:
        """Occupy an identity, or say what stands of it from now on."""


class MemoryIdentities(dict[str, tuple[bytes, bytes]]):
    """Identities in memory: digest, and what stands."""

    commit = 0

    def get(self, identity: str) -> bytes | None:  # type: ignore[override]  # the protocol's
        """Return the digest that occupies an identity, or None."""
        found = self.entry(identity)
        return found and found[0]

    def entry(self, identity: str) -> tuple[bytes, bytes] | None:
        """Return digest and what stands."""
        return dict.get(self, identity)

    def standing(self, identity: str) -> bytes:
        """Return what stands of an event; empty: not known."""
        found = self.entry(identity)
        return found[1] if found else b""

    def add(self, identity: str, digest: bytes, standing: bytes) -> None:
        """Occupy an identity, or say what stands of it from now on."""
        self[identity] = (digest, standing)


class NoIdentities:
    """For readers that fold what others have checked, and take no usage in: it holds nothing."""

    commit = 2**63
    """Whatever commit comes: its identities were checked where it was decided."""

    def get(self, identity: str) -> bytes | None:  # noqa: ARG002 - the protocol's
        """Return None: nobody asks."""
        return None

    def standing(self, identity: str) -> bytes:  # noqa: ARG002 - the protocol's
        """Return nothing: nobody asks."""
        return b""

    def add(self, identity: str, digest: bytes, standing: bytes) -> None:
        """Forget it."""


class Ledger:
    """All accounts of one partition."""

    def __init__(self, book: TariffBook, identities: Identities) -> None:
        self.accounts: dict[str, Account] = {}
        self._book = book
        self.identities = identities
        self._takes_usage_in = not isinstance(identities, NoIdentities)

    def take(
        self, event: UsageEvent, origin: Origin, terms: Terms = ANY_TIME
    ) -> tuple[list[Decided], Refusal | str | None]:
        """Decide one usage event and take in what it leads to.

        Returns the records, and a Refusal or DUPLICATE where the event itself was not accepted.
        """
        records: list[Decided] = []
        for outcome in self.decide(event, origin, terms):
            if isinstance(outcome, Refusal | str):
                return records, outcome
            self.apply(outcome)
            records.append(outcome)
        return records, None

    def decide(
        self, event: UsageEvent, origin: Origin, terms: Terms = ANY_TIME
    ) -> Iterator[Decided | Refusal | str]:
        """Decide one usage event: the records it leads to; or, last of all, why it is not accepted.

        Changes nothing by itself (semantics section 1).
        """
        identity = identity_key(event.account_id, event.source, event.event_id)
        digest = self.identities.get(identity)
        if digest is not None:
            yield DUPLICATE if digest == event.digest else _conflict(event, digest)
        elif event.action == "record":
            yield from self._charge(identity, event, origin, terms)
        elif terms.rules < ACCOUNT_LIFE:
            yield Refusal(
                "action_not_supported",
                f"action: got {event.action!r}, expected record (rules revision {terms.rules})",
            )
        else:
            yield from self._take_back(identity, event, origin, terms)

    def _charge(
        self, identity: str, event: UsageEvent, origin: Origin, terms: Terms, corrects: str = ""
    ) -> Iterator[Decided | Refusal]:
        """Charge usage, in the place of another charge if it amends one."""
        account = self.account(event.account_id)
        next_refill = account.prepaid.next_refill
        if next_refill is not None and next_refill <= event.occurred_at:
            for refill in refills_before(account, event.occurred_at, origin, terms.rules):
                yield refill
                yield from self.following(refill, terms.rules)
        charge = rate_usage(account, identity, event, origin, self._book, terms, corrects)
        if corrects and isinstance(charge, Refusal):  # the other half of the amend is written
            charge = suspend_usage(account, identity, event, origin, terms, corrects, charge.code)
        yield charge
        if isinstance(charge, Charge):
            yield from self.following(charge, terms.rules)

    def _take_back(
        self, identity: str, event: UsageEvent, origin: Origin, terms: Terms
    ) -> Iterator[Decided | Refusal]:
        """Void an event, or amend it: void it and charge other usage in its place."""
        account = self.account(event.account_id)
        original = identity_key(event.account_id, event.source, event.corrects)
        standing = self.identities.standing(original)
        is_amend = event.action == "amend"
        refusal = self._refuse_void(account, event, original, standing, origin, terms)
        if refusal is not None:
            yield self._event(
                account,
                UsageRefused(event.source, event.event_id, event.digest, refusal),
                origin,
            )
        elif standing:
            taken = correction(
                account, original, unpacked(standing), event, origin, terms.rules, self._book
            )
            yield taken
            if isinstance(taken, Charge):
                yield from self.following(taken, terms.rules)
                if is_amend:
                    yield from self._charge(identity, event, origin, terms, original)
        else:
            if is_amend:
                yield from self._charge(identity, event, origin, terms, original)
            lapses_at = min(
                max(origin.received_at, event.occurred_at) + _lateness(terms), LAST_INSTANT
            )
            waiting = VoidPending(
                event.source, event.event_id, event.digest, event.corrects, lapses_at
            )
            yield self._event(account, waiting, origin)

    def _refuse_void(
        self,
        account: Account,
        event: UsageEvent,
        original: str,
        standing: bytes,
        origin: Origin,
        terms: Terms,
    ) -> Refusal | None:
        """Return why an event can not be taken back (semantics section 5), or None."""
        named = f"corrects: event {event.corrects!r} of source {event.source!r}"
        if standing == VOIDED:
            return Refusal("already_voided", f"{named} was voided before")
        if standing == ACTING or event.corrects == event.event_id:
            return Refusal("void_of_void", f"{named} is a void itself, expected usage")
        if original in account.pending:
            waiting = account.pending[original].event_id
            return Refusal("already_voided", f"{named} is awaited by void {waiting!r} already")
        late_by = origin.received_at - event.occurred_at
        if not standing and event.action == "void" and late_by > _lateness(terms):
            return Refusal(
                "void_of_nothing",
                f"{named} is not known, and what was used {event.occurred_at} us could not be "
                "charged any more",
            )
        return None

    def command(
        self, command: AccountCommand, origin: Origin, rules: int = LATEST_REVISION
    ) -> list[Decided]:
        """Decide one account command and take in what it leads to: first what it did."""
        return self.taken(self.decide_command(command, origin, rules))

    def decide_command(
        self, command: AccountCommand, origin: Origin, rules: int = LATEST_REVISION
    ) -> Iterator[Decided]:
        """Decide one account command: the account event that says what it did, and what follows."""
        account = self.account(command.account_id)
        decision = decide_command(account, command, origin.received_at, self._book, rules)
        event = AccountEvent(
            command.account_id,
            account.sequence + 1,
            command.command_id,
            command.principal,
            origin.position,
            origin.received_at,
            decision.change,
            decision.approves,
        )
        return self._led_to(event, rules)

    def advance(self, until: int, origin: Origin, rules: int = LATEST_REVISION) -> list[Decided]:
        """Let everything happen that is due by an instant (us UTC), and take it in."""
        steps = self.decide_advance(until, origin, rules)
        return [record for step in steps for record in self.taken(step)]

    def decide_advance(self, until: int, origin: Origin, rules: int = LATEST_REVISION) -> Steps:
        """Decide what is due by an instant (us UTC), by account id and then by due time."""
        for account_id in sorted(name for name, a in self.accounts.items() if is_due(a, until)):
            account = self.accounts[account_id]
            for due in dues(account, until):
                yield self._happening(account, due, origin, rules)

    def _happening(
        self, account: Account, due: Due, origin: Origin, rules: int
    ) -> Iterator[Decided]:
        for what in happening(account, due, origin, rules):
            record = what if isinstance(what, Charge) else self._event(account, what, origin)
            yield record
            yield from self.following(record, rules)

    def publish(
        self, version: TariffVersion, origin: Origin, rules: int = LATEST_REVISION
    ) -> Iterator[list[Decided]]:
        """Let each account adopt or stage a newly known version, and take that in."""
        return map(self.taken, self.decide_publish(version, origin, rules))

    def decide_publish(
        self, version: TariffVersion, origin: Origin, rules: int = LATEST_REVISION
    ) -> Steps:
        """Decide what each account makes of a newly known version, by account id."""
        for account_id in sorted(self.accounts):
            account = self.accounts[account_id]
            change = decide_version(account, version)
            if change is not None:
                yield self._led_to(self._event(account, change, origin), rules)

    def _led_to(self, event: AccountEvent, rules: int) -> Iterator[Decided]:
        yield event
        yield from self.following(event, rules)

    def following(self, record: Decided, rules: int) -> Iterator[Decided]:
        """Decide what follows right behind a record that the account has just taken in."""
        account = self.account(record.account_id)
        origin = Origin(record.position, record.received_at)
        if isinstance(record, AccountEvent):
            for charge in brought_by(account, record, origin, rules):
                yield charge
                yield from self._crossed(account, charge, origin)
        for settlement in settlements(account, record, rules, self._book):
            yield settlement
            yield from self._crossed(account, settlement, origin)
        yield from self._crossed(account, record, origin)
        if account.pending and isinstance(record, Charge) and record.charge_id in account.pending:
            yield from self._catch_up(account, record, origin, rules)

    def _crossed(self, account: Account, record: Decided, origin: Origin) -> Iterator[AccountEvent]:
        """Decide the alerts of a record. Few accounts watch anything."""
        if account.prepaid.buckets or account.limits.by_id:
            for news in alerts(account, record):
                yield self._event(account, news, origin)

    def _catch_up(
        self, account: Account, charge: Charge, origin: Origin, rules: int
    ) -> Iterator[Decided]:
        """Take a charge back for which a void has waited."""
        void = account.pending[charge.charge_id]
        standing = unpacked(packed(charge))
        taken = correction(account, charge.charge_id, standing, void, origin, rules, self._book)
        if isinstance(taken, Charge):  # what does not fit waits on, until the void lapses
            yield taken
            yield from self.following(taken, rules)

    def _event(self, account: Account, change: Change, origin: Origin) -> AccountEvent:
        """Return an account event that no command asked for."""
        sequence = account.sequence + 1
        place = (origin.position, origin.received_at)
        return AccountEvent(account.account_id, sequence, "", "", *place, change)

    def taken(self, decided: Iterator[Decided]) -> list[Decided]:
        """Take in what was decided, record by record."""
        records = []
        for record in decided:
            self.apply(record)
            records.append(record)
        return records

    def apply(self, record: Decided) -> None:
        """Fold one journal record in; the only way that state changes."""
        if self._takes_usage_in:
            self.identify(record)
        self.account(record.account_id).apply(record)

    def identify(self, record: Decided) -> None:
        """Keep the identity of an event, and what stands of it, for events to come."""
        if isinstance(record, AccountEvent):
            self._occupy(record.account_id, record.change)
        elif record.kind == USAGE:
            self.identities.add(record.charge_id, record.digest, packed(record))
        elif record.kind == CORRECTION:
            self._void(record)

    def _occupy(self, account_id: str, change: Change) -> None:
        """Occupy the identity of a void that waits or was refused."""
        if isinstance(change, VoidPending | UsageRefused):
            identity = identity_key(account_id, change.source, change.event_id)
            if not self.identities.standing(identity):  # an amend's usage stands by itself
                self.identities.add(identity, change.digest, ACTING)

    def _void(self, charge: Charge) -> None:
        """Occupy the identity of a void, and note that nothing stands of its original."""
        identity = identity_key(charge.account_id, charge.source, charge.event_id)
        if not self.identities.standing(identity):
            self.identities.add(identity, charge.digest, ACTING)
        digest = self.identities.get(charge.corrects)
        if digest is not None:
            self.identities.add(charge.corrects, digest, VOIDED)

    def is_occupied(self, identity: str) -> bool:
        """Whether an accepted usage event has this identity."""
        return self.identities.get(identity) is not None

    def is_voided(self, identity: str) -> bool:
        """Whether an event was taken back."""
        return self.identities.standing(identity) == VOIDED

    def account(self, account_id: str) -> Account:
        """Return an account; one that is not known yet starts empty and not open."""
        account = self.accounts.get(account_id)
        if account is None:
            account = self.accounts[account_id] = Account(account_id)
        return account


def _lateness(terms: Terms) -> int:
    """Return how late usage may be received, in us; where nobody says, the default."""
    return DEFAULT_LATENESS if terms.lateness is None else terms.lateness


def _conflict(event: UsageEvent, digest: bytes) -> Refusal:
    return Refusal(
        "identity_conflict",
        f"event_id: {event.event_id!r} of source {event.source!r} was accepted before "
        f"with digest {digest.hex()}, expected the same content, got {event.digest.hex()}",
    )
