import pytest

from engine.rating.errors import InvalidDocument
from engine.rating.tariff import TariffVersion
from engine.rating.tariff_book import TariffBook
from tests.rating.scenario import ONE_DOLLAR_EACH, at, tariff

LADDER = """
tariff_id: plan
version: {version}
effective_from: {start}
effective_to: {end}
currency: {currency}
components:
  - id: ladder
    match: {{model: "{model}"}}
    kinds: {kinds}
    scope: {scope}
    period: {period}
    price: {{model: unit, unit_price: "{price}"}}
"""


def version(number: int, start: str = "2026-11-01T00:00:00Z", **changes: str) -> TariffVersion:
    words = {
        "end": "null",
        "currency": "USD",
        "model": "gpt-4o",
        "kinds": "{input: 1, output: 4}",
        "scope": "account",
        "period": "calendar_month",
        "price": "1",
        **changes,
    }
    return tariff(LADDER.format(version=number, start=start, **words))


def book_of(*versions: TariffVersion) -> TariffBook:
    book = TariffBook()
    for offset, entry in enumerate(versions):
        book.add(entry, offset)
    return book


def in_force(book: TariffBook, adopted: tuple[int, ...], moment: str) -> int:
    known = book.in_force("plan", adopted, at(moment))
    return known.version.version if known else 0


def test_a_version_is_known_once() -> None:
    book = TariffBook()
    first = book.add(version(1), 7)
    assert first is not None
    assert first.offset == 7
    assert book.add(version(1), 8) is None
    known = book.get("plan", 1)
    assert known is not None
    assert known.offset == 7


def test_versions_and_tariffs_are_listed_in_order() -> None:
    book = book_of(version(2), version(5))
    assert [entry.version.version for entry in book.versions("plan")] == [2, 5]
    assert book.tariff_ids() == ["plan"]
    assert book.versions("other") == []
    assert book.get("plan", 1) is None


def test_the_latest_version_that_has_begun_is_in_force() -> None:
    book = book_of(version(1), version(2, "2026-11-10T00:00:00Z"))
    assert in_force(book, (1, 2), "2026-10-31T23:59:59.999999Z") == 0
    assert in_force(book, (1, 2), "2026-11-09T23:59:59.999999Z") == 1
    assert in_force(book, (1, 2), "2026-11-10T00:00:00Z") == 2


def test_only_adopted_versions_are_in_force() -> None:
    book = book_of(version(1), version(2, "2026-11-10T00:00:00Z"))
    assert in_force(book, (1,), "2026-11-20T00:00:00Z") == 1
    assert in_force(book, (), "2026-11-20T00:00:00Z") == 0


def test_of_two_that_begin_together_the_higher_version_is_in_force() -> None:
    book = book_of(version(1), version(2), version(3, "2026-10-01T00:00:00Z"))
    assert in_force(book, (1, 2, 3), "2026-11-20T00:00:00Z") == 2
    assert in_force(book, (3, 2, 1), "2026-11-20T00:00:00Z") == 2
    assert in_force(book, (1, 2, 3), "2026-10-20T00:00:00Z") == 3


def test_a_version_that_has_ended_leaves_a_gap() -> None:
    book = book_of(version(1), version(2, "2026-11-10T00:00:00Z", end="2026-11-20T00:00:00Z"))
    assert in_force(book, (1, 2), "2026-11-19T23:59:59.999999Z") == 2
    assert in_force(book, (1, 2), "2026-11-20T00:00:00Z") == 0


def test_a_timeline_is_ordered_by_time_and_not_by_number() -> None:
    book = book_of(version(1, "2026-11-10T00:00:00Z"), version(2), version(3))
    timeline = book.timeline("plan", (1, 2, 3))
    assert [entry.version.version for entry in timeline] == [2, 3, 1]


@pytest.mark.parametrize("number", [1, 2])
def test_numbers_of_versions_grow(number: int) -> None:
    book = book_of(version(2))
    with pytest.raises(InvalidDocument, match="a version above 2"):
        book.add(version(number, price="2"), 1)


def test_a_refused_version_leaves_no_trace() -> None:
    book = book_of(version(2))
    with pytest.raises(InvalidDocument):
        book.add(version(3, currency="EUR"), 1)
    assert [entry.version.version for entry in book.versions("plan")] == [2]


def test_a_tariff_keeps_its_currency() -> None:
    with pytest.raises(InvalidDocument, match="the tariff's currency USD"):
        book_of(version(1), version(2, currency="EUR"))


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"kinds": "{input: 1}"}, "weights"),
        ({"kinds": "{input: 1, output: 5}"}, "weights"),
        ({"kinds": "{input: 1, output: 4, request: 1}"}, "weights"),
        ({"scope": "subject"}, "scope"),
        ({"period": "day"}, "period"),
    ],
)
def test_a_component_that_counts_otherwise_needs_a_new_id(
    changes: dict[str, str], place: str
) -> None:
    with pytest.raises(InvalidDocument, match=f"component ladder, {place}"):
        book_of(version(1), version(2, **changes))


def test_a_component_is_held_against_every_earlier_version_not_just_the_last() -> None:
    other = tariff(ONE_DOLLAR_EACH.replace("version: 1", "version: 2"))
    with pytest.raises(InvalidDocument, match="as in version 1"):
        book_of(version(1), other, version(3, scope="subject"))


@pytest.mark.parametrize(
    "changes",
    [{"price": "2"}, {"model": "gpt-5"}, {"end": "2026-12-01T00:00:00Z"}],
)
def test_price_match_and_interval_may_change(changes: dict[str, str]) -> None:
    book = book_of(version(1), version(2, **changes))
    assert len(book.versions("plan")) == 2
