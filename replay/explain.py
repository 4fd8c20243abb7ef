"""Explaining a charge: the evidence for it, and every number in it computed again.

The journal is folded, and its chain checked, up to the first record that the charge's input led to;
the input (a usage event, a command, time that passed, a tariff version) is read from where the charge
says it stood, and decided again, record by record up to the charge, with the account as it was then
and what the `tariffs` topic said then. If any of this differs from what stands, the finding says so.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from engine.adapters.avro.charge import encode_charge_like
from engine.adapters.avro.journal import commit_digest, read_commit
from engine.adapters.tariff_log import TariffLog
from engine.ports import LogRecord, RecordLog, TopicPartition
from engine.rating.account import Account
from engine.rating.charge import CORRECTION, SETTLEMENT, USAGE, Charge
from engine.rating.command import AdvanceTo
from engine.rating.counter import total
from engine.rating.errors import BrokenInvariant, Refusal
from engine.rating.event import AccountEvent, Adjusted, AlertCleared, AlertRaised, Record, Rejection
from engine.rating.journal import JournalCommit, PartitionState, require_next
from engine.rating.ledger import Ledger, MemoryIdentities
from engine.rating.money import format_pico
from engine.rating.period import format_instant
from engine.rating.settlement import closed_month, unsettled_counters
from engine.rating.standing import ACTING, VOIDED, unpacked
from engine.rating.tariff import TariffVersion
from engine.rating.watch import unit_name
from replay.again import (
    NOTHING,
    Outcome,
    Outcomes,
    decided_again,
    first_difference,
    name_of,
    named,
    told,
)
from replay.evidence import Admitted, Elsewhere, Input, Ordered, Published, input_at
from replay.journal import journal_partitions

Alert = AlertRaised | AlertCleared


class Finding(NamedTuple):
    """One thing that was checked: whether it holds, and what was seen."""

    holds: bool
    statement: str


class Explanation(NamedTuple):
    """A charge, where it stands in the journal, its tariff version and what was found.

    `alerts`: what it crossed, or let be crossed again; `units`: what each bucket that it names is
    counted in (``tokens``, or a currency).
    """

    charge: Charge
    partition: int
    commit: int
    journal_offset: int
    version: TariffVersion | None
    findings: tuple[Finding, ...]
    alerts: tuple[Alert, ...] = ()
    units: tuple[tuple[str, str], ...] = ()

    @property
    def holds(self) -> bool:
        """Whether everything that was checked holds."""
        return all(finding.holds for finding in self.findings)


class _Located(NamedTuple):
    """A charge in its commit; `ledger` is as the records of earlier inputs have left it."""

    charge: Charge
    written: bytes
    led_to: tuple[Record, ...]
    """The records of its input that stand before it in its commit."""
    behind: tuple[Record, ...]
    ledger: Ledger
    commit: JournalCommit
    journal_offset: int


def explain_charge(
    log: RecordLog,
    partitions: int,
    charge_id: str,
    progress: Callable[[int], None] = lambda _: None,
) -> Explanation | None:
    """Return the evidence for a charge; None if no journal partition holds it."""
    for journal in journal_partitions(partitions):
        tariffs = TariffLog(log)
        located = _locate(log, journal, charge_id, tariffs, progress)
        if located is not None:
            place = located.charge.position
            begun = place.offset + 1 if place.topic == "tariffs" else 0
            tariffs.read_to(max(located.commit.tariffs_offset, begun))
            return _explain(log, located, tariffs)
    return None


def _locate(
    log: RecordLog,
    journal: TopicPartition,
    charge_id: str,
    tariffs: TariffLog,
    progress: Callable[[int], None],
) -> _Located | None:
    """Fold one partition up to the first record of the input that led to the charge."""
    state = PartitionState(journal.partition, tariffs.book, MemoryIdentities())
    for record in log.read(journal, 0, log.ends([journal])[journal]):
        commit, written = read_commit(record.value)
        for index, entry in enumerate(commit.records):
            if isinstance(entry, Charge) and entry.charge_id == charge_id:
                require_next(commit, state.commit, state.digest)
                return _in_commit(state.ledger, commit, index, record, written[index])
        state.fold(commit, commit_digest(record.value))
        progress(1)
    return None


def _in_commit(
    ledger: Ledger, commit: JournalCommit, index: int, record: LogRecord, written: bytes
) -> _Located:
    """Fold what stands in the commit before the input of its record `index`."""
    charge = commit.records[index]
    assert isinstance(charge, Charge)  # noqa: S101 - it was found by its id
    first = next(n for n, r in enumerate(commit.records) if r.position == charge.position)
    for entry in commit.records[:first]:
        if not isinstance(entry, Rejection):
            ledger.apply(entry)
    return _Located(
        charge,
        written,
        commit.records[first:index],
        commit.records[index + 1 :],
        ledger,
        commit,
        record.offset,
    )


def _explain(log: RecordLog, located: _Located, tariffs: TariffLog) -> Explanation:
    charge, commit = located.charge, located.commit
    known = charge.tariff and tariffs.book.get(charge.tariff.tariff_id, charge.tariff.version)
    version = known.version if known else None
    chain = (
        f"the journal's chain holds up to commit {commit.commit} of partition {commit.partition}"
    )
    again = _decide_again(log, located, tariffs)
    findings = [Finding(True, chain), *_check_tariff(charge, version), *again.findings]
    account = located.ledger.account(charge.account_id)
    return Explanation(
        charge,
        commit.partition,
        commit.commit,
        located.journal_offset,
        version,
        tuple(findings),
        again.alerts,
        _units(charge, account),
    )


def _check_tariff(charge: Charge, version: TariffVersion | None) -> list[Finding]:
    if charge.tariff is None:
        if charge.kind != USAGE:
            return []
        text = "no tariff version was in force: what no bucket covers is in suspense"
        return [Finding(True, text)]
    name = f"tariff {charge.tariff.tariff_id} version {charge.tariff.version}"
    if version is None:
        return [Finding(False, f"{name} is not in the tariffs topic")]
    same = version.digest == charge.tariff.digest
    return [Finding(same, f"{name} has the digest {version.digest.hex()}")]


class _Again(NamedTuple):
    """What was found by deciding again, and the alerts that follow the charge."""

    findings: tuple[Finding, ...]
    alerts: tuple[Alert, ...] = ()


def _decide_again(log: RecordLog, located: _Located, tariffs: TariffLog) -> _Again:
    """Decide the charge's input again, up to the charge, and fold all of it in."""
    charge, ledger = located.charge, located.ledger
    asked = input_at(log, charge.position, tariffs)
    if asked is None or isinstance(asked, Refusal | Elsewhere):
        return _Again((_no_input(charge, asked),))
    findings = [_tell_input(charge, asked, located.led_to)]
    outcomes = decided_again(ledger, asked)
    for record in located.led_to:
        again = outcomes.next()
        if again != record:
            findings.append(Finding(False, f"{name_of(record)} stands before it, not {again}"))
            outcomes = NOTHING
        if not isinstance(record, Rejection):
            ledger.apply(record)
    if charge.kind == SETTLEMENT:
        findings += _why_owed(charge, ledger.account(charge.account_id), tariffs)
    elif charge.kind == CORRECTION:
        findings.append(_what_stood(charge, ledger))
    findings.append(_compare(charge, located.written, outcomes.next()))
    try:
        ledger.apply(charge)
    except BrokenInvariant as error:
        return _Again((*findings, Finding(False, str(error))))
    return _Again(tuple(findings), tuple(_alerts(located, outcomes)))


