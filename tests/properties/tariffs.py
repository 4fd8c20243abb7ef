"""Random tariffs and usage in the shape people write: every feature of the language, small figures.

Bounds of tiers, thresholds, increments and allowances are small so that random usage crosses them;
prices have odd fractions so that every floor counts.
"""

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from engine.rating.usage import KINDS, MONEY_KINDS
from tests.properties.second_opinion import Document, amount_so_far, floored_pico

__all__ = ["Document", "amount_so_far", "floored_pico"]  # the second opinion, for who rates these

COUNTED_KINDS = tuple(kind for kind in KINDS if kind not in MONEY_KINDS)
PER = (1, 2, 3, 7, 1000, 999_983, 1_000_000)
Documents = st.SearchStrategy[Document]


def decimals(limit: int = 1000, places: int = 12) -> st.SearchStrategy[str]:
    """Return decimals from 0 to a limit with some places, as texts."""

    def write(digits: int, shift: int) -> str:
        whole, rest = divmod(digits, 10**shift)
        return f"{whole}.{rest:0{shift}d}" if shift else str(whole)

    return st.integers(0, places).flatmap(
        lambda shift: st.integers(0, limit * 10**shift).map(lambda digits: write(digits, shift))
    )


def _tiers(of: str, tier: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[list[Document]]:
    """Return up to four tiers that ascend; `of` names the price that each has."""

    def rows(bounds: list[int]) -> st.SearchStrategy[list[Document]]:
        return st.tuples(
            *(
                st.fixed_dictionaries(
                    {of: decimals(), **({} if bound is None else {"up_to": st.just(bound)})},
                    optional={"flat_fee": decimals(), **tier},
                )
                for bound in (*bounds, None)
            )
        ).map(list)

    return st.sets(st.integers(1, 60), max_size=3).map(sorted).flatmap(rows)


def graduated_prices() -> Documents:
    """Return graduated prices with fees, odd fractions and up to four tiers."""
    return st.fixed_dictionaries(
        {
            "model": st.just("graduated"),
            "per": st.sampled_from(PER),
            "tiers": _tiers("unit_price", {}),
        }
    )


def unit_prices() -> Documents:
    """Return unit prices."""
    return st.fixed_dictionaries(
        {"model": st.just("unit"), "unit_price": decimals(), "per": st.sampled_from(PER)}
    )


PRICES = st.one_of(graduated_prices(), unit_prices())
"""Prices of the first language."""

INCREMENTS: Documents = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {"increment": st.sampled_from([1, 2, 7, 10, 25])},
        optional={"increment_rounding": st.sampled_from(["up", "down"])},
    ),
)


def _with_increment(documents: Documents) -> Documents:
    return st.tuples(documents, INCREMENTS).map(lambda pair: {**pair[0], **pair[1]})


def _tiered(model: str) -> Documents:
    tiers = _tiers("unit_price", {}).flatmap(
        lambda rows: st.tuples(*(_with_increment(st.just(row)) for row in rows)).map(list)
    )
    return st.fixed_dictionaries(
        {"model": st.just(model), "tiers": tiers, "per": st.sampled_from(PER)}
    )


PACKAGES = st.fixed_dictionaries(
    {
        "model": st.just("package"),
        "package_size": st.sampled_from([1, 3, 10, 1000]),
        "package_price": decimals(),
    },
    optional={
        "free_units": st.integers(0, 30),
        "rounding": st.sampled_from(["up", "down"]),
    },
)
FLATS = st.fixed_dictionaries({"model": st.just("flat"), "amount": decimals()})
VOLUMES = _with_increment(_tiered("volume"))
COUNTED_PRICES = st.one_of(
    _with_increment(unit_prices()), _with_increment(_tiered("graduated")), PACKAGES, VOLUMES, FLATS
)
"""Prices of any units."""


def shares(*bases: str) -> Documents:
    """Return percentages of these bases."""
    of = st.sampled_from(bases)
    return st.one_of(
        st.fixed_dictionaries(
            {"model": st.just("percentage"), "rate_percent": decimals(200), "of": of}
        ),
        st.fixed_dictionaries(
            {
                "model": st.just("graduated_percentage"),
                "tiers": _tiers("rate_percent", {}),
                "of": of,
            }
        ),
    )


ALL_PRICES = st.one_of(COUNTED_PRICES, shares("quantity"))
"""Prices of all models; a share of quantity needs kinds of money."""

MODIFIERS = st.fixed_dictionaries(
    {},
    optional={
        "allowance": st.integers(0, 30),
        "markup_percent": st.sampled_from(["0", "20", "-100", "-12.5", "33.3333", "700"]),
        "maximum": decimals(40_000),
    },
)
PERIODS = ("event", "day", "calendar_month", "billing_period", "lifetime")
SCOPES = ("account", "subject", "model")

