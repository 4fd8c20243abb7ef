"""Prices of what is no token: seconds, characters, pages, images, searches, calls.

A kind of usage counts once for each call, and the list may have several prices for it: of input and
output, of audio and video, of resolutions. Equal prices are one. A side that is free adds nothing.
Media and resolutions are told apart by an attribute of the usage. In a call that makes images, the
images are the ones it made. What is left contradicts itself and is named as not expressed.
"""

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from engine.adapters.price_list.entry import ANY_CONTEXT, NO_ATTRIBUTE, Listed, PriceKey
from engine.adapters.price_list.numbers import quote, read_number, read_price

_INPUT, _OUTPUT = "input", "output"
_UNITS = {
    "cost_per_second": ("millisecond", "", ""),
    "input_cost_per_second": ("millisecond", _INPUT, ""),
    "output_cost_per_second": ("millisecond", _OUTPUT, ""),
    "input_cost_per_audio_per_second": ("millisecond", _INPUT, "audio"),
    "input_cost_per_video_per_second": ("millisecond", _INPUT, "video"),
    "output_cost_per_video_per_second": ("millisecond", _OUTPUT, "video"),
    "input_cost_per_character": ("character", _INPUT, ""),
    "output_cost_per_character": ("character", _OUTPUT, ""),
    "input_cost_per_image": ("image", _INPUT, ""),
    "output_cost_per_image": ("image", _OUTPUT, ""),
    "input_cost_per_pixel": ("image", "", ""),
    "output_cost_per_pixel": ("image", "", ""),
    "ocr_cost_per_page": ("page", "", ""),
    "annotation_cost_per_page": ("page", "", ""),
    "input_cost_per_query": ("search", "", ""),
    "google_maps_grounding_cost_per_query": ("search", "", "google_maps"),
    "input_cost_per_request": ("request", "", ""),
    "code_interpreter_cost_per_session": ("request", "", ""),
}
"""Kind, side and medium of each field."""

_FIELD = re.compile(
    rf"({'|'.join(_UNITS)})(?:_above_([1-9][0-9]{{0,8}})k_tokens|_([0-9][0-9.]*[A-Za-z]?))?"
)
_SIZE = re.compile(r"(?:^|/)([1-9][0-9]{1,4})-x-([1-9][0-9]{1,4})/")
_SEARCHES = "search_context_cost_per_query"
_SIZES = ("low", "medium", "high")
_MAKES_IMAGES = ("image_generation", "image_edit")
_MEDIUM = {"millisecond": "modality", "search": "search_tool"}
_ONE_COUNT = "several prices of one kind, which counts once for each call"
_GENERATED = "a call counts the images that it makes; the price of images it is given has no kind"
_NO_SIZE = "priced per pixel, and the name does not say how many pixels an image has"


class _Claim(NamedTuple):
    """A field's price, and what it is for."""

    field: str
    key: PriceKey
    price: Fraction
    side: str = ""
    medium: str = ""


def is_unit_field(field: str) -> bool:
    """Say whether a field is a price that this module reads."""
    return field == _SEARCHES or _FIELD.fullmatch(field) is not None


def read_units(
    key: str, provider: str, mode: object, fields: Mapping[str, Any], refused: dict[str, str]
) -> Listed:
    """Return the prices of these fields; names those in `refused` that no tariff can hold."""
    claims = []
    for field, value in fields.items():
        try:
            if field == _SEARCHES:
                claims += _searches(provider, value)
            else:
                claims.append(_claim(key, field, value))
        except ValueError as error:
            refused[field] = str(error)
    listed: Listed = {}
    for price_key in dict.fromkeys(claim.key for claim in claims):
        own = [claim for claim in claims if claim.key == price_key]
        listed.update(_settle(price_key, own, mode, refused))
    return listed


def _claim(model: str, field: str, value: Any) -> _Claim:
    found = _FIELD.fullmatch(field)
    assert found is not None, field  # noqa: S101 - the caller sorted the fields
    kind, side, medium = _UNITS[found[1]]
    price_key = PriceKey(
        kind,
        above=int(found[2]) * 1000 if found[2] else ANY_CONTEXT,
        attribute=("resolution", found[3]) if found[3] else NO_ATTRIBUTE,
        operation="annotation" if found[1].startswith("annotation") else "",
    )
    if "pixel" in field:
        return _Claim(field, price_key, _of_pixels(model, value))
    return _Claim(field, price_key, read_price(value, kind), side, medium)


def _of_pixels(model: str, value: Any) -> Fraction:
    """Return the price of an image whose size is in the model's name."""
    size = _SIZE.search(model)
    if size is None:
        raise ValueError(_NO_SIZE)
    price = read_number(value) * int(size[1]) * int(size[2])
    quote(price, "image")
    return price


def _searches(provider: str, value: Any) -> list[_Claim]:
    """Return the price of a search in a context of each size; the usual size needs no attribute."""
    if not isinstance(value, dict):
        return [_Claim(_SEARCHES, PriceKey("search"), read_price(value, "search"))]
    prices = {}
    for name, price in value.items():
        size = name.removeprefix("search_context_size_")
        if size not in _SIZES:
            raise ValueError(f"the field {name} in it is not known")
        prices[size] = read_price(price, "search")
    usual = "low" if provider == "perplexity" else "medium"
    claims = [_Claim(_SEARCHES, PriceKey("search"), prices[usual])] if usual in prices else []
    for size, price in prices.items():
        if price != prices.get(usual):
            attribute = ("search_context_size", size)
            claims.append(_Claim(_SEARCHES, PriceKey("search", attribute=attribute), price))
    return claims


def _settle(
    key: PriceKey, claims: Sequence[_Claim], mode: object, refused: dict[str, str]
) -> Listed:
    """Return the price that several fields have for one key, or the prices that tell media apart."""
    by_medium: dict[str, set[Fraction]] = {}
    for claim in claims:
        by_medium.setdefault(claim.medium, set()).add(claim.price)
    prices = {medium: _one_price(found) for medium, found in by_medium.items()}
    (first, *others) = set(prices.values())
    if first is not None and not others:
        return {key: first}
    if key.kind == "image" and mode in _MAKES_IMAGES:
        made = [claim for claim in claims if claim.side != _INPUT]
        refused.update((claim.field, _GENERATED) for claim in claims if claim not in made)
        return _settle(key, made, None, refused)
    if None in prices.values():
        refused.update((claim.field, _ONE_COUNT) for claim in claims)
        return {}
    name = _MEDIUM[key.kind]
    return {
        key._replace(attribute=(name, medium)) if medium else key: price
        for medium, price in prices.items()
        if price is not None
    }


def _one_price(prices: set[Fraction]) -> Fraction | None:
    """Return the price that is left when free sides add nothing; None if several are left."""
    charged = prices - {Fraction(0)}
    if len(charged) > 1:
        return None
    return max(charged, default=Fraction(0))
