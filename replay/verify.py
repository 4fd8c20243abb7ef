"""Verification: every charge rated again from the usage it stands on, and nothing left over.

One partition at a time, commit by commit, with what was known then: the rules revision and the
tariff versions that counted, the sources that were registered. Every charge must come out the same to
the byte, of usage as of what followed from it, from a command or from the passing of time; every
rejection for the same reason, every account event the same. Each usage event without a record must be
a duplicate, or forwarded to where its record stands.
The fold that goes along refuses a gap, a broken chain, and a balance that does not follow. The
first difference ends it.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import NamedTuple

from engine.adapters.forwarded import FORWARDED, first_position
from engine.ports import RecordLog, TopicPartition
from engine.rating.balance import Balance, balance_of
from engine.rating.charge import CORRECTION, SETTLEMENT, USAGE, Charge
from engine.rating.errors import BrokenInvariant
from engine.rating.journal import Counts, PartitionState
from engine.rating.usage import Position
from replay.again import named
from replay.evidence import Elsewhere, in_chunks
from replay.journal import journal_partitions
from replay.recheck import Differs, PartitionRecheck, Witness

_COUNTED_APART = (USAGE, CORRECTION, SETTLEMENT)


class Selection(NamedTuple):
    """Which charges are rated again: of one account, used in [since, until) (us UTC; None: any)."""

    account_id: str | None = None
    since: int | None = None
    until: int | None = None

    def holds(self, charge: Charge) -> bool:
        """Whether a charge is one of them."""
        return (
            (self.account_id is None or charge.account_id == self.account_id)
            and (self.since is None or charge.occurred_at >= self.since)
            and (self.until is None or charge.occurred_at < self.until)
        )


EVERYTHING = Selection()


class Verification(NamedTuple):
    """What was verified, and the first difference (empty: none).

    `charges` of usage were rated again, `corrections` and `settlements` worked out again, and so were
    `movements`: adjustments, and what opens, fills and closes buckets. `stands` and `again` are SHA-256
    over the bytes of all of those as they stand and as they came out, by partition in journal order.
    `unverified`: commits whose inputs are not in this log yet. `compared`: live balances that equal the
    fold.
    """

    commits: int
    unverified: int
    counts: Counts
    charges: int
    corrections: int
    settlements: int
    movements: int
    stands: str
    again: str
    accounts: int
    compared: int
    difference: str

    @property
    def holds(self) -> bool:
        """Whether nothing differs."""
        return not self.difference


class Verifier:
    """Verifies a deployment's journal against its inputs, in Kafka or in an archive."""

    def __init__(
        self,
        log: RecordLog,
        partitions: int,
        home_partition: Callable[[str], int],
        selection: Selection = EVERYTHING,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._log = log
        self._journals = journal_partitions(partitions)
        self._home_partition = home_partition
        self._progress = progress
        self._witness = Witness(selection.holds, self._rated, self._passed_on)
        self._stands, self._again = sha256(), sha256()
        self._kinds: Counter[str] = Counter()
        self._commits = self._unverified = self._accounts = self._compared = 0
        self._counts = Counts()
        self._forwarded: set[Position] = set()

    def verify(self, live: Mapping[str, Balance]) -> Verification:
        """Verify everything; `live` balances, where they have come as far, must equal the fold."""
        difference = ""
        try:
            ends = self._log.ends(self._journals)
            for journal in self._journals:
                state = self._verify_partition(journal, ends[journal])
                self._counts = self._counts.plus(state.counts)
                self._compare_balances(state, live)
            self._find_forwarded()
        except (Differs, BrokenInvariant) as error:
            difference = str(error)
        return Verification(
            self._commits,
            self._unverified,
            self._counts,
            self._kinds[USAGE],
            self._kinds[CORRECTION],
            self._kinds[SETTLEMENT],
            sum(n for kind, n in self._kinds.items() if kind not in _COUNTED_APART),
            self._stands.hexdigest(),
            self._again.hexdigest(),
            self._accounts,
            self._compared,
            difference,
        )

    def _verify_partition(self, journal: TopicPartition, end: int) -> PartitionState:
        recheck = PartitionRecheck(
            self._log, journal.partition, self._home_partition, self._witness
        )
        records = in_chunks(self._log, journal, end)
        for record in records:
            if not recheck.take(record):
                self._unverified += 1 + sum(1 for _ in records)
                break
            self._commits += 1
            self._progress(1)
        return recheck.state

    def _rated(self, charge: Charge, stands: bytes, again: bytes) -> None:
        self._kinds[charge.kind] += 1
        self._stands.update(stands)
        self._again.update(again)

    def _passed_on(self, event: Elsewhere) -> None:
        self._forwarded.add(event.origin.position)

    def _compare_balances(self, state: PartitionState, live: Mapping[str, Balance]) -> None:
        self._accounts += len(state.ledger.accounts)
        for account in state.ledger.accounts.values():
            folded, shown = balance_of(account), live.get(account.account_id)
            if shown is None or shown.sequence != folded.sequence:
                continue
            if shown != folded:
                raise Differs(f"balance of {account.account_id}: live {shown}, folded {folded}")
            self._compared += 1

    def _find_forwarded(self) -> None:
        """Find where each event that was passed on stands now (commit protocol, rule 6)."""
        if not self._forwarded:
            return
        names = [TopicPartition(FORWARDED, journal.partition) for journal in self._journals]
        for name, end in self._log.ends(names).items():
            for record in in_chunks(self._log, name, end):
                position = first_position(record)
                if isinstance(position, Position):
                    self._forwarded.discard(position)
        if self._forwarded:
            lost = named(min(self._forwarded))
            raise Differs(f"usage at {lost} was forwarded, and does not stand in {FORWARDED}")
