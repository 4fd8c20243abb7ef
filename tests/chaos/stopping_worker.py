"""A worker that sends a signal at one step of one of its transactions: to itself, or to a broker.

Only tests run it: the product has no such switch. It is the worker of `tollbook run`, wired by the
same function; between it and its producer stands a wrapper that counts the transactions with usage.

    python -m tests.chaos.stopping_worker --at flush --transaction 2 --signal SIGKILL
"""

import argparse
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from engine.adapters.kafka.topics import cluster_id
from engine.adapters.kafka.transactions import KafkaTransactions
from engine.entrypoints.cli.common import configure_logging
from engine.entrypoints.cli.stack import WORKER_GROUP, build_worker
from engine.ports import TopicPartition, Write
from engine.settings import kafka_settings, state_folder, worker_settings
from engine.telemetry import Telemetry

STEPS = ("begin", "send", "flush", "offsets", "commit sent", "commit")
"""Each means: just after it. `commit sent`: the commit is under way, `--delay-ms` ago."""
_log = structlog.get_logger()


class _Stepping:
    """A producer that signals right after one of its calls."""

    def __init__(self, producer: Any, step: str, fire: "_Fire") -> None:
        self._producer = producer
        self._step = step
        self._fire = fire

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def begin_transaction(self) -> None:
        self._producer.begin_transaction()
        self._at("begin")

    def send(self, *arguments: Any, **named: Any) -> Any:
        future = self._producer.send(*arguments, **named)
        self._at("send")
        return future

    def flush(self) -> None:
        self._producer.flush()
        self._at("flush")

    def send_offsets_to_transaction(self, *arguments: Any) -> None:
        self._producer.send_offsets_to_transaction(*arguments)
        self._at("offsets")

    def commit_transaction(self) -> None:
        if self._step == "commit sent":
            threading.Timer(self._fire.delay_seconds, self._fire).start()
        self._producer.commit_transaction()
        self._at("commit")

    def _at(self, step: str) -> None:
        if step == self._step:
            self._step = ""
            self._fire()


class _Fire:
    """Sends the signal."""

    def __init__(self, process_id: int, number: signal.Signals, delay_seconds: float) -> None:
        self.delay_seconds = delay_seconds
        self._process_id = process_id
        self._number = number

    def __call__(self) -> None:
        os.kill(self._process_id, self._number)


class _StoppingTransactions(KafkaTransactions):
    """Transactions of which the nth one with usage is the one to be disturbed."""

    step = ""
    transaction = 0
    fire: _Fire

    def _commit(
        self,
        producer: Any,
        writes: Sequence[Write],
        offsets: Mapping[TopicPartition, int],
        membership: object,
    ) -> Sequence[int]:
        self.transaction -= any(entry.topic == "usage" for entry in offsets)
        if self.transaction == 0:
            self.transaction = -1
            _log.info("about_to_signal", step=self.step)
            producer = _Stepping(producer, self.step, self.fire)
        return super()._commit(producer, writes, offsets, membership)


def main() -> None:
    """Run the worker."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--slot", default="worker-1")
    parser.add_argument("--at", choices=STEPS, required=True)
    parser.add_argument("--transaction", type=int, default=1)
    parser.add_argument("--signal", type=lambda name: signal.Signals[name], required=True)
    parser.add_argument("--process", type=int, default=os.getpid())
    parser.add_argument("--delay-ms", type=float, default=0.0)
    wanted = parser.parse_args()
    configure_logging()
    settings = worker_settings()._replace(slot=wanted.slot)
    kafka = kafka_settings()
    folder = state_folder(cluster_id(kafka), kafka.prefix)
    worker = build_worker(kafka, settings, folder, Telemetry())
    stopping = _StoppingTransactions(
        kafka,
        slot=f"{WORKER_GROUP}.{settings.slot}",
        timeout_seconds=settings.commit_timeout_seconds,
    )
    stopping.step, stopping.transaction = wanted.at, wanted.transaction
    stopping.fire = _Fire(wanted.process, wanted.signal, wanted.delay_ms / 1_000)
    worker._transactions = stopping  # noqa: SLF001 - the test stands between worker and Kafka
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    worker.run(stop)


if __name__ == "__main__":
    main()
