"""An open commit is of one mind about the tariffs: one offset decides what its usage was rated with."""

import pytest

from engine.adapters.avro.tariff import encode_tariff
from engine.adapters.avro.usage import encode_usage
from engine.adapters.memory import MemoryCluster, MemoryLog
from engine.adapters.signing import Signatures
from engine.adapters.tariff_log import TARIFFS, TariffLog
from engine.ports import Stamp, TopicPartition
from engine.rating.errors import BrokenInvariant
from engine.rating.journal import PartitionState
from engine.rating.ledger import MemoryIdentities
from engine.stream.intake import Intake
from engine.stream.partition import PartitionProcessor
from engine.stream.recovery import Recovered
from tests.properties.memory_deployment import TOPICS
from tests.rating.scenario import ONE_DOLLAR_EACH, tariff, usage_fields

USAGE = TopicPartition("usage", 0)


def test_a_version_is_taken_in_only_after_the_usage_before_it_is_sealed() -> None:
    cluster = MemoryCluster(TOPICS)
    log = MemoryLog(cluster)
    tariffs = TariffLog(log)
    recovered = Recovered(
        PartitionState(0, tariffs.book, MemoryIdentities()), Stamp(), journal_end=0, folded=0
    )
    processor = PartitionProcessor(recovered, Intake(lambda _: 0, frozenset(), Signatures({})))
    cluster.append(USAGE, encode_usage(usage_fields("e1", "2026-11-02T00:00:00Z", {"input": 1})))
    (record,) = log.read(USAGE, 0, 1)
    processor.usage(record, tariffs.authority)
    cluster.append(TARIFFS, encode_tariff(tariff(ONE_DOLLAR_EACH)))
    tariffs.read_all()
    with pytest.raises(BrokenInvariant, match="whose usage was rated with those up to 0"):
        list(processor.take_in(tariffs))
    sealed = processor.seal()
    assert sealed is not None
    processor.committed(sealed)
    list(processor.take_in(tariffs))
    after = processor.seal()
    assert after is not None
    assert (sealed.commit.tariffs_offset, after.commit.tariffs_offset) == (0, 1)
