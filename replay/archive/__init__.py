"""The archive: immutable Parquet segments of every input and of the journal. It is the record.

Kafka is transport and may be pruned behind the archive; the archive keeps each record as it was,
byte for byte, with columns beside it to ask questions of. It owns the folder's layout (`layout`),
the manifests that say what counts (`manifest`), writing (`archiver`, `compaction`), reading as a log
(`log`), checking (`verification`), how far Kafka may be pruned (`pruning`), and SQL (`views`).

Invariants: the segments of a partition follow each other without a gap; a segment is never changed,
only replaced by one with the same records; the columns of a row follow from its record's bytes.

It is not a database: it has one writer, no updates, and nothing in it is the only copy of a decision
that was not first committed to Kafka.
"""

from replay.archive.folder import Archive, Identity
from replay.archive.log import ArchiveLog, CombinedLog, PrunedLog
from replay.archive.views import sql

__all__ = ["Archive", "ArchiveLog", "CombinedLog", "Identity", "PrunedLog", "sql"]
