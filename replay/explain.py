"""Explaining a charge: the evidence for it, and every number in it computed again.

The journal is folded, and its chain checked, up to the record just before the charge; the usage
event is read from where the charge says it stood; the event is rated again with the account as it
was then and the tariff version that the charge names. A settlement has no usage event: its counter
is settled again instead. If any of this differs from what stands, the finding says so.
"""

from collections.abc import Callable
from typing import NamedTuple

from engine.adapters.avro.charge import encode_charge
from engine.adapters.avro.journal import commit_digest, decode_commit
from engine.adapters.forwarded import as_received
from engine.adapters.tariff_log import TariffLog
from engine.adapters.usage_record import read_usage_record
from engine.ports import RecordLog, TopicPartition
from engine.rating.account import Account
from engine.rating.charge import SETTLEMENT, Charge, Rejection
from engine.rating.counter import total
from engine.rating.errors import Refusal
from engine.rating.journal import PartitionState, require_next
from engine.rating.ledger import MemoryIdentities
from engine.rating.money import format_pico
from engine.rating.rate import rate_usage
from engine.rating.settlement import Unsettled, closed_month, settlement, unsettled_counters
from engine.rating.tariff import TariffVersion
from engine.rating.tariff_book import TariffBook
from engine.rating.usage import Origin, UsageEvent, check_usage
from replay.journal import journal_partitions


class Finding(NamedTuple):
    """One thing that was checked: whether it holds, and what was seen."""

    holds: bool
    statement: str


