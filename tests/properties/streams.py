"""Random streams of what a partition takes in, and a small worker that cuts them into commits."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

from engine.adapters.avro.journal import (
    commit_digest,
    decode_commit,
    encode_commit,
    encode_record,
)
from engine.adapters.documents.grants import parse_grant
from engine.rating.charge import Charge
from engine.rating.command import (
    PRICED,
    SUSPENDED,
    AccountCommand,
    Adjust,
    AssignTariff,
    ClosePeriod,
    IssueGrant,
    OpenAccount,
    Order,
    VoidGrant,
)
from engine.rating.errors import Refusal
from engine.rating.event import AccountEvent, Record, Rejection, VoidPending
from engine.rating.journal import Counts, JournalCommit, NextOffset, PartitionState
from engine.rating.ledger import MemoryIdentities
from engine.rating.money import PICO
from engine.rating.tariff import TariffVersion
from engine.rating.tariff_book import TariffBook
from engine.rating.usage import Origin, Position, check_usage
from tests.properties.tariffs import PRICES, Document
from tests.rating.scenario import DAY, at, fixed_zone, tariff, usage_fields

BEGIN = at("2026-12-01T00:00:00Z")


class Command(NamedTuple):
    """A command to one account."""

    command_id: str
    account_id: str
    order: Order


class Use(NamedTuple):
    """Some usage; the same event id may come twice, with the same or other quantities."""

    event_id: str
    account_id: str
    day: int
    quantities: tuple[tuple[str, int], ...]
    login: str
    action: str = "record"
    corrects: str = ""


class Advance(NamedTuple):
    """Time has passed up to an instant (us UTC)."""

    until: int


class Publish(NamedTuple):
    """The next version of the tariff becomes known."""

    version: TariffVersion


Input = Command | Use | Advance | Publish

ACCOUNTS = st.sampled_from(["acme", "globex"])
ORDERS: st.SearchStrategy[Order] = st.one_of(
    st.builds(
        OpenAccount,
        currency=st.sampled_from(["USD", "EUR", "XXX"]),
        zone=st.integers(-12, 14).map(fixed_zone),
        close_grace=st.sampled_from([0, 2 * DAY, 40 * DAY, -1]),
    ),
    st.builds(
        AssignTariff,
        tariff_id=st.sampled_from(["plan", "nothing"]),
        effective_from=st.sampled_from([at("2026-01-01T00:00:00Z"), at("2026-11-15T00:00:00Z")]),
        effective_to=st.sampled_from([None, at("2026-11-20T00:00:00Z")]),
        overage=st.just(PRICED),
    ),
    st.builds(ClosePeriod, st.sampled_from(["2026-11", "2026-11", "2026-12", "2027-02", "never"])),
)
COMMANDS = st.builds(
    Command, st.sampled_from(["c1", "c2", "c3", "c4", "c5", "c6"]), ACCOUNTS, ORDERS
)
PREPAID_ORDERS: st.SearchStrategy[Order] = st.one_of(
    st.builds(
        lambda unit, amount, terms: IssueGrant(
            parse_grant(
                {"grant_id": "g", "unit": unit, "amount": amount}
                | {"valid_from": "2026-11-03T00:00:00Z"}
                | terms,
                "grant",
            )
        ),
        st.sampled_from(["tokens", "money"]),
        st.sampled_from(["1", "50", "2000"]),
        st.sampled_from([{}, {"recurs": "week", "rollover_up_to": "9"}, {"paid": True}]),
    ),
    st.builds(Adjust, st.sampled_from([-30 * PICO, PICO]), st.just("agreed")),
    st.just(VoidGrant("g")),
    st.just(AssignTariff("plan", at("2026-11-15T00:00:00Z"), None, SUSPENDED)),
)
PREPAID_COMMANDS = st.builds(Command, st.sampled_from(["c7", "c8", "c9"]), ACCOUNTS, PREPAID_ORDERS)
USES = st.builds(
    Use,
    event_id=st.sampled_from([f"e{number}" for number in range(12)]),
    account_id=ACCOUNTS,
    day=st.integers(1, 30),
    quantities=st.dictionaries(
        st.sampled_from(["input", "cache_read", "output", "reasoning", "unexplained"]),
        st.integers(0, 40),
        max_size=3,
    ).map(lambda found: tuple(found.items())),
    login=st.sampled_from(["anna", "ben", "a/b"]),
    action=st.just("record"),
    corrects=st.just(""),
)
TAKES_BACK = st.builds(
    lambda use, action, corrects: use._replace(
        action=action, corrects=corrects, quantities=use.quantities if action == "amend" else ()
    ),
    USES,
    st.sampled_from(["void", "amend"]),
    st.sampled_from([f"e{number}" for number in range(12)]),
)
ADVANCES = st.sampled_from(["2026-11-12", "2026-12-20", "2027-03-01"]).map(
    lambda day: Advance(at(f"{day}T00:00:00Z"))
)


MINIMUMS = st.sampled_from(["0", "100", "12345.000000000001"])


def version(number: int) -> st.SearchStrategy[Publish]:
    """Return a version of the tariff `plan`, with weights that all versions share."""
    minimums = st.tuples(MINIMUMS, MINIMUMS)
    return st.builds(_publish, st.just(number), st.integers(1, 28), PRICES, PRICES, minimums)


def _publish(
    number: int, day: int, first: Document, second: Document, minimums: tuple[str, str]
) -> Publish:
    ladder, seats = minimums
    document = {
        "tariff_id": "plan",
        "version": number,
        "effective_from": f"2026-11-{day:02d}T00:00:00Z",
        "currency": "USD",
        "fallback": {"cache_read": "input"},
        "components": [
            {
                "id": "ladder",
                "kinds": ["input"],
                "period": "calendar_month",
                "price": first,
                "minimum": ladder,
            },
            {
                "id": "seats",
                "kinds": ["reasoning"],
                "period": "billing_period",
                "scope": "subject",
                "price": first,
                "minimum": seats,
            },
            {
                "id": "each",
                "kinds": ["output"],
                "period": "day",
                "scope": "subject",
                "price": second,
            },
        ],
    }
    return Publish(tariff(json.dumps(document)))


def streams() -> st.SearchStrategy[list[Input]]:
    """Return a stream: two accounts on their tariff, then anything, with versions in between."""
    return _streams(st.one_of(USES, USES, USES, COMMANDS))


def lives() -> st.SearchStrategy[list[Input]]:
    """Return a stream with everything in it that the life of an account knows."""
    return _streams(st.one_of(USES, USES, USES, COMMANDS, TAKES_BACK, PREPAID_COMMANDS, ADVANCES))


def _streams(entries: st.SearchStrategy[Input]) -> st.SearchStrategy[list[Input]]:
    opening: list[Input] = [
        Command(f"{order}-{account}", account, body)
        for account in ("acme", "globex")
        for order, body in (
            ("open", OpenAccount("USD", fixed_zone(8))),
            ("assign", AssignTariff("plan", at("2026-01-01T00:00:00Z"), None)),
        )
    ]
    blocks = st.lists(entries, max_size=10)
    return st.tuples(version(1), blocks, version(2), blocks, version(3), blocks).map(
        lambda parts: [parts[0], *opening, *parts[1], parts[2], *parts[3], parts[4], *parts[5]]
    )


class Worker:
    """Takes inputs in, and at each cut throws its state away and folds it from the journal."""

    def __init__(self) -> None:
        self.book = TariffBook()
        self.journal: list[bytes] = []
        self.outcomes: list[bytes] = []
        self.state = PartitionState(0, self.book, MemoryIdentities())
        self._records: list[Record] = []
        self._counts = Counts()
        self._offset = 0
        self._tariffs_offset = 0

    def take(self, entry: Input) -> None:
        """Decide one input."""
        self._offset += 1
        if isinstance(entry, Publish):
            self._publish(entry)
        elif isinstance(entry, Command):
            command = AccountCommand(entry.command_id, entry.account_id, "", entry.order)
            self._write_all(self.state.ledger.command(command, self._origin("accounts")))
            self._count(commands=1)
        elif isinstance(entry, Advance):
            self._write_all(self.state.ledger.advance(entry.until, self._origin("accounts")))
        else:
            self._use(entry)

    def _publish(self, entry: Publish) -> None:
        origin = self._origin("tariffs")
        known = self.book.add(entry.version, self._offset)
        assert known is not None
        for records in self.state.ledger.publish(known.version, origin):
            self._write_all(records)
        self._tariffs_offset = self._offset + 1

    def _use(self, entry: Use) -> None:
        origin = self._origin("usage")
        fields = usage_fields(
            entry.event_id,
            f"2026-11-{entry.day:02d}T20:00:00Z",
            dict(entry.quantities),
            account_id=entry.account_id,
            subject=entry.login,
            action=entry.action,
            corrects=entry.corrects,
        )
        event = check_usage(fields, frozenset())
        refusal: Refusal | str | None = event if isinstance(event, Refusal) else None
        records: Sequence[Charge | AccountEvent] = ()
        if not isinstance(event, Refusal):
            records, refusal = self.state.ledger.take(event, origin)
            self._write_all(records)
        if refusal is None:
            self._count(consumed=1, **{_outcome(entry, records): 1})
        elif isinstance(refusal, Refusal):
            self._write(_rejection(refusal, entry, origin))
            self._count(consumed=1, rejections=1)
        else:
            self.outcomes.append(refusal.encode())
            self._count(consumed=1, duplicates=1)

    def _origin(self, topic: str) -> Origin:
        return Origin(Position(topic, 0, self._offset), BEGIN + self._offset)

    def _write_all(self, records: Sequence[Charge | AccountEvent]) -> None:
        for record in records:
            self._write(record)

    def _write(self, record: Charge | AccountEvent | Rejection) -> None:
        self._records.append(record)
        self.outcomes.append(encode_record(record))

    def _count(self, **counts: int) -> None:
        self._counts = self._counts.plus(Counts(**counts))

    def cut(self) -> None:
        """End the commit: encode it, drop all state, fold it anew from the journal's bytes."""
        positions = tuple(NextOffset(topic, self._offset + 1) for topic in ("accounts", "usage"))
        commit = JournalCommit(
            0,
            self.state.commit + 1,
            self.state.digest,
            positions,
            self._tariffs_offset,
            self._counts,
            tuple(self._records),
        )
        self.journal.append(encode_commit(commit, [encode_record(r) for r in self._records]))
        self._records = []
        self.state = folded(self.journal, self.book)


def folded(journal: list[bytes], book: TariffBook) -> PartitionState:
    """Return the state after these commits."""
    state = PartitionState(0, book, MemoryIdentities())
    for data in journal:
        state.fold(decode_commit(data), commit_digest(data))
    return state


def _outcome(use: Use, records: Sequence[Charge | AccountEvent]) -> str:
    """Return what an accepted event counts as: by the records that are its own."""
    charged = {r.event_id for r in records if isinstance(r, Charge)}
    changes = [type(r.change) for r in records if isinstance(r, AccountEvent)]
    if use.event_id in charged:
        return "charges"
    return "pending" if VoidPending in changes else "rejections"


def _rejection(refusal: Refusal, entry: Use, origin: Origin) -> Rejection:
    return Rejection(
        origin.position,
        origin.received_at,
        refusal,
        entry.account_id,
        "gateway-1",
        entry.event_id,
        bytes(32),
        0,
        b"",
    )


def run(stream: list[Any], cuts: set[int]) -> Worker:
    """Return a worker that took the stream in and ended a commit after each index in `cuts`."""
    worker = Worker()
    for index, entry in enumerate(stream):
        worker.take(entry)
        if index in cuts:
            worker.cut()
    worker.cut()
    return worker
