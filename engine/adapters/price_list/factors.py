"""Factors: an entry's token prices again, dearer in a region or when asked to be fast.

OpenAI prices a processing region by its name, Google every region but ``global``, Anthropic a
geography and a fast mode. The prices are written out times the factor, exactly; searches, images
and the like cost the same everywhere. The block of a provider's own may also have images that are
free in each call.
"""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from engine.adapters.price_list.entry import FAST, Listed, Variant
from engine.adapters.price_list.numbers import quote, read_number, read_whole

_OF_REGION = re.compile(r"regional_processing_uplift_multiplier_([a-z0-9-]{1,40})")
_OF_ANY_REGION = "regional_endpoint_uplift_multiplier"
_OF_PROVIDER = "provider_specific_entry"
_GLOBAL, _SOME_REGION = "global", "?*"
_FREE_IMAGES = "minimax_free_input_images"


def free_images(fields: Mapping[str, Any], refused: dict[str, str]) -> int:
    """Return how many images are free in each call."""
    entry = fields.get(_OF_PROVIDER)
    try:
        return read_whole(entry.get(_FREE_IMAGES, 0)) if isinstance(entry, dict) else 0
    except ValueError as error:
        refused[_OF_PROVIDER] = str(error)
        return 0


def is_factor(field: str) -> bool:
    """Say whether a field is read by this module."""
    return field in (_OF_ANY_REGION, _OF_PROVIDER) or _OF_REGION.fullmatch(field) is not None


def read_factors(
    fields: Mapping[str, Any], listed: Listed, refused: dict[str, str]
) -> tuple[Variant, ...]:
    """Return the variants of these token prices; names in `refused` what can not be read."""
    regions: dict[str, Fraction] = {}
    fast = Fraction(1)
    for field, value in fields.items():
        try:
            for name, factor in _factors(field, value).items():
                for key, price in listed.items():
                    quote(price * factor, key.kind)
                if name == FAST:
                    fast = factor
                else:
                    regions[name] = factor
        except ValueError as error:
            refused[field] = str(error)
    if _SOME_REGION in regions:
        regions[_GLOBAL] = Fraction(1)
    variants = [Variant(region, factor=factor) for region, factor in regions.items()]
    if fast != 1:
        variants.append(Variant(tier=FAST, factor=fast))
        variants += [Variant(name, FAST, fast * factor) for name, factor in regions.items()]
    return tuple(variants)


def _factors(field: str, value: Any) -> dict[str, Fraction]:
    """Return the factor of each region, or of FAST."""
    if field == _OF_ANY_REGION:
        return {_SOME_REGION: _factor(value)}
    region = _OF_REGION.fullmatch(field)
    if region is not None:
        return {region[1]: _factor(value)}
    if not isinstance(value, dict):
        raise ValueError("expected an object of factors")  # noqa: TRY004 - a finding
    return {name: _factor(item) for name, item in value.items() if name in (FAST, "us", "eu")}


def _factor(value: Any) -> Fraction:
    factor = read_number(value)
    if factor <= 0:
        raise ValueError("expected a factor above 0")
    return factor
