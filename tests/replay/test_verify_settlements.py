"""Verification of closed months: every settlement is settled again; none is missing, none too many."""

from engine.adapters.avro.account import encode_command
from engine.adapters.avro.authority import encode_registration, encode_revision
from engine.adapters.avro.journal import encode_commit, encode_record, read_commit
from engine.adapters.avro.tariff import encode_tariff
from engine.adapters.avro.usage import encode_usage
from engine.adapters.memory import MemoryCluster, MemoryLog
from engine.adapters.tariff_log import TARIFFS
from engine.ports import LogRecord, TopicPartition
from engine.rating.authority import OPEN
from engine.rating.charge import SETTLEMENT, Charge
from engine.rating.command import AccountCommand, ClosePeriod, Order
from engine.rating.rules import LATEST_REVISION
from replay.explain import explain_charge
from tests.properties.memory_deployment import PARTITIONS, TOPICS, MemoryWorker, work
from tests.rating.scenario import ONE_DOLLAR_EACH, tariff, usage_fields
from tests.replay.test_verify import HOME, ORDERS, Tampered, forged, verified

MINIMUM = ONE_DOLLAR_EACH.replace("period: calendar_month", 'period: calendar_month, minimum: "50"')
JOURNAL = TopicPartition("journal", HOME)


def closed_history() -> MemoryCluster:
    """Return a history whose November was closed after 3 dollars, and 4 dollars came late."""
    cluster = MemoryCluster(TOPICS)
    cluster.append(TARIFFS, encode_revision(LATEST_REVISION))
    cluster.append(TARIFFS, encode_registration(OPEN))
    cluster.append(TARIFFS, encode_tariff(tariff(MINIMUM)))
    worker = MemoryWorker(cluster)

    def order(number: int, body: Order) -> None:
        command = AccountCommand(f"{number}", "acme", "", body)
        cluster.append(TopicPartition("accounts", HOME), encode_command(command))

    def use(event_id: str, quantity: int) -> None:
        fields = usage_fields(event_id, "2026-11-02T00:00:00Z", {"input": quantity})
        cluster.append(TopicPartition("usage", HOME), encode_usage(fields))
        work(cluster, worker.turn)

    for number, body in enumerate(ORDERS):
        order(number, body)
    use("e1", 3)
    order(2, ClosePeriod("2026-11"))
    use("e2", 4)
    return cluster


def charges_of(cluster: MemoryCluster) -> list[Charge]:
    """Return the charges of a journal, in its order."""
    return [
        entry
        for record in MemoryLog(cluster).read(JOURNAL, 0, cluster.end(JOURNAL))
        for entry in read_commit(record.value)[0].records
        if isinstance(entry, Charge)
    ]


def test_a_closed_month_verifies_and_its_settlements_are_settled_again() -> None:
    cluster = closed_history()
    found = verified(MemoryLog(cluster))
    assert found.holds, found.difference
    assert (found.counts.charges, found.charges, found.settlements) == (2, 2, 2)
    amounts = [(charge.kind, charge.amount // 10**12) for charge in charges_of(cluster)]
    assert amounts == [("usage", 3), ("settlement", 47), ("usage", 4), ("settlement", -4)]


def test_a_settlement_is_explained_by_settling_it_again() -> None:
    cluster = closed_history()
    for charge in charges_of(cluster):
        found = explain_charge(MemoryLog(cluster), PARTITIONS, charge.charge_id)
        assert found is not None
        assert found.holds, found.findings
        how = "settled" if charge.kind == SETTLEMENT else "rated"
        assert found.findings[-1].statement == f"{how} again, the charge is the same to the byte"


def renamed(charge: Charge) -> Charge:
    return charge._replace(charge_id="f" * 32) if charge.kind == SETTLEMENT else charge


def test_a_settlement_that_was_changed_is_found() -> None:
    found = verified(Tampered(MemoryLog(closed_history()), JOURNAL, forged(renamed)))
    assert "charge_id stands as 'ffff" in found.difference


def settled_twice(records: list[LogRecord]) -> list[LogRecord]:
    commit, written = read_commit(records[-1].value)
    charge = commit.records[-1]
    assert isinstance(charge, Charge)
    more = charge._replace(sequence=charge.sequence + 1, due=charge.due + charge.amount)
    data = encode_commit(commit, [*written, encode_record(more)])
    return [*records[:-1], records[-1]._replace(value=data)]


def test_a_settlement_too_many_is_found() -> None:
    found = verified(Tampered(MemoryLog(closed_history()), JOURNAL, settled_twice))
    assert "all that it leads to stands before" in found.difference


def not_settled(records: list[LogRecord]) -> list[LogRecord]:
    commit, written = read_commit(records[-1].value)
    data = encode_commit(commit, written[:-1])
    return [*records[:-1], records[-1]._replace(value=data)]


def test_a_settlement_that_is_missing_is_found() -> None:
    found = verified(Tampered(MemoryLog(closed_history()), JOURNAL, not_settled))
    assert "the settlement of plan/tokens/acme/2026-11" in found.difference
    assert "is missing" in found.difference
