"""The language of tariffs by rules revision: what a document says that earlier readers can not read.

Revisions 1 and 2 know unit and graduated prices, matching by model, provider, operation, service
tier and context. Everything else of the language needs revision 3 at its place in the `tariffs`
topic, so that a worker of before has stopped at the rules record when such a document comes.
"""

from engine.rating.component import Component
from engine.rating.errors import InvalidDocument
from engine.rating.pattern import ANY
from engine.rating.price import Price
from engine.rating.rules import FIRST_REVISION, TARIFF_LANGUAGE
from engine.rating.tariff import TariffVersion

_FIRST_MODELS = ("unit", "graduated")


def required_revision(version: TariffVersion) -> int:
    """Return the lowest rules revision that knows everything a version says."""
    if version.promotions or version.is_of_supplier:
        return TARIFF_LANGUAGE
    if all(_was_always_known(component) for component in version.components):
        return FIRST_REVISION
    return TARIFF_LANGUAGE


def require_language(version: TariffVersion, adopted: int) -> None:
    """Refuse a version that says more than the adopted rules revision knows. InvalidDocument."""
    required = required_revision(version)
    if required > adopted:
        raise InvalidDocument(
            f"tariff {version.tariff_id} version {version.version}",
            f"language of rules revision {required}",
            f"revision {adopted}, which counts; or `tollbook rules adopt {required}` once every "
            "worker is upgraded",
        )


def require_exchange_rates(adopted: int) -> None:
    """Refuse exchange rates where the adopted rules revision does not know them. InvalidDocument."""
    if adopted < TARIFF_LANGUAGE:
        raise InvalidDocument(
            "exchange rate, rules revision",
            adopted,
            f"{TARIFF_LANGUAGE}: `tollbook rules adopt {TARIFF_LANGUAGE}` once every worker is upgraded",
        )


def _was_always_known(component: Component) -> bool:
    match = component.match
    patterns = (match.account, match.subject, match.region, match.initiator)
    return (
        _is_first_price(component.price)
        and all(pattern == ANY for pattern in patterns)
        and not match.attributes
        and match.windows is None
        and not component.model_weights
        and not component.allowance
        and not component.markup_percent
        and component.maximum is None
        and component.minimum is None
    )


def _is_first_price(price: Price) -> bool:
    increments = (price.increment, *(tier.increment for tier in price.tiers))
    return price.model in _FIRST_MODELS and not any(increments)
