"""Telemetry: what the stream tells about itself, in its own words.

The stream calls these methods at facts; the base class does nothing. `engine.adapters.metrics`
turns them into Prometheus metrics. Nothing here knows an account: labels stay few.
"""

from collections.abc import Sequence

from engine.rating.journal import Counts


class Telemetry:
    """Hears what a worker or projector does. Times in seconds."""

    def turn(self) -> None:
        """Hear that a turn begins: the process is alive."""

    def assigned(self, partitions: Sequence[int]) -> None:
        """Hear which partitions are worked on from now on."""

    def decided(self, partition: int, commit: int, counts: Counts) -> None:
        """Hear of a journaled commit; `counts` are those of it alone."""

    def rejected(self, code: str) -> None:
        """Hear of a rejected record."""

    def suspended(self, reason: str) -> None:
        """Hear of a line in suspense."""

    def batch_took(self, seconds: float) -> None:
        """Hear how long deciding and committing what one poll brought took."""

    def commit_took(self, seconds: float) -> None:
        """Hear how long a transaction took."""

    def commit_failed(self, reason: str) -> None:
        """Hear of a transaction that failed; state was dropped."""

    def lag(self, topic: str, partition: int, records: int) -> None:
        """Hear how many records wait to be taken in."""

    def recovered(self, partition: int, seconds: float, folded: int) -> None:
        """Hear of a partition that was recovered by folding so many commits."""

    def identities(self, partition: int, size: int) -> None:
        """Hear about how many identities a partition holds."""

    def snapshot_took(self, partition: int, seconds: float, size_bytes: int) -> None:
        """Hear of a snapshot that was written."""

    def snapshot_failed(self, partition: int) -> None:
        """Hear of a snapshot or index that could not be written."""

    def unavailable(self, is_away: bool) -> None:
        """Hear whether the broker is away."""
