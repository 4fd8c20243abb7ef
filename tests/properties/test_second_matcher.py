"""A second, naive matcher picks the same components and promotions, by the wall clock of people."""

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.documents.matching import MatchDocument
from engine.rating.matching import Match, ambiguities
from engine.rating.money import PICO
from engine.rating.period import format_instant
from engine.rating.usage import KINDS, UsageEvent, check_usage
from tests.properties.second_opinion import Document
from tests.properties.tariffs import MATCHES, MODELS, tariff_documents
from tests.properties.test_tariff_documents import version_or_none
from tests.rating.scenario import at, usage_fields, zone

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe")
CHANGES = [
    at(moment)
    for moment in (
        *("2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2026-03-08T07:00:00Z"),
        *("2026-11-01T06:00:00Z", "2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z"),
        *("2026-11-03T00:00:00Z", "2026-11-10T00:00:00Z", "2026-11-12T00:00:00Z"),
    )
]
HOUR = 3_600_000_000
INSTANTS = st.one_of(
    st.integers(at("2026-01-02T00:00:00Z"), at("2026-12-30T00:00:00Z")),
    st.builds(lambda change, off: change + off, st.sampled_from(CHANGES), st.integers(-HOUR, HOUR)),
    st.builds(lambda change, off: change + off, st.sampled_from(CHANGES), st.integers(-1, 1)),
    st.builds(
        lambda change, half: change + half * HOUR // 2,
        st.sampled_from(CHANGES),
        st.integers(-99, 99),
    ),
)
EVENTS = st.fixed_dictionaries(
    {
        "at": INSTANTS,
        "quantities": st.dictionaries(
            st.sampled_from(["input", "output", "cache_read", "audio_cache_read"]),
            st.integers(1, 60),
            min_size=1,
        ),
        "account_id": st.sampled_from(["acme", "globex", "acme-2"]),
        "subject": st.sampled_from(["anna", "ben", ""]),
        "model": st.sampled_from(MODELS),
        "provider": st.sampled_from(["openai", "azure"]),
        "service_tier": st.sampled_from(["standard", "batch"]),
        "region": st.sampled_from(["", "eu", "us-east"]),
        "initiator": st.sampled_from(["user", "agent", "tool"]),
        "attributes": st.dictionaries(
            st.sampled_from(["team", "project"]), st.sampled_from(["red", "blue", "x"])
        ),
    }
)
DIMENSIONS = (
    *("account", "subject", "model", "provider", "operation", "service_tier", "region"),
    "initiator",
)


def event_of(words: dict[str, Any]) -> UsageEvent:
    rest = {name: value for name, value in words.items() if name not in ("at", "quantities")}
    fields = usage_fields("e1", format_instant(words["at"]), words["quantities"], **rest)
    event = check_usage(fields, frozenset({"team", "project"}))
    assert isinstance(event, UsageEvent), event
    return event


def is_glob(pattern: Any) -> bool:
    return isinstance(pattern, str) and ("*" in pattern or "?" in pattern)


def fits(pattern: Any, text: str) -> bool:
    if not is_glob(pattern):
        return text in (pattern if isinstance(pattern, list) else [pattern])
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text) is not None


def rank(pattern: Any) -> tuple[int, int]:
    if pattern is None:
        return (0, 0)
    if is_glob(pattern):
        return (1, len(pattern))
    return (3, 0) if isinstance(pattern, str) or len(set(pattern)) == 1 else (2, 0)


def windows_of(match: Document) -> list[Document] | None:
    if "time" not in match:
        return None
    windows = match["time"] if isinstance(match["time"], list) else [match["time"]]
    clocks = (0, 150, 180, 480, 990, 1439)
    week = [(day, minute) for day in range(7) for minute in clocks]
    return None if all(is_inside(windows, *place) for place in week) else windows


def is_inside(windows: list[Document], weekday: int, minute: int) -> bool:
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    for window in windows:
        for hours in window.get("hours", ["00:00-00:00"]):
            start, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in hours.split("-"))
            length = (end - start) % 1440 or 1440
            for back in (0, 1):  # it began today, or yesterday
                begun = names[(weekday - back) % 7] in window.get("weekdays", names)
                if begun and 0 <= minute + back * 1440 - start < length:
                    return True
    return False


def matches(match: Document, words: dict[str, Any], wall: datetime) -> bool:
    texts = {**words, "account": words["account_id"], "operation": "chat"}
    windows = windows_of(match)
    context = sum(n for kind, n in words["quantities"].items() if kind != "output")
    return (
        all(fits(match[name], texts[name]) for name in DIMENSIONS if name in match)
        and all(
            fits(pattern, words["attributes"].get(name, ""))
            for name, pattern in match.get("attributes", {}).items()
        )
        and context > match.get("context_above", -1)
        and (windows is None or is_inside(windows, wall.weekday(), wall.hour * 60 + wall.minute))
    )


