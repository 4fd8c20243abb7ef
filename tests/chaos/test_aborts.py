"""Transactions that do not commit: what they decided is decided again, once."""

from collections.abc import Iterator, Mapping, Sequence

import pytest

from engine.adapters.avro.journal import encode_commit
from engine.adapters.kafka.partitioning import partition_of
from engine.adapters.kafka.transactions import KafkaTransactions
from engine.ports import CommitFailed, TopicPartition, Write
from engine.rating.journal import Counts, JournalCommit, NextOffset
from engine.stream.worker import Worker
from tests.stream.deployment import PARTITIONS, Deployment, flat, turns_until, usage

pytestmark = pytest.mark.kafka

HOME = partition_of("acme", PARTITIONS)


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    deployment = Deployment(kafka_bootstrap, topic_prefix)
    deployment.publish_tariff(flat("1"))
    deployment.open_accounts("plan", ["acme"])
    yield deployment
    deployment.close()


class FailingAfterFlush(KafkaTransactions):
    """Fails some transactions when their records are on the broker but not committed."""

    failures = 3

    def _commit(
        self,
        producer: object,
        writes: Sequence[Write],
        offsets: Mapping[TopicPartition, int],
        membership: object,
    ) -> Sequence[int]:
        usage_commits = any(entry.topic == "usage" for entry in offsets)
        if usage_commits and self.failures:
            self.failures -= 1
            producer.begin_transaction()  # type: ignore[attr-defined]
            for write in writes:
                producer.send(  # type: ignore[attr-defined]
                    self._settings.topic(write.topic),
                    value=write.value,
                    partition=write.partition,
                )
            producer.flush()  # type: ignore[attr-defined]
            raise CommitFailed("the test fails the transaction between flush and commit")
        return super()._commit(producer, writes, offsets, membership)


def with_failing_transactions(worker: Worker, deployment: Deployment) -> FailingAfterFlush:
    """Let a worker's next transactions fail after the flush."""
    worker._transactions.close()  # noqa: SLF001 - the test stands between worker and Kafka
    failing = FailingAfterFlush(deployment.settings, slot="workers.worker-1", timeout_seconds=30)
    failing.fence()
    worker._transactions = failing  # noqa: SLF001
    return failing


def test_events_of_an_aborted_transaction_are_charged_on_retry_and_are_no_duplicates(
    deployment: Deployment,
) -> None:
    deployment.send_usage([usage(f"e{number}") for number in range(100)])
    with deployment.worker() as worker:
        failing = with_failing_transactions(worker, deployment)
        turns_until(worker.turn, lambda: failing.failures, lambda left: left == 0)
        worker.turn()  # ends what it left open, which readers would wait for
        counts = deployment.work_until(worker, 100)
    assert (counts.charges, counts.duplicates) == (100, 0)
    (balance,) = deployment.replayed_balances()
    assert balance.due == 100 * 10**12


def test_a_commit_that_lands_behind_a_foreign_record_is_aborted_and_decided_again(
    deployment: Deployment,
) -> None:
    """The offset check (commit protocol, rule 2): another owner has appended since the fold."""
    other_owner = KafkaTransactions(deployment.settings, slot="another-slot", timeout_seconds=30)
    with deployment.worker() as worker:
        deployment.send_usage([usage("e1")])
        deployment.work_until(worker, 1)
        state = worker._processors[HOME].state  # noqa: SLF001 - what another owner would fold
        positions = tuple(NextOffset(*entry) for entry in sorted(state.positions.items()))
        idle = JournalCommit(
            HOME, state.commit + 1, state.digest, positions,
            state.tariffs_offset, state.counts, (),
        )  # fmt: skip
        producer = other_owner._open()  # noqa: SLF001
        producer.begin_transaction()
        producer.send(
            deployment.settings.topic("journal"), value=encode_commit(idle, []), partition=HOME
        )
        producer.flush()
        producer.commit_transaction()
        deployment.send_usage([usage("e2"), usage("e1")])
        counts = deployment.work_until(worker, 3)
    other_owner.close()
    assert (counts.charges, counts.duplicates) == (2, 1)
    numbers = [commit.commit for commit in deployment.commits() if commit.partition == HOME]
    assert numbers == list(range(1, len(numbers) + 1))
    assert deployment.replayed_balances()[0].due == 2 * 10**12


def test_a_worker_without_a_live_membership_does_not_commit(deployment: Deployment) -> None:
    class Expelled:
        generation_id, member_id = -1, ""

    transactions = KafkaTransactions(deployment.settings, slot="expelled", timeout_seconds=30)
    transactions.fence()
    before = deployment.counts()
    with pytest.raises(CommitFailed, match="not a member of the group"):
        transactions.commit([Write("journal", HOME, None, b"stale")], {}, Expelled())
    transactions.close()
    assert deployment.counts() == before == Counts()
