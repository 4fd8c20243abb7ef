"""The story through the offline public path: documents, orders, usage fields, a ledger as in a worker."""

from fractions import Fraction
from functools import cache

from engine.entrypoints.story import opening_orders, sent, story_tariff
from engine.entrypoints.story_data import ACCOUNT, Step, moment, story
from engine.rating.account import Account
from engine.rating.charge import Charge
from engine.rating.command import AccountCommand, AdvanceTo
from engine.rating.errors import Refusal
from engine.rating.event import AccountEvent
from engine.rating.ledger import Decided, Ledger, MemoryIdentities
from engine.rating.money import PICO
from engine.rating.tariff_book import TariffBook
from engine.rating.usage import Origin, Position, UsageEvent, check_usage


class Telling:
    """A ledger that is told the story step by step."""

    def __init__(self) -> None:
        book = TariffBook()
        book.add(story_tariff(), 0)
        self._ledger = Ledger(book, MemoryIdentities())
        self._offset = 0
        self.records: list[Decided] = []
        for command in opening_orders():
            self.records += self._ledger.command(command, self._origin(moment(9, 30, 11)))

    @property
    def account(self) -> Account:
        """The account as it is now."""
        return self._ledger.account(ACCOUNT)

    def take(self, step: Step) -> list[Decided]:
        """Take a step as it is received; return what it leads to."""
        asked, origin = sent(step), self._origin(step.received_at)
        if isinstance(asked, AccountCommand):
            records = self._ledger.command(asked, origin)
        elif isinstance(asked, AdvanceTo):
            records = self._ledger.advance(asked.until, origin)
        else:
            event = check_usage(asked, frozenset())
            assert isinstance(event, UsageEvent), event
            records, refusal = self._ledger.take(event, origin)
            assert not isinstance(refusal, Refusal | str), refusal
        self.records += records
        return records

    def _origin(self, received_at: int) -> Origin:
        self._offset += 1
        return Origin(Position("usage", 0, self._offset), received_at)


@cache
def told() -> Telling:
    """Return the whole story, told."""
    telling = Telling()
    for step in story():
        telling.take(step)
    return telling


def exact(pico: int) -> Fraction:
    """Return pico units as what they count."""
    return Fraction(pico, PICO)


def charges(records: list[Decided]) -> list[Charge]:
    """Return the charges among records."""
    return [record for record in records if isinstance(record, Charge)]


def events(records: list[Decided]) -> list[AccountEvent]:
    """Return the account events among records."""
    return [record for record in records if isinstance(record, AccountEvent)]