def specificity(match: Document) -> tuple[Any, ...]:
    attributes = [rank(pattern) for pattern in match.get("attributes", {}).values()]
    return (
        *(rank(match.get(name)) for name in DIMENSIONS),
        (len(attributes), *sorted(attributes, reverse=True)),
        match.get("context_above", -1),
        windows_of(match) is not None,
    )


def most_specific(
    entries: list[Document], words: dict[str, Any], wall: datetime
) -> Document | None:
    found = [entry for entry in entries if matches(entry.get("match", {}), words, wall)]
    found.sort(key=lambda entry: specificity(entry.get("match", {})))
    if len(found) > 1:
        first, second = (specificity(entry.get("match", {})) for entry in found[-2:])
        assert first != second, "a tie that publication did not see"
    return found[-1] if found else None


def expected(document: Document, words: dict[str, Any], wall: datetime) -> dict[str, Any]:
    """Return component, promotion and weight of each kind that is priced."""
    own: dict[str, tuple[Document, str]] = {}
    fallback = {"audio_cache_read": "cache_read", **document.get("fallback", {})}
    for kind in KINDS:
        wild = ["*"] if kind not in ("pass_through_cost", "unexplained", "audio_cache_read") else []
        for name in (kind, *wild):
            named = [c for c in document["components"] if name in c["kinds"]]
            component = most_specific(named, words, wall)
            if component is not None:
                own[kind] = (component, name)
                break
    found = {}
    for kind in KINDS:
        source = kind
        while source not in own and source in fallback:
            source = fallback[source]
        if source in own:
            component, name = own[source]
            promotion = promoted(document, component, kind, words, wall)
            weight = weight_of(component, name, words["model"]) if name != MONEY else None
            found[kind] = (component["id"], promotion and promotion["id"], weight)
    return found


MONEY = "pass_through_cost"


def weight_of(component: Document, name: str, model: str) -> Fraction:
    """Return the metered units per unit: of the model that is named best, else of the kinds."""
    kinds = component["kinds"]
    weight = kinds[name] if isinstance(kinds, dict) else "1"
    named = [pattern for pattern in component.get("weights", {}) if fits(pattern, model)]
    if named:
        weight = component["weights"][max(named, key=rank)].get(name, weight)
    return Fraction(weight)


def promoted(
    document: Document, component: Document, kind: str, words: dict[str, Any], wall: datetime
) -> Document | None:
    def touches(promotion: Document) -> bool:
        kinds = promotion.get("kinds", ["*"])
        if kind == "audio_cache_read" and kind not in kinds:
            kinds = [{"cache_read": kind}.get(named, named) for named in kinds]
        wild = "*" in kinds and kind not in ("pass_through_cost", "unexplained")
        components = promotion.get("components") or [component["id"]]
        start, end = promotion.get("valid_from"), promotion.get("valid_to")
        return (
            (wild or kind in kinds)
            and component["id"] in components
            and (start is None or at(start) <= words["at"])
            and (end is None or words["at"] < at(end))
        )

    return most_specific([p for p in document.get("promotions", []) if touches(p)], words, wall)


@given(tariff_documents(), st.sampled_from(ZONES), st.lists(EVENTS, min_size=1, max_size=6))
def test_each_kind_is_priced_by_what_the_second_matcher_picks(
    document: Document, zone_name: str, events: list[dict[str, Any]]
) -> None:
    frozen = zone(zone_name)
    transitions = [
        [format_instant(moment), offset]
        for moment, offset in zip(frozen.instants, frozen.offsets, strict=True)
    ]
    zoned = {**document, "time_zone": zone_name, "time_zone_transitions": transitions}
    version = version_or_none(zoned)
    if version is None:
        return
    for words in [*events, *reversed(events)]:  # what is kept from one event changes no other
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=words["at"])
        wall = moment.astimezone(ZoneInfo(zone_name))
        priced = {
            kind: (
                price.component.component_id,
                price.promoted and price.promoted.promotion.promotion_id,
                None if kind == MONEY else Fraction(price.weight_pico or 0, PICO),
            )
            for kind, price in version.prices(event_of(words)).items()
        }
        assert priced == expected(document, words, wall)


@given(tariff_documents(), EVENTS)
def test_to_a_tariff_that_does_not_name_cached_audio_it_is_what_it_was_before(
    document: Document, words: dict[str, Any]
) -> None:
    """It was `cache_read` until it was told apart: no version from before prices it otherwise."""
    if "audio_cache_read" in str(document):
        return
    version = version_or_none(document)
    if version is not None:
        priced = version.prices(event_of(words))
        assert priced.get("audio_cache_read") == priced.get("cache_read")


class Named(NamedTuple):
    """As much of a component as matching needs."""

    name: str
    match: Match


@given(MATCHES, MATCHES)
def test_an_ambiguity_comes_with_an_event_that_fits_both(first: Document, second: Document) -> None:
    one, other = (MatchDocument.model_validate(match).build() for match in (first, second))
    for tie in ambiguities([Named("one", one), Named("other", other)]):
        assert one.matches(tie.event)
        assert other.matches(tie.event)
        assert specificity(first) == specificity(second)
