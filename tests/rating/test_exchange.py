"""Exchange rates: exact, dated, never inverted, and one rate per pair and instant."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.avro.exchange import encode_exchange_rate, exchange_rate_of
from engine.adapters.avro.wire import Decoded, decode
from engine.adapters.documents.exchange_rates import parse_exchange_rates
from engine.adapters.documents.reading import InvalidFile, parse_text
from engine.rating.errors import InvalidDocument
from engine.rating.exchange import ExchangeRate, ExchangeRates, exchange_rate
from engine.rating.money import PICO
from tests.rating.scenario import at

NOVEMBER = at("2026-11-01T00:00:00Z")
DECEMBER = at("2026-12-01T00:00:00Z")


def euro(rate: str, since: int = NOVEMBER, **rest: Any) -> ExchangeRate:
    return exchange_rate("EUR", "USD", rate, since, **rest)


def test_the_rate_in_force_is_the_latest_one_not_after_the_time_of_use() -> None:
    rates = ExchangeRates()
    assert rates.add(euro("1.09", DECEMBER), 7)
    assert rates.add(euro("1.0834"), 8)
    assert rates.in_force("EUR", "USD", NOVEMBER - 1) is None
    for moment, offset in ((NOVEMBER, 8), (DECEMBER - 1, 8), (DECEMBER, 7), (2 * DECEMBER, 7)):
        known = rates.in_force("EUR", "USD", moment)
        assert known is not None
        assert known.offset == offset


def test_a_pair_is_neither_inverted_nor_reached_through_a_third_currency() -> None:
    rates = ExchangeRates()
    rates.add(euro("1.0834"), 1)
    rates.add(exchange_rate("USD", "JPY", "155", NOVEMBER), 2)
    assert rates.in_force("USD", "EUR", DECEMBER) is None
    assert rates.in_force("EUR", "JPY", DECEMBER) is None


def test_what_is_converted_is_exact_and_floored_to_pico_once() -> None:
    rates = ExchangeRates()
    rates.add(euro("1.08345"), 1)
    known = rates.in_force("EUR", "USD", NOVEMBER)
    assert known is not None
    assert known.convert(2 * PICO) == 2_166_900_000_000
    assert known.convert(3) == 3
    assert known.convert(-1) == -2


def test_the_same_rate_again_changes_nothing_and_another_one_is_refused() -> None:
    rates = ExchangeRates()
    assert rates.add(euro("1.0834"), 1)
    assert not rates.add(euro("1.08340", source="ECB"), 2)
    with pytest.raises(InvalidDocument, match=r"got .1\.09., expected 1\.0834 as it stands"):
        rates.add(euro("1.09"), 3)
    assert [known.offset for known in rates.known()] == [1]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"base": "EURO"}, "base: got 'EURO', expected an ISO 4217"),
        ({"quote": "usd"}, "quote: got 'usd', expected an ISO 4217"),
        ({"quote": "EUR"}, "quote: got 'EUR', expected another currency"),
        ({"rate": "1.08e1"}, "rate: got '1.08e1', expected a decimal"),
        ({"rate": "0.0"}, "rate: got '0.0', expected a rate above 0"),
        ({"rate": "-1"}, "rate: got '-1', expected a rate above 0"),
        ({"effective_from": 0}, "effective_from: got 0, expected a time from 2000"),
        ({"source": "x" * 257}, "source: got .*expected 256 printable"),
        ({"principal": "a\nb"}, "principal: got 'a"),
    ],
)
def test_an_unsound_rate_is_refused_with_place_value_and_expectation(
    changed: dict[str, Any], message: str
) -> None:
    fields = {"base": "EUR", "quote": "USD", "rate": "1.0834", "effective_from": NOVEMBER}
    with pytest.raises(InvalidDocument, match=message):
        exchange_rate(**{**fields, **changed})


@given(
    st.integers(1, 10**43).map(lambda number: Fraction(number, 10**18)),
    st.integers(NOVEMBER, DECEMBER),
    st.sampled_from(["", "ECB"]),
)
def test_a_rate_comes_back_from_its_record_as_it_was(
    rate: Fraction, since: int, source: str
) -> None:
    exchange = ExchangeRate("EUR", "USD", rate, since, source, "anna")
    decoded = decode(encode_exchange_rate(exchange))
    assert isinstance(decoded, Decoded)
    assert exchange_rate_of(decoded.fields, "offset 7") == exchange


def listed(text: str) -> list[ExchangeRate]:
    return parse_exchange_rates(parse_text(text, "rates"), "rates")


def test_a_file_lists_rates_in_yaml_or_json() -> None:
    yaml = """
    - {base: EUR, quote: USD, rate: 1.0834, effective_from: 2026-11-01T00:00:00Z, source: ECB}
    - {base: USD, quote: JPY, rate: 155, effective_from: 2026-12-01T00:00:00Z}
    """
    json = (
        '[{"base": "EUR", "quote": "USD", "rate": "1.0834", "source": "ECB",'
        ' "effective_from": "2026-11-01T00:00:00Z"},'
        ' {"base": "USD", "quote": "JPY", "rate": "155", "effective_from": "2026-12-01T00:00:00Z"}]'
    )
    assert listed(yaml) == listed(json)
    assert listed(yaml) == [
        euro("1.0834", source="ECB"),
        exchange_rate("USD", "JPY", "155", DECEMBER),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {base: EUR, quote: USD, rate: 1.0834}", r"rates: \[0\].effective_from: got None"),
        ("- {base: EUR, quote: USD, rate: -1, effective_from: 2026-11-01T00:00:00Z}", "above 0"),
        ("- {base: EUR, quote: XXX, rate: 1, effective_from: 2026-11-01T00:00:00Z}", "ISO 4217"),
        ("- {base: EUR, quote: USD, rate: 1, effective_from: 2026-11-01}", "an RFC 3339 time"),
        ("- {base: EUR, quote: USD, rate: true, effective_from: 2026-11-01T00:00:00Z}", "a text"),
        ("{base: EUR}", "list"),
        (
            """
            - {base: EUR, quote: USD, rate: 1, effective_from: 2026-11-01T00:00:00Z}
            - {base: EUR, quote: USD, rate: 2, effective_from: 2026-11-01T00:00:00Z}
            """,
            "expected 1 as it stands already",
        ),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused_whole(text: str, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        listed(text)
