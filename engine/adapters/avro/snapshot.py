"""Snapshots of a partition's state to bytes and back.

Everything that folding the journal has led to, in one record; reading it ends in the very state
that folding again would. Equal states give equal bytes: whatever has no order of its own is
sorted. Accounts share few time zones of a hundred transitions each, so zones stand once, in front.

A snapshot is of use only to the code that wrote it: another version of the schema, or other rating
rules, may know more of the same journal. Then the reader says None, and the journal tells it.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from engine.adapters.avro.account import zone_fields
from engine.adapters.avro.prepaid import (
    UNREADABLE,
    awaiting_fields,
    limits_bytes,
    limits_fields,
    prepaid_bytes,
    prepaid_fields,
    read_awaiting,
    read_limits,
    read_prepaid,
)
from engine.adapters.avro.primitives import (
    array,
    decimal,
    long,
    optional_long,
    repeated_long,
    repeated_text,
    text,
)
from engine.adapters.avro.reader import Reader
from engine.adapters.avro.wire import HEADER_SIZE, to_decimal
from engine.rating.account import Account, PeriodSpend, VersionQuantity
from engine.rating.event import TariffAssigned, VersionReference, VoidPending
from engine.rating.journal import Counts, PartitionState
from engine.rating.ledger import Identities
from engine.rating.period import FrozenZone
from engine.rating.rules import LATEST_REVISION
from engine.rating.tariff_book import TariffBook
from engine.rating.usage import identity_key
from schemas.loader import latest

_SCHEMA = latest("partition_snapshot")
_DIGEST_BYTES = 32


def encode_snapshot(state: PartitionState, extra: Sequence[str] = ()) -> bytes:
    """Return a partition's state in single-object encoding, with `extra` as its notes.

    `encode(schema, snapshot_fields(state, extra))` gives the same bytes at a third of the speed.
    """
    accounts = [account for _, account in sorted(state.ledger.accounts.items())]
    zones = sorted({account.zone for account in accounts})
    number = {zone: long(index) for index, zone in enumerate(zones)}
    return b"".join(
        (
            _SCHEMA.header,
            long(state.partition),
            long(state.commit),
            state.digest,
            array([text(topic) + long(at) for topic, at in sorted(state.positions.items())]),
            long(state.tariffs_offset),
            *map(long, state.counts),
            long(LATEST_REVISION),
            array([_zone(zone) for zone in zones]),
            array([_account(account, number[account.zone]) for account in accounts]),
            array([text(note) for note in extra]),
        )
    )


def _zone(zone: FrozenZone) -> bytes:
    transitions = zip(zone.instants, zone.offsets, strict=True)
    return text(zone.name) + array([long(at) + long(offset) for at, offset in transitions])


def _account(account: Account, zone: bytes) -> bytes:
    return b"".join(
        (
            text(account.account_id),
            long(account.sequence),
            repeated_text(account.currency),
            zone,
            array([_assignment(assignment) for assignment in account.assignments]),
            array([_versions(*entry) for entry in sorted(account.adopted.items())]),
            array([_versions(*entry) for entry in sorted(account.staged.items())]),
            array([_counter(*entry) for entry in sorted(account.counters.items())]),
            array([_spend(*entry) for entry in sorted(account.periods.items())]),
            decimal(account.due),
            long(account.charges),
            long(account.suspended_lines),
            optional_long(account.latest_charge_at),
            array([text(command) for command in sorted(account.commands)]),
            long(account.as_of),
            long(account.close_grace),
            array(
                [repeated_text(period) + long(at) for period, at in sorted(account.closed.items())]
            ),
            array([text(key) + decimal(pico) for key, pico in sorted(account.settled.items())]),
            decimal(account.adjusted),
            repeated_text(account.rated_from),
            array([_latest(*entry) for entry in sorted(account.latest_by_tariff.items())]),
            array([long(len(data)) + data for data in awaiting_fields(account)]),
            array([_raised(*entry) for entry in sorted(account.raised.items())]),
            array([_pending(void) for _, void in sorted(account.pending.items())]),
            limits_bytes(account.limits),
            prepaid_bytes(account.prepaid),
        )
    )


@lru_cache(maxsize=4096)
def _assignment(assignment: TariffAssigned) -> bytes:
    return b"".join(
        (
            text(assignment.tariff_id),
            long(assignment.effective_from),
            optional_long(assignment.effective_to),
            b"\1" if assignment.staged else b"\0",
            array([long(version) + digest for version, digest in assignment.versions]),
            text(assignment.overage),
        )
    )


@lru_cache(maxsize=4096)
def _versions(tariff_id: str, versions: tuple[int, ...]) -> bytes:
    return text(tariff_id) + array([long(version) for version in versions])


def _counter(counter: str, entries: tuple[VersionQuantity, ...]) -> bytes:
    return text(counter) + array(
        [
            repeated_long(entry.version) + decimal(entry.metered) + repeated_text(entry.promotion)
            for entry in entries
        ]
    )


def _spend(label: str, spend: PeriodSpend) -> bytes:
    return repeated_text(label) + decimal(spend.amount) + repeated_long(spend.charges)


def _latest(tariff_id: str, at: int) -> bytes:
    return repeated_text(tariff_id) + long(at)


def _raised(key: str, until: int | None) -> bytes:
    return text(key) + optional_long(until)


def _pending(void: VoidPending) -> bytes:
    parts = (text(void.source), text(void.event_id), void.digest, text(void.corrects))
    return b"".join((*parts, long(void.lapses_at)))


def snapshot_fields(state: PartitionState, extra: Sequence[str] = ()) -> dict[str, Any]:
    """Return a partition's state as the fields of its schema."""
    accounts = [account for _, account in sorted(state.ledger.accounts.items())]
    zones = sorted({account.zone for account in accounts})
    number = {zone: index for index, zone in enumerate(zones)}
    return {
        "partition": state.partition,
        "commit": state.commit,
        "digest": state.digest,
        "positions": [
            {"topic": topic, "offset": offset} for topic, offset in sorted(state.positions.items())
        ],
        "tariffs_offset": state.tariffs_offset,
        "counts": state.counts._asdict(),
        "rules": LATEST_REVISION,
        "zones": [zone_fields(zone) for zone in zones],
        "accounts": [_account_fields(account, number[account.zone]) for account in accounts],
        "notes": [*extra],
    }


