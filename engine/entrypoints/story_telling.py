"""Telling the story to a real Kafka: step by step, and what the journal makes of each.

Commands and usage travel in topics of their own, so the teller waits for what it has said to be
journaled before it goes on: then the story comes out the same each time.
"""

import time
from collections.abc import Callable, Sequence
from itertools import groupby

from engine.adapters.avro.journal import decode_commit
from engine.adapters.avro.usage import Fields
from engine.adapters.kafka.log import KafkaLog
from engine.adapters.kafka.partitioning import partition_of
from engine.adapters.kafka.publisher import KafkaPublisher, Placed
from engine.entrypoints.story import opening_orders, sent, story_tariff, usage_fields
from engine.entrypoints.story_data import ACCOUNT, ENDS, Step, Use, story
from engine.ports import TopicPartition
from engine.rating.account import Account
from engine.rating.charge import Charge
from engine.rating.command import AccountCommand, AdvanceTo
from engine.rating.errors import TollbookError
from engine.rating.event import AccountEvent

GARBAGE = (
    ("tenant-01", b""),
    ("tenant-02", b"\x00\x00\x00\x00\x07confluent"),
    ("tenant-03", b"{not json"),
    ("tenant-04", b"\xc3\x01\x00\x00\x00\x00\x00\x00\x00\x00"),
    ("tenant-05", b"hello"),
    ("tenant-06", b"\xff" * 64),
    ("tenant-07", b'{"specversion": "1.0"}'),
)
"""Records that are no usage: (key, value)."""

_EVERY = 40
"""Of so many requests, one is sent a second time."""

_POLL_SECONDS = 0.02
_PATIENCE_SECONDS = 60.0


class NotJournaled(TollbookError):
    """The worker does not decide what is published; its log says why."""


class AccountJournal:
    """The account's records as they are committed, and how far its partition has come."""

    def __init__(self, log: KafkaLog, partitions: int) -> None:
        self._log = log
        self._partitions = partitions
        self.partition = partition_of(ACCOUNT, partitions)
        self._name = TopicPartition("journal", self.partition)
        self._next = 0
        self.records: list[Charge | AccountEvent] = []
        self.account = Account(ACCOUNT)
        """Folded as if its records were received in the story's time: so its day is the story's."""
        self.consumed = 0
        self.commands = 0
        """The next offset of the `accounts` topic."""

    def holds(self, key: str) -> bool:
        """Whether records of a key go to the account's partition."""
        return partition_of(key, self._partitions) == self.partition

    def refresh(self, now: int) -> None:
        """Take in what was committed since the last call; `now` is the story's (us UTC)."""
        end = self._log.ends([self._name])[self._name]
        for record in self._log.read(self._name, self._next, end):
            commit = decode_commit(record.value)
            self.consumed = commit.counts.consumed
            positions = {entry.topic: entry.offset for entry in commit.positions}
            self.commands = positions.get("accounts", 0)
            for entry in commit.records:
                if isinstance(entry, Charge | AccountEvent) and entry.account_id == ACCOUNT:
                    self.records.append(entry)
                    self.account.apply(entry._replace(received_at=now))
        self._next = max(end, self._next)


Heard = Callable[[Charge | AccountEvent, int], None]
"""Is told of each new record, and of the story's time (us UTC)."""


class Teller:
    """Publishes the story; `watch` is called again and again while it waits."""

    def __init__(
        self,
        publisher: KafkaPublisher,
        journal: AccountJournal,
        heard: Heard,
        watch: Callable[[int], None],
    ) -> None:
        self._publisher = publisher
        self._journal = journal
        self._heard = heard
        self._watch = watch
        self._sent = self._at_home = self._told = self._now = 0

    def tell(self) -> int:
        """Tell the story from its first step to its last; return how many events were published."""
        self._publisher.tariff(story_tariff())
        for command in opening_orders():
            self._ask(command)
        before, after = chapters()
        for chapter in before:
            self._take(chapter)
        self._make_trouble()
        for chapter in after:
            self._take(chapter)
        return self._sent

    def _take(self, chapter: Sequence[Step]) -> None:
        self._now = chapter[-1].received_at
        for step in chapter:
            asked = sent(step)
            if isinstance(asked, AccountCommand | AdvanceTo):
                self._ask(asked)
            else:
                self._report(asked)
        self._listen()

    def _ask(self, asked: AccountCommand | AdvanceTo) -> None:
        placed: list[Placed] = (
            self._publisher.advance(asked)
            if isinstance(asked, AdvanceTo)
            else [self._publisher.command(asked)]
        )
        (own,) = (place.offset for place in placed if place.partition == self._journal.partition)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self._journal.commands <= own:
            self._wait(deadline)

    def _report(self, fields: Fields) -> None:
        self._publisher.usage(fields)
        self._sent += 1
        self._at_home += 1

    def _make_trouble(self) -> None:
        """Send some requests twice, one with another content, and some records that are no usage."""
        uses = [step for step in story() if isinstance(step, Use) and step.received_at == step.at]
        for use in uses[::_EVERY]:
            self._report(usage_fields(use))
        self._report(usage_fields(uses[7]._replace(quantities=(("output", 1),))))
        for key, value in GARBAGE:
            self._publisher.usage_record(key, value)
            self._sent += 1
            self._at_home += self._journal.holds(key)
        self._listen()

    def _listen(self) -> None:
        """Wait until all that was said is journaled, and pass on what is new."""
        self._publisher.flush()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self._journal.consumed < self._at_home:
            self._wait(deadline)
        for record in self._journal.records[self._told :]:
            self._heard(record, self._now)
        self._told = len(self._journal.records)

    def _wait(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise NotJournaled(f"nothing came of what was published in {_PATIENCE_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)
        self._journal.refresh(self._now)
        self._watch(self._now)


def chapters() -> tuple[list[list[Step]], list[list[Step]]]:
    """Return the story up to the end of its month, and after: requests in a row go together."""
    steps = enumerate(story())
    grouped = groupby(steps, key=lambda entry: -1 if _is_prompt(entry[1]) else entry[0])
    found = [[step for _, step in group] for _, group in grouped]
    return (
        [chapter for chapter in found if chapter[0].received_at < ENDS],
        [chapter for chapter in found if chapter[0].received_at >= ENDS],
    )


def _is_prompt(step: Step) -> bool:
    """Whether a step is a request that is reported when it is made."""
    return isinstance(step, Use) and step.received_at == step.at
