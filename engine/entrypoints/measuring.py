"""Measuring the engine end to end: usage in Kafka to committed charge, as a reader sees it.

Throughput: all usage is in Kafka before a worker (a process of its own) starts; the rate is taken
between the broker's append times of its first and last journal commits, over the events decided in
between. Latency: a generator, also a process of its own, sends single events on a fixed schedule
(open loop: a late send is not forgiven) and puts the scheduled time into `occurred_at`; a
read_committed reader takes the difference when the charge is readable.
"""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import kafka

from engine.adapters.avro.journal import decode_commit, read_counts
from engine.adapters.avro.usage import DEFAULTS, NO_QUANTITIES, Fields, encode_usage
from engine.adapters.kafka.log import KafkaLog
from engine.adapters.kafka.publisher import KafkaPublisher
from engine.entrypoints.live import LiveCounts
from engine.ports import TopicPartition
from engine.rating.charge import Charge
from engine.rating.command import AccountCommand, AssignTariff, OpenAccount, Order
from engine.rating.component import Component
from engine.rating.errors import TollbookError
from engine.rating.period import FIRST_INSTANT, UTC_ZONE, instant
from engine.rating.price import Price, Tier, unit_price
from engine.rating.tariff import TariffVersion
from engine.settings import KafkaSettings

ACCOUNTS = 200
TARIFF_ID = "bench"
_SPACING_US = 1_000
_STALL_SECONDS = 120.0


class Throughput(NamedTuple):
    """Events per second of one worker, its peak memory, and over how much it was measured."""

    events: int
    events_measured: int
    seconds: float
    events_per_second: float
    commits: int
    peak_rss_mib: float


class Latency(NamedTuple):
    """Milliseconds from scheduled publish to readable charge, at an offered load."""

    offered_per_second: int
    charges: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class Stalled(TollbookError):
    """The engine decided nothing more; the measurement has no result."""


def environment_line() -> str:
    """Return one line that names the machine and the versions."""
    cores = os.cpu_count()
    versions = " ".join(f"{name} {version(name)}" for name in ("kafka-python", "fastavro"))
    return f"{platform.machine()} {cores} cores, Python {platform.python_version()}, {versions}"


def bench_tariff() -> TariffVersion:
    """Return a tariff with a price per event and a graduated price per month."""
    graduated = Price(
        "graduated", (Tier(10**9, Fraction(10)), Tier(None, Fraction(8), Fraction(1))), per=10**6
    )
    return TariffVersion(
        TARIFF_ID,
        1,
        FIRST_INSTANT,
        "USD",
        (
            Component("input", (("input", Fraction(1)),), unit_price(Fraction(5, 2), 10**6)),
            Component("output", (("output", Fraction(1)),), graduated, period="calendar_month"),
        ),
    )


def bench_commands(accounts: int = ACCOUNTS) -> list[AccountCommand]:
    """Return the commands that open the accounts."""
    orders: tuple[Order, ...] = (
        OpenAccount("USD", UTC_ZONE),
        AssignTariff(TARIFF_ID, FIRST_INSTANT, None),
    )
    return [
        AccountCommand(f"{account}/{number}", account, "bench", order)
        for account in (account_of(number, accounts) for number in range(accounts))
        for number, order in enumerate(orders)
    ]


def account_of(number: int, accounts: int = ACCOUNTS) -> str:
    """Return the account of the n-th event."""
    return f"account-{number % accounts:03d}"


def bench_event(number: int, occurred_at: int, accounts: int = ACCOUNTS) -> Fields:
    """Return the n-th event."""
    return {
        **DEFAULTS,
        "account_id": account_of(number, accounts),
        "source": "bench",
        "event_id": f"call-{occurred_at}-{number}",
        "subject": f"login-{number % 37}",
        "occurred_at": occurred_at,
        "provider": "openai",
        "model": "gpt-4o",
        "quantities": {**NO_QUANTITIES, "input": 1_000 + number % 977, "output": 1 + number % 311},
    }


def load(settings: KafkaSettings, events: int, *, single: bool, accounts: int = ACCOUNTS) -> None:
    """Publish tariff, accounts and usage, and wait until all is acknowledged."""
    start = instant(datetime(2026, 11, 1, tzinfo=UTC))
    with KafkaPublisher(settings) as publisher:
        publisher.tariff(bench_tariff())
        publisher.commands(bench_commands(accounts))
        publisher.flush()
        for number in range(events):
            fields = bench_event(number, start + number * _SPACING_US, accounts)
            if single:
                publisher.usage_record(fields["account_id"], encode_usage(fields))
            else:
                publisher.usage(fields)