def _account_fields(account: Account, zone: int) -> dict[str, Any]:
    return {
        "account_id": account.account_id,
        "sequence": account.sequence,
        "currency": account.currency,
        "zone": zone,
        "assignments": [
            {
                **assignment._asdict(),
                "versions": [reference._asdict() for reference in assignment.versions],
            }
            for assignment in account.assignments
        ],
        "adopted": _versions_fields(account.adopted),
        "staged": _versions_fields(account.staged),
        "counters": [
            {
                "counter": counter,
                "quantities": [
                    {**entry._asdict(), "metered": to_decimal(entry.metered)} for entry in entries
                ],
            }
            for counter, entries in sorted(account.counters.items())
        ],
        "periods": [
            {"period": label, "amount": to_decimal(spend.amount), "charges": spend.charges}
            for label, spend in sorted(account.periods.items())
        ],
        "due": to_decimal(account.due),
        "charges": account.charges,
        "suspended_lines": account.suspended_lines,
        "latest_charge_at": account.latest_charge_at,
        "commands": sorted(account.commands),
        "as_of": account.as_of,
        "close_grace": account.close_grace,
        "closed": [
            {"period": period, "ends_at": ends_at}
            for period, ends_at in sorted(account.closed.items())
        ],
        "settled": [
            {"counter": counter, "amount": to_decimal(amount)}
            for counter, amount in sorted(account.settled.items())
        ],
        "adjusted": to_decimal(account.adjusted),
        "rated_from": account.rated_from,
        "latest_by_tariff": [
            {"tariff_id": tariff_id, "occurred_at": at}
            for tariff_id, at in sorted(account.latest_by_tariff.items())
        ],
        "awaiting": awaiting_fields(account),
        "raised": [{"key": key, "until": until} for key, until in sorted(account.raised.items())],
        "pending": [void._asdict() for _, void in sorted(account.pending.items())],
        "limits": limits_fields(account.limits),
        "prepaid": prepaid_fields(account.prepaid),
    }


def _versions_fields(versions: dict[str, tuple[int, ...]]) -> list[dict[str, Any]]:
    return [
        {"tariff_id": tariff_id, "versions": [*numbers]}
        for tariff_id, numbers in sorted(versions.items())
    ]


def decode_snapshot(
    data: bytes, book: TariffBook, identities: Identities
) -> tuple[PartitionState, tuple[str, ...]] | None:
    """Read a snapshot: the state, of which nothing is shared, and the notes.

    None if another version of the schema or other rules wrote it, or if it is no snapshot at all.
    """
    if data[:HEADER_SIZE] != _SCHEMA.header:
        return None
    reader = Reader(data, HEADER_SIZE)
    try:
        found = _read_state(reader, book, identities)
    except UNREADABLE:  # no snapshot at all
        return None
    return found if reader.is_at_end else None


