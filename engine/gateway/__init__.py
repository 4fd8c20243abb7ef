"""What runs inside a gateway: from its raw records to usage in Kafka, nothing lost, nothing twice.

Owned here: the publisher with its spool (`Publisher`), and the normalisers that turn what a gateway
records into usage events (`normalise`). A light package: it needs the base install, and loads the
Kafka client only when a publisher is made.

Invariants: an event for which `publish` returned reaches the engine whatever dies; nothing here
waits for Kafka on the request path; a publisher's sequence has no gap.

What it is not: a place where usage is priced, or a buffer that drops what it cannot hold.
"""

from engine.gateway.errors import PublisherClosed, SpoolFull, SpoolInUse, UsageRefused
from engine.gateway.publisher import Publisher, Stats, event_id

__all__ = [
    "Publisher",
    "PublisherClosed",
    "SpoolFull",
    "SpoolInUse",
    "Stats",
    "UsageRefused",
    "event_id",
]
