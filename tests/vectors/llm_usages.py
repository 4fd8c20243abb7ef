"""Tokens of a call, from the overlapping numbers that providers report to disjoint kinds."""

from collections.abc import Mapping
from fractions import Fraction

from engine.rating.charge import RATED, Charge
from engine.rating.money import PICO
from engine.rating.usage import CONTEXT_KINDS
from tests.vectors.llm_prices import DURATIONS, KINDS
from tests.vectors.records import Record, number, whole

_INSIDE = {
    "input": ("cache_read", "cache_write", "cache_write_1h", "audio_input", "image_input"),
    "output": ("reasoning_output", "audio_output", "image_output", "video_output"),
}
_ALSO = {"reasoning_output": "reasoning_tokens"}


def disjoint(price: Record, usage: Record) -> dict[str, int]:
    """Return the quantities of a call. Parts are inside their total, unless pools are disjoint."""
    if price.get("unit") in DURATIONS:
        return {"millisecond": whole(number(usage["duration_s"]) * 1000)}
    alone = {name.removesuffix("_alone"): value for name, value in usage.items()}
    found: dict[str, int] = {}
    for total, parts in _INSIDE.items():
        counts = {part: whole(number(_tokens(alone, part))) for part in parts}
        rest = whole(number(_tokens(alone, total)))
        if usage.get("pools") != "disjoint" and f"{total}_tokens" in alone:
            rest -= sum(counts.values())
        for name, tokens in (*counts.items(), (total, rest)):
            found[KINDS[name]] = found.get(KINDS[name], 0) + tokens
    return {kind: tokens for kind, tokens in found.items() if tokens}


def _tokens(usage: Mapping[str, object], name: str) -> object:
    return usage.get(f"{name}_tokens", usage.get(_ALSO.get(name, "")))


def cost(charge: Charge, name: str) -> Fraction:
    """Return what a charge says for an expected `input_cost`, `output_cost`, `total_cost`, ..."""
    assert all(line.status == RATED for line in charge.lines), charge.lines
    part = name.removesuffix("_cost")
    picos = [
        line.amount
        for line in charge.lines
        if line.amount is not None and _belongs(line.kind, part)
    ]
    return Fraction(sum(picos), PICO)


def _belongs(kind: str, part: str) -> bool:
    if part == "total":
        return True
    if part in ("input", "output"):
        return (kind in CONTEXT_KINDS) == (part == "input")
    if part == "cache_write":
        return kind.startswith("cache_write")
    return kind in (part, KINDS.get(part), KINDS.get(f"{part}_output"))


def is_cost(found: Fraction, expected: Fraction, charge: Charge) -> bool:
    """Say whether a cost is the expected one: exactly, but each line is floored to a pico."""
    if (expected * PICO).denominator == 1:
        return found == expected
    return 0 <= expected - found < Fraction(len(charge.lines), PICO)
