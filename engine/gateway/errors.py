"""What a gateway's publisher raises, all of it at once and to the caller.

TollbookError
├── UsageRefused       the event is none: malformed, or too large
├── SpoolFull          the spool takes no more: Kafka is away for too long, or the disk is full
├── SpoolInUse         another process has this spool
└── PublisherClosed    publish after close, or in a process forked after the publisher was made
"""

from engine.rating.errors import Refusal, TollbookError


class UsageRefused(TollbookError):
    """An event that could only be rejected; `refusal` has the code and the sentence."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.code}: {refusal.explanation}")
        self.refusal = refusal


class SpoolFull(TollbookError):
    """The spool has no room: the event was not taken, and the caller knows it at once."""


class SpoolInUse(TollbookError):
    """Another process writes this spool; each process needs a folder of its own."""


class PublisherClosed(TollbookError):
    """The publisher takes no more events."""
