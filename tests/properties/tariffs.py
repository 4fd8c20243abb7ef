"""Random tariffs and usage in the shape people write, and a second opinion on what they cost.

`amount_so_far` is written from semantics section 2 alone, as plainly as possible, and shares no
code with the engine: decimals are read by `Fraction`, tiers are walked one by one.
"""

from fractions import Fraction
from math import floor
from typing import Any

from hypothesis import strategies as st

from engine.rating.usage import KINDS, MONEY_KINDS

Document = dict[str, Any]

COUNTED_KINDS = tuple(kind for kind in KINDS if kind not in MONEY_KINDS)
PER = (1, 2, 3, 7, 1000, 999_983, 1_000_000)


def decimals(limit: int = 1000, places: int = 12) -> st.SearchStrategy[str]:
    """Return decimals from 0 to a limit with some places, as texts."""

    def write(digits: int, shift: int) -> str:
        whole, rest = divmod(digits, 10**shift)
        return f"{whole}.{rest:0{shift}d}" if shift else str(whole)

    return st.integers(0, places).flatmap(
        lambda shift: st.integers(0, limit * 10**shift).map(lambda digits: write(digits, shift))
    )


def graduated_prices() -> st.SearchStrategy[Document]:
    """Return graduated prices with fees, odd fractions and up to four tiers."""
    bounds = st.sets(st.integers(1, 60), max_size=3).map(sorted)
    return bounds.flatmap(
        lambda found: st.fixed_dictionaries(
            {
                "model": st.just("graduated"),
                "per": st.sampled_from(PER),
                "tiers": st.tuples(*(_tier(bound) for bound in (*found, None))).map(list),
            }
        )
    )


def _tier(bound: int | None) -> st.SearchStrategy[Document]:
    required: dict[str, st.SearchStrategy[Any]] = {"unit_price": decimals()}
    if bound is not None:
        required["up_to"] = st.just(bound)
    return st.fixed_dictionaries(required, optional={"flat_fee": decimals()})


def unit_prices() -> st.SearchStrategy[Document]:
    """Return unit prices."""
    return st.fixed_dictionaries(
        {"model": st.just("unit"), "unit_price": decimals(), "per": st.sampled_from(PER)}
    )


PRICES = st.one_of(graduated_prices(), unit_prices())

TEXT_PATTERNS = st.one_of(
    st.sampled_from(["gpt-4o", "gpt-5", "openai", "azure", "chat", "batch", "*", "gpt-*", "?*o"]),
    st.lists(st.sampled_from(["gpt-4o", "gpt-5", "openai", "chat", "batch"]), min_size=1),
)
MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "model": TEXT_PATTERNS,
        "provider": TEXT_PATTERNS,
        "operation": TEXT_PATTERNS,
        "service_tier": TEXT_PATTERNS,
        "context_above": st.integers(0, 50),
    },
)
WEIGHTS = decimals(limit=9, places=12).filter(lambda text: Fraction(text) > 0)
KIND_NAMES = st.sampled_from([*COUNTED_KINDS[:6], "request", "unexplained", "*"])
COMPONENT_KINDS = st.one_of(
    st.lists(KIND_NAMES, min_size=1, max_size=3, unique=True),
    st.dictionaries(KIND_NAMES, WEIGHTS, min_size=1, max_size=3),
)


def components(number: int) -> st.SearchStrategy[Document]:
    """Return components with the id of this number."""
    return st.fixed_dictionaries(
        {"id": st.just(f"component-{number}"), "kinds": COMPONENT_KINDS, "price": PRICES},
        optional={
            "match": MATCHES,
            "scope": st.sampled_from(["account", "subject", "model"]),
            "period": st.sampled_from(
                ["event", "day", "calendar_month", "billing_period", "lifetime"]
            ),
        },
    )


def tariff_documents() -> st.SearchStrategy[Document]:
    """Return documents of the right shape; a few of them contradict themselves."""
    return st.integers(1, 4).flatmap(
        lambda count: st.fixed_dictionaries(
            {
                "tariff_id": st.just("plan"),
                "version": st.integers(1, 9),
                "effective_from": st.sampled_from(
                    ["2026-01-01T00:00:00Z", "2026-10-31T23:30:00.000001+00:30"]
                ),
                "currency": st.sampled_from(["USD", "JPY", "KWD"]),
                "components": st.tuples(*(components(number) for number in range(count))).map(list),
            },
            optional={
                "effective_to": st.just("2026-11-20T00:00:00Z"),
                "rounding": st.sampled_from(["half_up", "half_even", "up", "down"]),
                "time_zone": st.just("UTC"),
                "fallback": st.dictionaries(
                    st.sampled_from(COUNTED_KINDS[:6]),
                    st.sampled_from(COUNTED_KINDS[:6]),
                    max_size=3,
                ),
            },
        )
    )


def amount_so_far(price: Document, units: Fraction) -> Fraction:
    """Return A(units) of a price document, exact and not floored."""
    if units == 0:
        return Fraction(0)
    tiers = price["tiers"] if price["model"] == "graduated" else [price]
    total, lower = Fraction(0), Fraction(0)
    for tier in tiers:
        if units <= lower and lower > 0:
            break
        upper = Fraction(tier["up_to"]) if "up_to" in tier else units
        total += Fraction(tier.get("flat_fee", "0"))
        total += (min(units, upper) - lower) * Fraction(tier["unit_price"]) / price["per"]
        lower = upper
    return total


def floored_pico(amount: Fraction) -> int:
    """Return an amount floored to pico, as a whole."""
    return floor(amount * 10**12)
