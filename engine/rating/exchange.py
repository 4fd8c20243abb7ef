"""Exchange rates: what a unit of one currency is worth in another, from an instant on.

Rates are dated records like tariff versions: immutable, published in the `tariffs` topic, and in
force by the time of use. The pair is taken as it was published: nothing is inverted and no third
currency is gone through, because whoever does that chooses a rounding that nobody agreed to. A
rate is an exact decimal; what is converted is floored to pico once.
"""

from bisect import bisect_right, insort
from fractions import Fraction
from operator import attrgetter
from typing import NamedTuple

from engine.rating.errors import InvalidDocument
from engine.rating.money import MINOR_UNITS, format_decimal, parse_decimal
from engine.rating.period import FIRST_INSTANT, LAST_INSTANT, format_instant
from engine.rating.usage import MAX_TEXT, UNPRINTABLE

_instant = attrgetter("effective_from")


class ExchangeRate(NamedTuple):
    """`rate` units of `quote` are one unit of `base`, from `effective_from` (us UTC) on."""

    base: str
    quote: str
    rate: Fraction
    effective_from: int
    source: str = ""
    principal: str = ""

    @property
    def text(self) -> str:
        """The rate as a decimal in shortest form."""
        return format_decimal(self.rate)


class KnownRate(NamedTuple):
    """A rate, also as text, and the offset of its record in the topic; ordered by its instant."""

    effective_from: int
    offset: int
    exchange: ExchangeRate
    text: str

    def convert(self, pico: int) -> int:
        """Return an amount of `base` in `quote`, both in pico, floored once."""
        rate = self.exchange.rate
        return pico * rate.numerator // rate.denominator


def exchange_rate(
    base: str,
    quote: str,
    rate: str,
    effective_from: int,
    source: str = "",
    principal: str = "",
    place: str = "exchange rate",
) -> ExchangeRate:
    """Return a checked exchange rate; `place` is for messages. InvalidDocument if it is unsound."""
    for name, currency in (("base", base), ("quote", quote)):
        if currency not in MINOR_UNITS:
            raise InvalidDocument(f"{place}, {name}", currency, "an ISO 4217 currency code")
    if base == quote:
        raise InvalidDocument(f"{place}, quote", quote, f"another currency than the base {base}")
    try:
        value = parse_decimal(rate)
    except ValueError as error:
        raise InvalidDocument(f"{place}, rate", rate, "a decimal such as 1.0834") from error
    if value <= 0:
        raise InvalidDocument(f"{place}, rate", rate, "a rate above 0")
    if not FIRST_INSTANT <= effective_from <= LAST_INSTANT:
        raise InvalidDocument(
            f"{place}, effective_from", effective_from, "a time from 2000 to 2050"
        )
    for name, text in (("source", source), ("principal", principal)):
        if len(text) > MAX_TEXT or UNPRINTABLE.search(text):
            raise InvalidDocument(
                f"{place}, {name}", text, f"{MAX_TEXT} printable characters at most"
            )
    return ExchangeRate(base, quote, value, effective_from, source, principal)


class ExchangeRates:
    """Every rate that is known, by pair of currencies."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, str], list[KnownRate]] = {}

    def add(self, exchange: ExchangeRate, offset: int) -> bool:
        """Add a rate; False if it was known. InvalidDocument if the instant has another rate."""
        if self.is_known(exchange):
            return False
        pair = self._pairs.setdefault((exchange.base, exchange.quote), [])
        insort(pair, KnownRate(exchange.effective_from, offset, exchange, exchange.text))
        return True

    def is_known(self, exchange: ExchangeRate) -> bool:
        """Whether this very rate is known. InvalidDocument if the instant has another one."""
        known = self.in_force(exchange.base, exchange.quote, exchange.effective_from)
        if known is None or known.effective_from != exchange.effective_from:
            return False
        if known.exchange.rate != exchange.rate:
            raise InvalidDocument(
                f"exchange rate {exchange.base} {exchange.quote} from "
                f"{format_instant(exchange.effective_from)}",
                exchange.text,
                f"{known.text} as it stands already, or another instant",
            )
        return True

    def in_force(self, base: str, quote: str, at: int) -> KnownRate | None:
        """Return the pair's rate with the latest `effective_from <= at`, or None."""
        pair = self._pairs.get((base, quote), [])
        index = bisect_right(pair, at, key=_instant)
        return pair[index - 1] if index else None

    def known(self) -> list[KnownRate]:
        """Return every rate by pair, then by instant."""
        return [known for pair in sorted(self._pairs) for known in self._pairs[pair]]