def _no_input(charge: Charge, asked: Input | None) -> Finding:
    place = named(charge.position)
    if isinstance(asked, Refusal):
        text = f"by what was known then, the record at {place} is refused: {asked.explanation}"
        return Finding(False, text)
    return Finding(False, f"there is no input at {place} any more")


def _tell_input(
    charge: Charge, asked: Admitted | Ordered | Published, led_to: tuple[Record, ...]
) -> Finding:
    """Say what led to the charge; of the very event that it is about, whether that is unchanged."""
    place = named(charge.position)
    if isinstance(asked, Published):
        text = f"tariff {asked.version.tariff_id} version {asked.version.version} at {place}"
        return Finding(True, f"it follows from {text}")
    if isinstance(asked, Admitted):
        event = asked.event
        digest = f"the usage event at {place} has the digest {event.digest.hex()}"
        if (charge.source, charge.event_id) == (event.source, event.event_id):
            return Finding(event.digest == charge.digest, digest)
        return Finding(True, f"it follows from usage event {event.event_id}: {digest}")
    if isinstance(asked.order, AdvanceTo):
        until = format_instant(asked.order.until)
        return Finding(True, f"it was due: time passed up to {until}, says the record at {place}")
    command = asked.order
    by = f" of {command.principal}" if command.principal else ""
    return Finding(
        True, f"it follows from command {command.command_id}{by} at {place}{_why(led_to)}"
    )


