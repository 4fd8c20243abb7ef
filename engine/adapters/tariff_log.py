"""The tariffs topic as a book that grows, in the order of offsets.

A record that is not a sound version (unreadable, digest wrong, or it may not follow the versions
before it) is skipped with an error in the log, by every reader alike, because the rule that
refuses it looks only at the topic itself.
"""

from typing import NamedTuple

import structlog

from engine.adapters.avro.tariff import decode_tariff
from engine.ports import LogRecord, RecordLog, TopicPartition
from engine.rating.errors import TollbookError
from engine.rating.tariff_book import KnownVersion, TariffBook

TARIFFS = TopicPartition("tariffs", 0)
_log = structlog.get_logger()


class PublishedVersion(NamedTuple):
    """A version and when its record was appended (us UTC)."""

    known: KnownVersion
    appended_at: int


class TariffLog:
    """Reads the tariffs topic into `book`; `versions` are in the order of their offsets."""

    def __init__(self, log: RecordLog) -> None:
        self.book = TariffBook()
        self.versions: list[PublishedVersion] = []
        self.next_offset = 0
        self._log = log

    def read_to(self, end: int) -> None:
        """Read on up to an offset."""
        for record in self._log.read(TARIFFS, self.next_offset, end):
            self._take(record)
        self.next_offset = max(self.next_offset, end)

    def read_all(self) -> None:
        """Read on up to the topic's present end."""
        self.read_to(self._log.ends([TARIFFS])[TARIFFS])

    def _take(self, record: LogRecord) -> None:
        try:
            version = decode_tariff(record.value, f"tariffs offset {record.offset}")
            known = self.book.add(version, record.offset)
        except TollbookError as error:
            _log.error("tariff_version_skipped", offset=record.offset, reason=str(error))
            return
        if known is not None:
            self.versions.append(PublishedVersion(known, record.appended_at))