MODELS = ("gpt-4o", "gpt-5", "o3", "meta/llama")
TEXT_PATTERNS = st.one_of(
    st.sampled_from(["gpt-4o", "gpt-5", "openai", "azure", "chat", "batch", "*", "gpt-*", "?*o"]),
    st.lists(st.sampled_from(["gpt-4o", "gpt-5", "openai", "chat", "batch"]), min_size=1),
)
CLOCK = st.sampled_from(["00:00", "02:30", "03:00", "08:00", "16:30", "23:59"])
WINDOWS = st.fixed_dictionaries(
    {},
    optional={
        "hours": st.lists(st.builds("{}-{}".format, CLOCK, CLOCK), min_size=1, max_size=2),
        "weekdays": st.lists(
            st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), min_size=1
        ),
    },
)
MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "account": st.sampled_from(["acme", "acme*", "globex", ["acme", "globex"]]),
        "subject": st.sampled_from(["anna", "a*", "?en", ["anna", "ben"]]),
        "model": TEXT_PATTERNS,
        "provider": TEXT_PATTERNS,
        "operation": TEXT_PATTERNS,
        "service_tier": TEXT_PATTERNS,
        "region": st.sampled_from(["eu", "us-*", ["eu", "us-east"]]),
        "initiator": st.sampled_from(["agent", "*r", ["user", "tool"]]),
        "attributes": st.dictionaries(
            st.sampled_from(["team", "project"]),
            st.sampled_from(["red", "r*", "?", ["red", "blue"]]),
            min_size=1,
            max_size=2,
        ),
        "context_above": st.integers(0, 50),
        "time": st.one_of(WINDOWS, st.lists(WINDOWS, min_size=1, max_size=2)),
    },
)
WEIGHTS = decimals(limit=9, places=12).filter(lambda text: Fraction(text) > 0)
TOKENS = (*COUNTED_KINDS[:6], "audio_cache_read")
KIND_NAMES = st.sampled_from([*TOKENS, "request", "unexplained", "*"])
COMPONENT_KINDS = st.one_of(
    st.lists(KIND_NAMES, min_size=1, max_size=3, unique=True),
    st.dictionaries(KIND_NAMES, WEIGHTS, min_size=1, max_size=3),
)


def _model_weights(kinds: Any) -> st.SearchStrategy[Any]:
    names = ["gpt-4o", "gpt-*", "*4o", "*"]
    return st.dictionaries(
        st.sampled_from(names),
        st.dictionaries(st.sampled_from([*kinds]), WEIGHTS, min_size=1, max_size=2),
        max_size=2,
    )


def components(number: int) -> Documents:
    """Return components with the id of this number."""
    priced = st.one_of(
        COMPONENT_KINDS.flatmap(
            lambda kinds: st.fixed_dictionaries(
                {"kinds": st.just(kinds), "price": COUNTED_PRICES},
                optional={"weights": _model_weights(kinds)},
            )
        ),
        st.fixed_dictionaries(
            {"kinds": st.just(["pass_through_cost"]), "price": shares("quantity", "supplier_cost")}
        ),
    )
    settled = st.fixed_dictionaries(
        {"period": st.sampled_from(["event", "calendar_month"]), "minimum": decimals(10)}
    )
    counted = st.fixed_dictionaries({}, optional={"period": st.sampled_from(PERIODS)})
    rest = st.fixed_dictionaries(
        {"id": st.just(f"component-{number}")},
        optional={"match": MATCHES, "scope": st.sampled_from(SCOPES)},
    )
    return st.tuples(priced, MODIFIERS, st.one_of(counted, settled), rest).map(
        lambda parts: {key: value for part in parts for key, value in part.items()}
    )


def promotions(number: int) -> Documents:
    """Return promotions with the id of this number."""
    changed = st.one_of(
        st.fixed_dictionaries({"percent_off": st.sampled_from(["0", "12.5", "33.3333", "100"])}),
        st.fixed_dictionaries({"price": COUNTED_PRICES}),
    )
    counted = {"scope": st.sampled_from(SCOPES), "period": st.sampled_from(PERIODS)}
    first = st.one_of(
        st.fixed_dictionaries({"first_units": st.integers(1, 60)}, optional=counted),
        st.fixed_dictionaries({"first_events": st.integers(1, 3)}, optional=counted),
    )
    rest = st.fixed_dictionaries(
        {"id": st.just(f"promotion-{number}")},
        optional={
            "match": MATCHES,
            "kinds": st.lists(KIND_NAMES, min_size=1, max_size=3),
            "components": st.lists(st.just("component-0"), max_size=2),
            "valid_from": st.sampled_from(["2026-11-03T00:00:00Z", "2026-11-10T01:00:00+01:00"]),
            "valid_to": st.sampled_from(["2026-11-12T00:00:00Z", "2026-11-20T00:00:00.000001Z"]),
        },
    )
    return st.tuples(changed, st.one_of(st.just({}), first), rest).map(
        lambda parts: {key: value for part in parts for key, value in part.items()}
    )


def tariff_documents() -> Documents:
    """Return documents of the right shape; some of them contradict themselves."""
    return st.tuples(st.integers(1, 4), st.integers(0, 2)).flatmap(
        lambda counts: st.fixed_dictionaries(
            {
                "tariff_id": st.just("plan"),
                "version": st.integers(1, 9),
                "effective_from": st.sampled_from(
                    ["2026-01-01T00:00:00Z", "2026-10-31T23:30:00.000001+00:30"]
                ),
                "currency": st.sampled_from(["USD", "JPY", "KWD"]),
                "components": st.tuples(*map(components, range(counts[0]))).map(list),
            },
            optional={
                "effective_to": st.just("2026-11-20T00:00:00Z"),
                "rounding": st.sampled_from(["half_up", "half_even", "up", "down"]),
                "time_zone": st.just("UTC"),
                "fallback": st.dictionaries(
                    st.sampled_from(TOKENS),
                    st.sampled_from(TOKENS),
                    max_size=3,
                ),
                "promotions": st.tuples(*map(promotions, range(counts[1]))).map(list),
            },
        )
    )
