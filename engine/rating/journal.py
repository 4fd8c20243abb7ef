"""The journal: one hash-chained commit per partition and transaction. It is the truth.

A `JournalCommit` holds everything one transaction did to one partition: its records, where to
read on in each input, and cumulative counts. Its number is gapless and it names the SHA-256 of the
commit before, so a missing, doubled or foreign commit is refused by every reader.
`PartitionState` is the fold: the state of a partition after any commit.
"""

from collections.abc import Callable
from typing import NamedTuple

from engine.rating.charge import USAGE, AccountEvent, Charge, Record, Rejection
from engine.rating.errors import BrokenChain, BrokenInvariant
from engine.rating.ledger import Identities, Ledger
from engine.rating.tariff_book import TariffBook

NO_DIGEST = bytes(32)
"""What the first commit of a partition names as its predecessor."""


class Counts(NamedTuple):
    """Cumulative counts of one partition.

    consumed = charges + pending + duplicates + rejections + forwarded, at every commit: each usage
    record counts once, by its first outcome. Settlements that it causes are not counted.
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
        kinds = [type(record) for record in commit.records]
        commands = sum(
            isinstance(record, AccountEvent) and bool(record.command_id)
            for record in commit.records
        )
        if (
            min(grown) < 0
            or grown.charges != len(_usage_charges(commit))
            or grown.rejections + grown.commands_rejected != kinds.count(Rejection)
            or grown.commands - grown.commands_rejected != commands
        ):
            raise BrokenInvariant(f"{_place(commit)}: counts grow by {grown}, its records differ")

    def _check_progress(self, commit: JournalCommit) -> None:
        """Refuse a second charge of a usage event, and positions that go back."""
        charged = [charge.charge_id for charge in _usage_charges(commit)]
        is_news = commit.commit > self.ledger.identities.commit
        again = is_news and any(map(self.ledger.is_occupied, charged))
        if again or len(set(charged)) != len(charged):
            raise BrokenInvariant(f"{_place(commit)}: a usage event is charged twice")
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


def _usage_charges(commit: JournalCommit) -> list[Charge]:
    """Return the charges that are the outcome of a usage event."""
    return [
        record for record in commit.records if isinstance(record, Charge) and record.kind == USAGE
    ]


def _place(commit: JournalCommit) -> str:
    return f"journal partition {commit.partition}, commit {commit.commit}"