class Explanation(NamedTuple):
    """A charge, where it stands in the journal, its tariff version and what was found."""

    charge: Charge
    partition: int
    commit: int
    journal_offset: int
    version: TariffVersion | None
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether everything that was checked holds."""
        return all(finding.holds for finding in self.findings)


class _Located(NamedTuple):
    """A charge, the account just before it, and the tariffs offset that its commit knew."""

    charge: Charge
    account: Account
    partition: int
    commit: int
    journal_offset: int
    tariffs_offset: int


def explain_charge(
    log: RecordLog,
    partitions: int,
    charge_id: str,
    allowed_attributes: frozenset[str],
    progress: Callable[[int], None] = lambda _: None,
) -> Explanation | None:
    """Return the evidence for a charge; None if no journal partition holds it."""
    for journal in journal_partitions(partitions):
        located = _locate(log, journal, charge_id, progress)
        if located is not None:
            tariffs = TariffLog(log)
            tariffs.read_to(located.tariffs_offset)
            return _explain(log, located, tariffs, allowed_attributes)
    return None


def _locate(
    log: RecordLog,
    journal: TopicPartition,
    charge_id: str,
    progress: Callable[[int], None],
) -> _Located | None:
    """Fold one partition up to the record before the charge."""
    state = PartitionState(journal.partition, TariffBook(), MemoryIdentities())
    for record in log.read(journal, 0, log.ends([journal])[journal]):
        commit = decode_commit(record.value)
        if not any(isinstance(r, Charge) and r.charge_id == charge_id for r in commit.records):
            state.fold(commit, commit_digest(record.value))
            progress(1)
            continue
        require_next(commit, state.commit, state.digest)
        for entry in commit.records:
            if isinstance(entry, Charge) and entry.charge_id == charge_id:
                account = state.ledger.account(entry.account_id)
                return _Located(
                    entry,
                    account,
                    journal.partition,
                    commit.commit,
                    record.offset,
                    commit.tariffs_offset,
                )
            if not isinstance(entry, Rejection):
                state.ledger.apply(entry)
    return None


def _explain(
    log: RecordLog, located: _Located, tariffs: TariffLog, allowed_attributes: frozenset[str]
) -> Explanation:
    charge = located.charge
    known = charge.tariff and tariffs.book.get(charge.tariff.tariff_id, charge.tariff.version)
    version = known.version if known else None
    findings = [
        Finding(
            True,
            f"the journal's chain holds up to commit {located.commit} of partition "
            f"{located.partition}",
        ),
        _check_tariff(charge, version),
    ]
    if charge.kind == SETTLEMENT:
        findings += _settle_again(located, tariffs)
    else:
        findings += _check_usage(log, located, tariffs, allowed_attributes)
    return Explanation(
        charge,
        located.partition,
        located.commit,
        located.journal_offset,
        version,
        tuple(findings),
    )


def _check_usage(
    log: RecordLog, located: _Located, tariffs: TariffLog, allowed_attributes: frozenset[str]
) -> list[Finding]:
    charge = located.charge
    event = _usage_event(log, charge, allowed_attributes)
    if isinstance(event, Finding):
        return [event]
    digest = Finding(
        event.digest == charge.digest,
        f"the usage event at {_position(charge)} has the digest {event.digest.hex()}",
    )
    return [digest, _rate_again(located, event, tariffs)]


def _settle_again(located: _Located, tariffs: TariffLog) -> list[Finding]:
    charge, account = located.charge, located.account
    if charge.service_period not in account.closed:
        return [Finding(False, f"the period {charge.service_period} was not closed")]
    month = closed_month(account, charge.service_period)
    counters = {line.counter for line in charge.lines}
    found = unsettled_counters(account, month, tariffs.book, counters)
    if not found:
        nothing = "settled again, nothing is owed beyond usage and earlier settlements"
        return [Finding(False, nothing)]
    origin = Origin(charge.position, charge.received_at)
    again = settlement(account, found[0], origin, charge.rules)
    return [_why_owed(account, found[0], tariffs), _compare(charge, again, "settled again")]


def _why_owed(account: Account, unsettled: Unsettled, tariffs: TariffLog) -> Finding:
    """Say what a settlement is made of, so that it can be worked out by hand."""
    tariff_id, component = unsettled.known.version.tariff_id, unsettled.component
    timeline = tariffs.book.timeline(tariff_id, account.adopted[tariff_id])
    usage = total(account.counters.get(unsettled.counter, ()), component.component_id, timeline)
    settled = account.settled.get(unsettled.counter, 0)
    return Finding(
        True,
        f"the minimum is {format_pico(component.minimum or 0)}, usage comes to {format_pico(usage)}, "
        f"{format_pico(settled)} was settled before",
    )


def _check_tariff(charge: Charge, version: TariffVersion | None) -> Finding:
    if charge.tariff is None:
        return Finding(True, "no tariff version was in force: the whole event is in suspense")
    name = f"tariff {charge.tariff.tariff_id} version {charge.tariff.version}"
    if version is None:
        return Finding(False, f"{name} is not in the tariffs topic")
    same = version.digest == charge.tariff.digest
    return Finding(same, f"{name} has the digest {version.digest.hex()}")


def _usage_event(
    log: RecordLog, charge: Charge, allowed_attributes: frozenset[str]
) -> UsageEvent | Finding:
    place = charge.position
    topic = TopicPartition(place.topic, place.partition)
    for record in log.read(topic, place.offset, place.offset + 1):
        received = as_received(record)
        found = received if isinstance(received, Refusal) else read_usage_record(received)
        fields = found if isinstance(found, Refusal) else found[place.index]
        event = fields if isinstance(fields, Refusal) else check_usage(fields, allowed_attributes)
        if isinstance(event, UsageEvent):
            return event
        return Finding(False, f"the usage event at {_position(charge)}: {event.explanation}")
    return Finding(False, f"there is no usage record at {_position(charge)} any more")


def _position(charge: Charge) -> str:
    place = charge.position
    return f"{place.topic}[{place.partition}] offset {place.offset} index {place.index}"


def _rate_again(located: _Located, event: UsageEvent, tariffs: TariffLog) -> Finding:
    charge = located.charge
    terms = tariffs.authority.admit(event, charge.received_at)
    if isinstance(terms, Refusal):
        return Finding(False, f"by what was known then, it is refused: {terms.explanation}")
    origin = Origin(charge.position, charge.received_at)
    again = rate_usage(located.account, charge.charge_id, event, origin, tariffs.book, terms)
    if isinstance(again, Refusal):
        return Finding(False, f"rated again, the event is refused: {again.explanation}")
    return _compare(charge, again, "rated again")


def _compare(charge: Charge, again: Charge, how: str) -> Finding:
    if encode_charge(again) == encode_charge(charge):
        return Finding(True, f"{how}, the charge is the same to the byte")
    for name, stands, now in zip(Charge._fields, charge, again, strict=True):
        if stands != now:
            return Finding(False, f"{how}, {name} differs: stands {stands!r}, now {now!r}")
    return Finding(False, f"{how}, the charge differs in its bytes only")