def measure_throughput(log: KafkaLog, worker: "subprocess.Popen[bytes]", events: int) -> Throughput:
    """Wait until a worker that was just started has decided `events`; return its rate."""
    wait_for(log, events)
    peak = peak_rss_mib(worker.pid)
    commits = []
    for partition in range(log.partitions("journal")):
        journal = TopicPartition("journal", partition)
        decided = 0
        for record in log.read(journal, 0, log.ends([journal])[journal]):
            consumed = read_counts(record.value).consumed
            commits.append((record.appended_at, consumed - decided))
            decided = consumed
    commits.sort()
    first = next(at for at, decided in commits if decided)
    measured = sum(decided for at, decided in commits if at > first)
    seconds = (commits[-1][0] - first) / 1e6
    if not seconds:
        raise Stalled(f"{events} events went into one commit: too few to measure a rate")
    return Throughput(events, measured, seconds, measured / seconds, len(commits), peak)


def wait_for(log: KafkaLog, events: int) -> None:
    """Wait until the journal has decided `events`. Stalled if nothing moves any more."""
    counts = LiveCounts(log)
    decided, since = 0, time.monotonic()
    while decided < events:
        now_decided = counts.refresh().consumed
        if now_decided > decided:
            decided, since = now_decided, time.monotonic()
        elif time.monotonic() - since > _STALL_SECONDS:
            raise Stalled(f"{decided} of {events} events were decided, then nothing more")
        time.sleep(0.5)


def peak_rss_mib(process_id: int) -> float:
    """Return a process's peak resident memory (Linux; 0 elsewhere)."""
    status = Path(f"/proc/{process_id}/status")
    if not status.exists():
        return 0.0
    line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def generate(settings: KafkaSettings, rate: int, seconds: int) -> None:
    """Send single events on schedule: event n at start + n / rate, whatever happened before."""
    with KafkaPublisher(settings, linger_ms=0) as publisher:
        start = time.time()
        for number in range(rate * seconds):
            scheduled = start + number / rate
            ahead = scheduled - time.time()
            if ahead > 0:
                time.sleep(ahead)
            fields = bench_event(number, round(scheduled * 1e6))
            publisher.usage_record(fields["account_id"], encode_usage(fields))


def measure_latency(settings: KafkaSettings, log: KafkaLog, rate: int, seconds: int) -> Latency:
    """Run the generator and return the distribution of the charges' latencies."""
    journals = [TopicPartition("journal", number) for number in range(log.partitions("journal"))]
    positions = dict(log.ends(journals))
    command = [sys.executable, "-m", "engine.entrypoints.cli", "bench", "generate"]
    options = ["--rate", str(rate), "--seconds", str(seconds), "--bootstrap", settings.bootstrap]
    prefix = ["--prefix", settings.prefix]
    generator = subprocess.Popen([*command, *options, *prefix])  # noqa: S603 - our own command
    latencies: list[float] = []
    expected, since = rate * seconds, time.monotonic()
    tail = JournalTail(settings, positions)
    try:
        while len(latencies) < expected:
            found = tail.poll()
            latencies += found
            if found:
                since = time.monotonic()
            elif time.monotonic() - since > _STALL_SECONDS:
                raise Stalled(f"{len(latencies)} of {expected} charges became readable")
    finally:
        tail.close()
        generator.terminate()
        generator.wait(timeout=30)
    return _distribution(rate, latencies)


class JournalTail:
    """A read_committed reader that notes how old each usage charge is when it is readable."""

    def __init__(self, settings: KafkaSettings, positions: dict[TopicPartition, int]) -> None:
        self._consumer = kafka.KafkaConsumer(
            group_id=None,
            isolation_level="read_committed",
            enable_auto_commit=False,
            fetch_max_wait_ms=10,
            max_partition_fetch_bytes=16 * 1024 * 1024,
            **settings.client(),
        )
        real = {
            kafka.TopicPartition(settings.topic(partition.topic), partition.partition): offset
            for partition, offset in positions.items()
        }
        self._consumer.assign(list(real))
        for partition, offset in real.items():
            self._consumer.seek(partition, offset)

    def poll(self) -> list[float]:
        """Return the ages, in ms, of the charges that became readable since the last call."""
        ages: list[float] = []
        for records in self._consumer.poll(timeout_ms=200).values():
            readable_at = time.time()
            for record in records:
                ages += [
                    readable_at * 1e3 - charge.occurred_at / 1e3
                    for charge in decode_commit(record.value).records
                    if isinstance(charge, Charge)
                ]
        return ages

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()


def _distribution(rate: int, latencies: Sequence[float]) -> Latency:
    ordered = sorted(latencies)

    def percentile(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return Latency(
        rate, len(ordered), percentile(0.50), percentile(0.95), percentile(0.99), ordered[-1]
    )