def _read_state(
    reader: Reader, book: TariffBook, identities: Identities
) -> tuple[PartitionState, tuple[str, ...]] | None:
    state = PartitionState(reader.long(), book, identities)
    state.commit, state.digest = reader.long(), reader.fixed(_DIGEST_BYTES)
    state.positions = dict(reader.array(_read_position))
    state.tariffs_offset = reader.long()
    state.counts = Counts(*(reader.long() for _ in Counts._fields))
    if reader.long() != LATEST_REVISION:
        return None
    zones = reader.array(_read_zone)
    accounts = reader.array(lambda reader: _read_account(reader, zones))
    state.ledger.accounts = {account.account_id: account for account in accounts}
    return state, tuple(reader.array(Reader.text))


def _read_position(reader: Reader) -> tuple[str, int]:
    return reader.repeated_text(), reader.long()


def _read_zone(reader: Reader) -> FrozenZone:
    name = reader.text()
    transitions = reader.array(lambda reader: (reader.long(), reader.long()))
    return FrozenZone(
        name, tuple(at for at, _ in transitions), tuple(offset for _, offset in transitions)
    )


def _read_account(reader: Reader, zones: list[FrozenZone]) -> Account:
    account = Account(reader.text())
    account.sequence = reader.long()
    account.currency = reader.repeated_text()
    account.zone = zones[reader.long()]
    account.assignments = reader.array(_read_assignment)
    account.adopted = dict(reader.array(_read_versions))
    account.staged = dict(reader.array(_read_versions))
    account.counters = dict(reader.array(_read_counter))
    account.periods = dict(reader.array(_read_spend))
    account.due = reader.decimal()
    account.charges = reader.long()
    account.suspended_lines = reader.long()
    account.latest_charge_at = reader.optional_long()
    account.commands = set(reader.array(Reader.text))
    account.as_of = reader.long()
    account.close_grace = reader.long()
    account.closed = dict(reader.array(_read_closed))
    account.settled = dict(reader.array(_read_settled))
    account.adjusted = reader.decimal()
    account.rated_from = reader.repeated_text()
    account.latest_by_tariff = dict(reader.array(_read_latest))
    account.awaiting = dict(reader.array(read_awaiting))
    account.raised = dict(reader.array(_read_raised))
    account.pending = {
        identity_key(account.account_id, void.source, void.corrects): void
        for void in reader.array(_read_pending)
    }
    read_limits(reader, account.limits)
    account.prepaid.zone = account.zone
    read_prepaid(reader, account.prepaid)
    account.find_next_month()
    return account


def _read_assignment(reader: Reader) -> TariffAssigned:
    return TariffAssigned(
        reader.repeated_text(),
        reader.long(),
        reader.optional_long(),
        reader.boolean(),
        tuple(reader.array(_read_reference)),
        reader.repeated_text(),
    )


def _read_reference(reader: Reader) -> VersionReference:
    return VersionReference(reader.long(), reader.fixed(_DIGEST_BYTES))


def _read_versions(reader: Reader) -> tuple[str, tuple[int, ...]]:
    return reader.repeated_text(), tuple(reader.array(Reader.long))


def _read_counter(reader: Reader) -> tuple[str, tuple[VersionQuantity, ...]]:
    return reader.text(), tuple(reader.array(_read_quantity))


def _read_quantity(reader: Reader) -> VersionQuantity:
    return VersionQuantity(reader.long(), reader.decimal(), reader.repeated_text())


def _read_spend(reader: Reader) -> tuple[str, PeriodSpend]:
    return reader.repeated_text(), PeriodSpend(reader.decimal(), reader.long())


def _read_closed(reader: Reader) -> tuple[str, int]:
    return reader.repeated_text(), reader.long()


def _read_settled(reader: Reader) -> tuple[str, int]:
    return reader.text(), reader.decimal()


def _read_latest(reader: Reader) -> tuple[str, int]:
    return reader.repeated_text(), reader.long()


def _read_raised(reader: Reader) -> tuple[str, int | None]:
    return reader.text(), reader.optional_long()


def _read_pending(reader: Reader) -> VoidPending:
    return VoidPending(
        reader.repeated_text(),
        reader.text(),
        reader.fixed(_DIGEST_BYTES),
        reader.text(),
        reader.long(),
    )
