"""Kafka behind the ports, with the settings that do not lose data silently.

What each setting protects from is written in docs/decisions/0003-commit-protocol.md.
"""

from engine.adapters.kafka.inputs import KafkaInputs
from engine.adapters.kafka.log import KafkaLog
from engine.adapters.kafka.transactions import KafkaTransactions

__all__ = ["KafkaInputs", "KafkaLog", "KafkaTransactions"]
