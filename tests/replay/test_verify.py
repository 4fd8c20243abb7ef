"""Verification: what a worker journaled verifies, and whatever is changed in it is found."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest
from hypothesis import given

from engine.adapters.avro.account import encode_command
from engine.adapters.avro.authority import encode_registration, encode_revision
from engine.adapters.avro.charge import charge_fields
from engine.adapters.avro.journal import commit_digest, encode_commit, encode_record, read_commit
from engine.adapters.avro.tariff import encode_tariff
from engine.adapters.avro.usage import encode_usage, encode_usage_batch
from engine.adapters.avro.wire import encode
from engine.adapters.memory import MemoryCluster, MemoryLog
from engine.adapters.tariff_log import TARIFFS
from engine.ports import LogRecord, RecordLog, TopicPartition
from engine.rating.authority import OPEN
from engine.rating.charge import CORRECTION, SETTLEMENT, USAGE, Charge
from engine.rating.command import AccountCommand, AssignTariff, OpenAccount, Order
from engine.rating.journal import JournalCommit
from engine.rating.period import FIRST_INSTANT, UTC_ZONE
from engine.rating.rules import LATEST_REVISION
from replay.balances import replay_balances
from replay.verify import EVERYTHING, Selection, Verification, Verifier
from schemas import loader
from schemas.loader import latest, load
from tests.properties.memory_deployment import (
    HOMES,
    PARTITIONS,
    TOPICS,
    MemoryWorker,
    append_phase,
    work,
)
from tests.properties.test_worker_batches import BATCH_SIZES, PHASES, POLLS, Turns
from tests.rating.scenario import ONE_DOLLAR_EACH, tariff, usage_fields

HOME, AWAY = HOMES["acme"], HOMES["globex"]
WHEN = "2026-12-31T12:00:00Z"
ORDERS: tuple[Order, ...] = (
    OpenAccount("USD", UTC_ZONE),
    AssignTariff("plan", FIRST_INSTANT, None),
)


def verified(
    log: RecordLog, selection: Selection = EVERYTHING, live: Mapping[str, object] | None = None
) -> Verification:
    found: Verification = Verifier(log, PARTITIONS, HOMES.__getitem__, selection).verify(live or {})  # type: ignore[arg-type]
    return found


@given(PHASES, BATCH_SIZES, POLLS)
def test_whatever_a_worker_journals_verifies(phases, batch_sizes, polls) -> None:  # type: ignore[no-untyped-def]
    cluster = MemoryCluster(TOPICS)
    turn = Turns(MemoryWorker(cluster), polls)
    for phase in phases:
        append_phase(cluster, phase, batch_sizes)
        work(cluster, turn)
    log = MemoryLog(cluster)
    live = {balance.account_id: balance for balance in replay_balances(log, PARTITIONS)}
    found = verified(log, live=live)
    assert found.holds, found.difference
    assert found.stands == found.again
    assert (found.charges, found.corrections, found.settlements) == tuple(
        kinds_in(cluster)[kind] for kind in (USAGE, CORRECTION, SETTLEMENT)
    )
    assert found.charges + found.corrections + found.settlements + found.movements == sum(
        kinds_in(cluster).values()
    )
    assert found.compared == found.accounts == len(live)


def kinds_in(cluster: MemoryCluster) -> Counter[str]:
    """Return how many charges of each kind the journal holds."""
    names = [TopicPartition("journal", number) for number in range(PARTITIONS)]
    return Counter(
        entry.kind
        for name in names
        for record in MemoryLog(cluster).read(name, 0, cluster.stable_end(name))
        for entry in read_commit(record.value)[0].records
        if isinstance(entry, Charge)
    )


def usage(event_id: str, **rest: object) -> bytes:
    return encode_usage(usage_fields(event_id, WHEN, {"input": 3}, **rest))


def history() -> MemoryCluster:
    """Return a history with everything: forwarded usage, a duplicate, rejections, suspense."""
    cluster = MemoryCluster(TOPICS)
    cluster.append(TARIFFS, encode_revision(LATEST_REVISION))
    cluster.append(TARIFFS, encode_registration(OPEN._replace(source="gateway-1")))
    cluster.append(TARIFFS, encode_tariff(tariff(ONE_DOLLAR_EACH)))
    for account_id, home in HOMES.items():
        for number, order in enumerate(ORDERS):
            command = AccountCommand(f"{number}", account_id, "", order)
            cluster.append(TopicPartition("accounts", home), encode_command(command))
    cluster.append(TopicPartition("accounts", HOME), b"no command")
    acme, globex = TopicPartition("usage", HOME), TopicPartition("usage", AWAY)
    cluster.append(acme, usage("e1"))
    cluster.append(
        acme,
        encode_usage_batch(
            [
                usage_fields(name, WHEN, {"input": 5, "output": 1}, account_id=account_id)
                for name, account_id in (("e2", "acme"), ("e3", "globex"), ("e1", "acme"))
            ]
        ),
    )
    cluster.append(acme, b"garbage")
    cluster.append(acme, usage("e4", source="gateway-9"))
    cluster.append(globex, usage("e5", account_id="globex"))
    cluster.append(globex, usage("e6"))
    cluster.append(acme, usage("e1"))
    worker = MemoryWorker(cluster)
    work(cluster, lambda: worker.turn(2))
    return cluster


class Tampered:
    """A log in which one topic partition is read changed."""

    def __init__(
        self,
        log: RecordLog,
        partition: TopicPartition,
        change: Callable[[list[LogRecord]], list[LogRecord]],
    ) -> None:
        self._log, self._partition, self._change = log, partition, change

    def ends(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        return self._log.ends(partitions)

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[LogRecord]:
        records = list(self._log.read(partition, start, end))
        yield from self._change(records) if partition == self._partition else records


def test_a_history_with_everything_verifies() -> None:
    found = verified(MemoryLog(history()))
    assert found.holds, found.difference
    counts = found.counts
    assert (counts.charges, counts.duplicates, counts.rejections, counts.forwarded) == (5, 1, 3, 2)
    assert found.unverified == 0


def test_rules_revision_1_verifies_as_it_was_rated() -> None:
    """A deployment that never adopted anything: any source, no matter when."""
    cluster = MemoryCluster(TOPICS)
    cluster.append(TARIFFS, encode_tariff(tariff(ONE_DOLLAR_EACH)))
    cluster.append(TopicPartition("usage", HOME), usage("e1", source="unheard-of"))
    worker = MemoryWorker(cluster)
    work(cluster, worker.turn)
    cluster.append(TARIFFS, encode_revision(LATEST_REVISION))
    cluster.append(TopicPartition("usage", HOME), usage("e2", source="unheard-of"))
    work(cluster, worker.turn)
    found = verified(MemoryLog(cluster))
    assert found.holds, found.difference
    assert (found.counts.charges, found.counts.rejections) == (1, 1)


def flipped(records: list[LogRecord]) -> list[LogRecord]:
    first = records[0]
    value = bytearray(first.value)
    value[len(value) // 2] ^= 1
    return [first._replace(value=bytes(value)), *records[1:]]


def swapped(records: list[LogRecord]) -> list[LogRecord]:
    first, second, *rest = records
    values = first._replace(value=second.value), second._replace(value=first.value)
    return [*values, *rest]


CHANGES = {
    "a flipped byte": flipped,
    "a dropped record": lambda r: r[1:],
    "a swapped pair": swapped,
}


@pytest.mark.parametrize("topic", ["usage", "journal"])
@pytest.mark.parametrize("name", CHANGES)
def test_what_was_changed_is_found(topic: str, name: str) -> None:
    log = Tampered(MemoryLog(history()), TopicPartition(topic, HOME), CHANGES[name])
    found = verified(log)
    assert not found.holds
    assert found.difference


def test_a_command_that_is_gone_is_found() -> None:
    accounts = TopicPartition("accounts", HOME)
    found = verified(Tampered(MemoryLog(history()), accounts, CHANGES["a dropped record"]))
    assert "is no command" in found.difference


def test_forwarded_usage_that_is_gone_is_found() -> None:
    log = MemoryLog(history())
    forwarded = TopicPartition("usage-forwarded", HOME)
    found = verified(Tampered(log, forwarded, lambda _: []))
    assert not found.holds
    assert "usage-forwarded" in found.difference


def forged(change: Callable[[Charge], Charge]) -> Callable[[list[LogRecord]], list[LogRecord]]:
    """Change every charge, and hash the chain again as a forger would."""

    def rewrite(records: list[LogRecord]) -> list[LogRecord]:
        rewritten: list[LogRecord] = []
        previous = bytes(32)
        for record in records:
            commit, _ = read_commit(record.value)
            entries = [change(r) if isinstance(r, Charge) else r for r in commit.records]
            header: JournalCommit = commit._replace(previous=previous)
            data = encode_commit(header, [encode_record(entry) for entry in entries])
            previous = commit_digest(data)
            rewritten.append(record._replace(value=data))
        return rewritten

    return rewrite


def cheaper(charge: Charge) -> Charge:
    """Halve the price, consistently: lines, slices, amount and due."""
    lines = tuple(
        line._replace(
            amount=line.amount // 2,
            slices=tuple(part._replace(amount=part.amount // 2) for part in line.slices),
        )
        if line.amount is not None
        else line
        for line in charge.lines
    )
    return charge._replace(lines=lines, amount=charge.amount // 2, due=charge.due // 2)


def test_a_wrong_price_is_found_although_the_chain_was_hashed_again() -> None:
    log = Tampered(MemoryLog(history()), TopicPartition("journal", HOME), forged(cheaper))
    found = verified(log)
    assert "lines[0].slices stands as" in found.difference
    assert "rated again" in found.difference
    assert found.stands != found.again


def test_a_field_that_no_sum_depends_on_is_compared_too() -> None:
    renamed = forged(lambda charge: charge._replace(subject="somebody-else"))
    found = verified(Tampered(MemoryLog(history()), TopicPartition("journal", HOME), renamed))
    assert "subject stands as 'somebody-else', rated again 'login-1'" in found.difference


def test_a_live_balance_that_differs_is_found() -> None:
    log = MemoryLog(history())
    live = {balance.account_id: balance for balance in replay_balances(log, PARTITIONS)}
    assert verified(log, live=live).compared == len(live)
    live["acme"] = live["acme"]._replace(due=live["acme"].due + 1)
    assert "balance of acme" in verified(log, live=live).difference
    behind = {"acme": live["acme"]._replace(sequence=1)}
    assert verified(log, live=behind).compared == 0


def test_a_selection_rates_less_and_still_checks_the_rest() -> None:
    log = MemoryLog(history())
    everything, acme = verified(log), verified(log, Selection(account_id="acme"))
    assert 0 < acme.charges < everything.charges
    assert acme.counts == everything.counts
    assert verified(log, Selection(until=FIRST_INSTANT)).charges == 0
    dropped = Tampered(log, TopicPartition("usage", HOME), CHANGES["a dropped record"])
    assert not verified(dropped, Selection(account_id="nobody")).holds


def test_commits_whose_usage_is_not_there_yet_are_said_to_be_unverified() -> None:
    """An archive in which the journal is ahead of the usage that it stands on."""

    class Behind(Tampered):
        def ends(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
            return {name: 1 if name == self._partition else end
                    for name, end in self._log.ends(partitions).items()}  # fmt: skip

    found = verified(Behind(MemoryLog(history()), TopicPartition("usage", HOME), lambda r: r))
    assert found.holds, found.difference
    assert found.unverified > 0


def test_charges_of_an_older_schema_verify_in_the_bytes_that_it_wrote(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A rolling upgrade that added a field: what was written before it does not have the field."""
    declared = latest("charge_event").declared
    older = load(
        "charge_event",
        0,
        {**declared, "fields": [f for f in declared["fields"] if f["name"] != "parent_event_id"]},
    )
    monkeypatch.setitem(loader._by_header(), older.header, older)  # noqa: SLF001 - a version that was

    def as_written_then(records: list[LogRecord]) -> list[LogRecord]:
        rewritten: list[LogRecord] = []
        previous = bytes(32)
        for record in records:
            commit, written = read_commit(record.value)
            entries = [
                encode(older, charge_fields(entry)) if isinstance(entry, Charge) else data
                for entry, data in zip(commit.records, written, strict=True)
            ]
            data = encode_commit(commit._replace(previous=previous), entries)
            previous = commit_digest(data)
            rewritten.append(record._replace(value=data))
        return rewritten

    log = MemoryLog(history())
    old = Tampered(log, TopicPartition("journal", HOME), as_written_then)
    found = verified(old)
    assert found.holds, found.difference
    assert found.stands != verified(log).stands