def _why(led_to: tuple[Record, ...]) -> str:
    """Return what a command did, where that has words of its own."""
    event = led_to[0] if led_to else None
    if not isinstance(event, AccountEvent):
        return ""
    reason = event.change.reason if isinstance(event.change, Adjusted) else ""
    approves = f", which approves {event.approves}" if event.approves else ""
    return f"{approves}: {reason}" if reason else approves


def _why_owed(charge: Charge, account: Account, tariffs: TariffLog) -> list[Finding]:
    """Say what a settlement is made of, so that it can be worked out by hand."""
    if charge.service_period not in account.closed:
        return [Finding(False, f"the period {charge.service_period} was not closed")]
    month = closed_month(account, charge.service_period)
    counters = {line.counter for line in charge.lines}
    found = unsettled_counters(account, month, tariffs.book, counters, charge.rules)
    if not found:
        nothing = "settled again, nothing is owed beyond usage and earlier settlements"
        return [Finding(False, nothing)]
    version, component_id = found[0].known.version, found[0].component_id
    tariff_id, component = version.tariff_id, version.component(component_id)
    timeline = tariffs.book.timeline(tariff_id, account.adopted[tariff_id])
    counter = found[0].counter
    usage = total(account.counters.get(counter, ()), component_id, timeline)
    minimum = (component and component.minimum) or 0
    settled = account.settled.get(counter, 0)
    text = (
        f"the minimum is {format_pico(minimum)}, usage comes to {format_pico(usage)}, "
        f"{format_pico(settled)} was settled before"
    )
    return [Finding(True, text)]


def _what_stood(charge: Charge, ledger: Ledger) -> Finding:
    """Say what a correction takes back."""
    data = ledger.identities.standing(charge.corrects)
    if data in (b"", VOIDED, ACTING):
        return Finding(False, f"nothing stands of charge {charge.corrects}")
    standing = unpacked(data)
    lines = ", ".join(f"{line.kind} {line.quantity:,}" for line in standing.lines)
    used = format_instant(standing.occurred_at)
    return Finding(True, f"of charge {charge.corrects}, used {used}, stood before it: {lines}")


def _compare(charge: Charge, written: bytes, again: Outcome | None) -> Finding:
    how = {USAGE: "rated again", SETTLEMENT: "settled again"}.get(charge.kind, "worked out again")
    if not isinstance(again, Charge):
        now = "nothing comes out" if again is None else f"it is {told(again)}"
        return Finding(False, f"{how}, {now}")
    if encode_charge_like(again, written) == written:
        return Finding(True, f"{how}, the charge is the same to the byte")
    return Finding(False, f"{how}, it differs: {first_difference(charge, again)}")


def _alerts(located: _Located, outcomes: Outcomes) -> Iterator[Alert]:
    """Yield the alerts that stand right behind the charge and follow from it."""
    for record in located.behind:
        if not isinstance(record, AccountEvent) or record != outcomes.next_of_step():
            return
        if not isinstance(record.change, Alert):
            return
        yield record.change
        located.ledger.apply(record)


def _units(charge: Charge, account: Account) -> tuple[tuple[str, str], ...]:
    buckets = account.prepaid.buckets
    names = sorted({drawdown.bucket for drawdown in charge.drawdowns} & buckets.keys())
    return tuple((name, unit_name(buckets[name], account)) for name in names)
