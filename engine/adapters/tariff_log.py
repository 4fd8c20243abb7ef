"""The tariffs topic as a book that grows, in the order of offsets.

It holds tariff versions, exchange rates, source registrations and rules revisions. A record that is
not sound (unreadable, digest wrong, not to follow those before it, or in words that the adopted
rules revision does not know) is skipped with an error in the log, by every reader alike, because the
rule that refuses it looks only at the topic itself. A rules revision that this code does not have
stops every reader: what follows it would be rated by rules nobody here knows.
"""

from typing import NamedTuple

import structlog

from engine.adapters.avro.authority import registration_of
from engine.adapters.avro.exchange import exchange_rate_of
from engine.adapters.avro.tariff import decode_tariff
from engine.adapters.avro.wire import Decoded, decode
from engine.ports import LogRecord, RecordLog, TopicPartition
from engine.rating.authority import Authority
from engine.rating.errors import Refusal, TollbookError
from engine.rating.language import require_exchange_rates, require_language
from engine.rating.rules import check_revision
from engine.rating.tariff_book import KnownVersion, TariffBook

TARIFFS = TopicPartition("tariffs", 0)
_log = structlog.get_logger()


class PublishedVersion(NamedTuple):
    """A version, when its record was appended (us UTC), and the rules in force at its place."""

    known: KnownVersion
    appended_at: int
    rules: int


class TariffLog:
    """Reads the tariffs topic into `book` and `authority`; `versions` in the order of offsets."""

    def __init__(self, log: RecordLog) -> None:
        self.book = TariffBook()
        self.authority = Authority()
        self.versions: list[PublishedVersion] = []
        self.next_offset = 0
        self._log = log

    def read_to(self, end: int) -> None:
        """Read on up to an offset. InvalidDocument at a rules revision that is not known here."""
        for record in self._log.read(TARIFFS, self.next_offset, end):
            self._take(record)
        self.next_offset = max(self.next_offset, end)

    def read_all(self) -> None:
        """Read on up to the topic's present end."""
        self.read_to(self._log.ends([TARIFFS])[TARIFFS])

    def _take(self, record: LogRecord) -> None:
        decoded = decode(record.value)
        place = f"tariffs offset {record.offset}"
        if isinstance(decoded, Refusal):
            _log.error("tariffs_record_skipped", offset=record.offset, reason=decoded.explanation)
        elif decoded.name == "source_registration":
            self.authority.register(registration_of(decoded.fields))
        elif decoded.name == "rules_revision":
            check_revision(decoded.fields["revision"], place)
            self.authority.rules = max(self.authority.rules, decoded.fields["revision"])
        else:
            try:
                self._take_price(decoded, record, place)
            except TollbookError as error:
                _log.error("tariffs_record_skipped", offset=record.offset, reason=str(error))

    def _take_price(self, decoded: Decoded, record: LogRecord, place: str) -> None:
        """Take in a tariff version or an exchange rate. TollbookError if it is not sound."""
        rules = self.authority.rules
        if decoded.name == "exchange_rate":
            require_exchange_rates(rules)
            rate = exchange_rate_of(decoded.fields, place)
            self.book.supply.rates.add(rate, record.offset)
            return
        version = decode_tariff(record.value, place)
        require_language(version, rules)
        known = self.book.add(version, record.offset)
        if known is not None:
            self.versions.append(PublishedVersion(known, record.appended_at, rules))
