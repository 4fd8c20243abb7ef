"""The journal: one hash-chained commit per partition and transaction. It is the truth.

A `JournalCommit` holds everything one transaction did to one partition: its records, where to
read on in each input, and cumulative counts. Its number is gapless and it names the SHA-256 of the
commit before, so a missing, doubled or foreign commit is refused by every reader.
`PartitionState` is the fold: the state of a partition after any commit.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.rating.charge import CORRECTION, USAGE, Charge
from engine.rating.errors import BrokenChain, BrokenInvariant
from engine.rating.event import Record, Rejection, UsageRefused, VoidPending
from engine.rating.ledger import Identities, Ledger
from engine.rating.tariff_book import TariffBook
from engine.rating.usage import Position

NO_DIGEST = bytes(32)
"""What the first commit of a partition names as its predecessor."""


class Counts(NamedTuple):
    """Cumulative counts of one partition.

    consumed = charges + pending + duplicates + rejections + forwarded, at every commit: each usage
    record counts once, by its first outcome; what it causes beside that is not counted. A void that
    takes something back is a charge, one that waits is pending, one that is refused a rejection.
    Commands are counted apart: each is an account event or one of `commands_rejected`.
    """

    consumed: int = 0
    charges: int = 0
    pending: int = 0
    duplicates: int = 0
    rejections: int = 0
    forwarded: int = 0
    commands: int = 0
    commands_rejected: int = 0

    @property
    def conserved(self) -> bool:
        """Whether every consumed usage record has exactly one outcome."""
        outcomes = (
            self.charges, self.pending, self.duplicates, self.rejections, self.forwarded,
        )  # fmt: skip
        return self.consumed == sum(outcomes)

    def plus(self, other: "Counts") -> "Counts":
        """Return the sum, field by field."""
        return Counts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class NextOffset(NamedTuple):
    """The next offset to read of a topic."""

    topic: str
    offset: int


class JournalCommit(NamedTuple):
    """What one transaction did to one partition. `positions` are sorted by topic."""

    partition: int
    commit: int
    previous: bytes
    positions: tuple[NextOffset, ...]
    tariffs_offset: int
    counts: Counts
    records: tuple[Record, ...]


def _nobody(_index: int, _record: Record) -> None:
    """Watch nothing."""


class PartitionState:
    """Everything that is known of a partition after its latest commit."""

    def __init__(self, partition: int, book: TariffBook, identities: Identities) -> None:
        self.partition = partition
        self.commit = 0
        self.digest = NO_DIGEST
        self.positions: dict[str, int] = {}
        self.tariffs_offset = 0
        self.counts = Counts()
        self.ledger = Ledger(book, identities)

    def fold(
        self,
        commit: JournalCommit,
        digest: bytes,
        witness: Callable[[int, Record], None] = _nobody,
    ) -> None:
        """Take the next commit in. `digest` is the SHA-256 of its record.

        `witness` is shown each record, by its index, while the state is as it was just before it.
        Raises BrokenChain if the commit does not follow, BrokenInvariant if it contradicts itself.
        """
        if commit.partition != self.partition:
            raise BrokenChain(
                f"journal partition {self.partition}: a commit of partition {commit.partition}"
            )
        require_next(commit, self.commit, self.digest)
        self._check_counts(commit)
        self._check_progress(commit)
        for index, record in enumerate(commit.records):
            witness(index, record)
            if not isinstance(record, Rejection):
                self.ledger.apply(record)
        self.advance(commit, digest)

    def _check_counts(self, commit: JournalCommit) -> None:
        """Refuse counts that do not add up, or do not grow by what the commit's records say."""
        _require_conserved(commit)
        grown = Counts(*(now - was for now, was in zip(commit.counts, self.counts, strict=True)))
        told = counted(commit.records)
        if (
            min(grown) < 0
            or grown.charges != told.charges
            or grown.pending != told.pending
            or grown.rejections + grown.commands_rejected != told.rejections
            or grown.commands - grown.commands_rejected != told.commands
        ):
            raise BrokenInvariant(f"{_place(commit)}: counts grow by {grown}, its records differ")

    def _check_progress(self, commit: JournalCommit) -> None:
        """Refuse a second charge of a usage event, or correction of one; positions that go back."""
        ledger, is_news = self.ledger, commit.commit > self.ledger.identities.commit
        charged = [charge.charge_id for charge in _charges(commit, USAGE)]
        voided = [charge.corrects for charge in _charges(commit, CORRECTION)]
        again = any(map(ledger.is_occupied, charged)) or any(map(ledger.is_voided, voided))
        if (is_news and again) or len({*charged}) + len({*voided}) != len(charged) + len(voided):
            raise BrokenInvariant(
                f"{_place(commit)}: a usage event is charged, or taken back, twice"
            )
        positions = {entry.topic: entry.offset for entry in commit.positions}
        if (
            any(positions.get(topic, -1) < offset for topic, offset in self.positions.items())
            or commit.tariffs_offset < self.tariffs_offset
        ):
            raise BrokenInvariant(f"{_place(commit)}: a position goes back")

    def advance(self, commit: JournalCommit, digest: bytes) -> None:
        """Take over a commit's bookkeeping; its records are in the ledger already."""
        _require_conserved(commit)
        self.commit, self.digest = commit.commit, digest
        self.positions = {entry.topic: entry.offset for entry in commit.positions}
        self.tariffs_offset = commit.tariffs_offset
        self.counts = commit.counts


def require_next(commit: JournalCommit, last: int, digest: bytes) -> None:
    """Refuse a commit that does not follow the one with this number and digest. BrokenChain."""
    if commit.commit != last + 1 or commit.previous != digest:
        raise BrokenChain(
            f"journal partition {commit.partition}: got commit {commit.commit} after "
            f"{commit.previous.hex()[:16]}, expected commit {last + 1} after {digest.hex()[:16]}"
        )


def _require_conserved(commit: JournalCommit) -> None:
    if not commit.counts.conserved:
        raise BrokenInvariant(f"{_place(commit)}: counts {commit.counts} do not add up")


def _charges(commit: JournalCommit, kind: str) -> list[Charge]:
    """Return the charges of a kind."""
    return [
        record for record in commit.records if isinstance(record, Charge) and record.kind == kind
    ]


def counted(records: Sequence[Record]) -> Counts:
    """Return what records tell of their inputs: duplicates and what was forwarded leave none.

    Rejected commands are among the rejections. Records of one usage event share its position, and
    the first of these outcomes that one of them is counts: charged, waiting, refused.
    """
    charged: set[Position] = set()
    waiting: set[Position] = set()
    charges = rejections = commands = 0
    for record in records:
        if isinstance(record, Rejection):
            rejections += 1
        elif isinstance(record, Charge):
            if record.kind == USAGE:
                charges += 1
            elif record.kind == CORRECTION:
                charged.add(record.position)
        elif record.command_id:
            commands += 1
        elif isinstance(record.change, VoidPending):
            waiting.add(record.position)
        elif isinstance(record.change, UsageRefused):
            rejections += 1
    if charged or waiting:
        used = {r.position for r in records if isinstance(r, Charge) and r.kind == USAGE}
        charges += len(charged - used)
        waiting -= used
    return Counts(charges=charges, pending=len(waiting), rejections=rejections, commands=commands)


def _place(commit: JournalCommit) -> str:
    return f"journal partition {commit.partition}, commit {commit.commit}"
