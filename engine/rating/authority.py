"""Authority: which source may report usage of which accounts.

A *source* is registered with the accounts and actions it may use, how late its usage may come,
and, where several gateways share the topic, the digests of the keys that sign its records. The
registration is a record of the `tariffs` topic, so every worker and every replay knows the same;
the latest one of a source counts. The source ``*`` stands for every source that has no
registration of its own: registered for all accounts it makes the deployment *open*.
"""

from typing import NamedTuple

from engine.rating.errors import Refusal
from engine.rating.pattern import Pattern
from engine.rating.period import FIRST_INSTANT, LAST_INSTANT
from engine.rating.rules import FIRST_REVISION, MAX_AHEAD, REGISTERED_SOURCES, Terms
from engine.rating.usage import ACTIONS, UsageEvent

ANY_SOURCE = "*"


class SourceRegistration(NamedTuple):
    """What a source may do. `accounts`: ids or globs; `lateness` in us; no accounts: revoked.

    `key_digests`: SHA-256 of each key that may sign its records; empty: they need no signature.
    """

    source: str
    accounts: tuple[str, ...]
    actions: tuple[str, ...]
    lateness: int
    key_digests: tuple[bytes, ...] = ()
    principal: str = ""

    def covers(self, account_id: str) -> bool:
        """Whether the source may report usage of an account."""
        return any(
            Pattern(glob=entry).matches(account_id) if _is_glob(entry) else entry == account_id
            for entry in self.accounts
        )


OPEN = SourceRegistration(ANY_SOURCE, ("*",), ACTIONS, LAST_INSTANT - FIRST_INSTANT)
"""Any source may report anything of any account, however late: for demos and tests."""


def _is_glob(entry: str) -> bool:
    return "*" in entry or "?" in entry


class Authority:
    """What the `tariffs` topic says up to some offset: the rules in force, and who may report."""

    def __init__(self) -> None:
        self.rules = FIRST_REVISION
        self.sources: dict[str, SourceRegistration] = {}
        self._covered: dict[tuple[str, str], bool] = {}

    def register(self, registration: SourceRegistration) -> None:
        """Take a registration in; it replaces an earlier one of the same source."""
        self.sources[registration.source] = registration
        self._covered.clear()

    def of(self, source: str) -> SourceRegistration | None:
        """Return what counts for a source: its own registration, or that of any source."""
        if self.rules < REGISTERED_SOURCES:
            return None
        return self.sources.get(source) or self.sources.get(ANY_SOURCE)

    @property
    def is_open(self) -> bool:
        """Whether any source may report usage of any account."""
        anyone = self.sources.get(ANY_SOURCE)
        return self.rules < REGISTERED_SOURCES or (anyone is not None and "*" in anyone.accounts)

    def admit(self, event: UsageEvent, received_at: int) -> Terms | Refusal:
        """Return the terms by which an event is rated, or why it may not be reported."""
        if self.rules < REGISTERED_SOURCES:
            return Terms(self.rules)
        registration = self.of(event.source)
        if registration is None or not registration.accounts:
            return Refusal(
                "unregistered_source",
                f"source: got {event.source!r}, expected one of the registered sources",
            )
        if not self._covers(registration, event.account_id):
            return Refusal(
                "account_not_allowed",
                f"account_id: got {event.account_id!r}, expected an account of source "
                f"{event.source!r}",
            )
        if event.action not in registration.actions:
            return Refusal(
                "action_not_allowed",
                f"action: got {event.action!r}, expected {' or '.join(registration.actions)} from "
                f"source {event.source!r}",
            )
        if event.occurred_at - received_at > MAX_AHEAD:
            return Refusal(
                "occurred_in_future",
                f"occurred_at: got {event.occurred_at} us, expected at most 5 minutes after its "
                f"receipt at {received_at} us",
            )
        return Terms(self.rules, registration.lateness)

    def _covers(self, registration: SourceRegistration, account_id: str) -> bool:
        key = (registration.source, account_id)
        covered = self._covered.get(key)
        if covered is None:
            covered = self._covered[key] = registration.covers(account_id)
        return covered
