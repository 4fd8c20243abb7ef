"""`tollbook tariff diff`: what differs between two versions, and what it does to given usage."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.entrypoints.checking import read_version
from engine.entrypoints.cli.common import AsJson, Bootstrap, print_json, print_rows, say
from engine.entrypoints.cli.tariff_compare import (
    GROUPS,
    rate_on,
    reader_of,
    tally_json,
    unpriced_sentences,
    usage_extent,
)
from engine.entrypoints.cli.tariff_sources import (
    ExchangeRates,
    Supplier,
    TariffSource,
    read_exchange_rates,
)
from engine.entrypoints.comparing import Plan, PlanCost, amounts_by, check_comparable
from engine.entrypoints.differing import PartChange, differences
from engine.entrypoints.price_changes import FieldChange, format_percent, percent_above
from engine.rating.money import format_pico

EFFECT = (*GROUPS, "old", "new", "difference", "percent")


def diff(
    old: Annotated[str, typer.Argument(help="A file, or a published version such as plan@3.")],
    new: Annotated[str, typer.Argument(help="What it is compared with, named likewise.")],
    usage: Annotated[
        Path | None, typer.Option(help="Show the effect on this usage, JSON lines; - is stdin.")
    ] = None,
    supplier: Supplier = None,
    exchange_rates: ExchangeRates = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show what differs between two tariff versions: components, fields, prices in percent.

    Prices by tier are compared for each stretch of units that has one old and one new price. With
    --usage, the usage is rated on both as if each had always been in force, minimums included.

    Example: tollbook tariff diff business@2 business.yaml --usage october.jsonl

    Exit codes: 0 compared, also if nothing differs; 1 a file breaks a rule.
    """
    source = TariffSource(bootstrap)
    suppliers = tuple(read_version(path) for path in supplier or ())
    rates = tuple(read_exchange_rates(exchange_rates))
    plans = [Plan(name, (source.version(name),), suppliers, rates) for name in (old, new)]
    found = differences(plans[0].versions[0], plans[1].versions[0])
    costs = None if usage is None else _costs(plans, usage)
    if as_json:
        report: dict[str, Any] = {"changes": [_part_json(part) for part in found]}
        if costs is not None:
            report["effect"] = _effect_json(costs)
        print_json(report)
        return
    _print_changes(found)
    if costs is not None:
        _print_effect(costs)


def _costs(plans: Sequence[Plan], usage: Path) -> list[PlanCost]:
    check_comparable(plans)
    lines = reader_of(usage)
    return rate_on(plans, lines, usage_extent(lines, usage))


def _part_json(part: PartChange) -> dict[str, Any]:
    fields = [
        {**change._asdict(), "percent": None if change.percent is None else _percent(change)}
        for change in part.fields
    ]
    return {"part": part.part, "name": part.name, "what": part.what, "fields": fields}


def _percent(change: FieldChange) -> str:
    return "" if change.percent is None else format_percent(change.percent)


def _print_changes(found: Sequence[PartChange]) -> None:
    if not found:
        say("nothing differs")
        return
    rows = [
        {
            "part": f"{part.part} {part.name}",
            "what": part.what,
            "field": change.field,
            "old": _text(change.old),
            "new": _text(change.new),
            "percent": _percent(change),
        }
        for part in found
        for change in part.fields
    ]
    print_rows(tuple(rows[0]), rows, as_json=False, numbers="percent")


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _effect(costs: Sequence[PlanCost]) -> Iterator[dict[str, str]]:
    """Yield old, new, difference and percent by month and component, and of all at the end."""
    olds, news = (dict(amounts_by(cost.tally, GROUPS)) for cost in costs)
    for key in sorted(olds.keys() | news.keys()):
        yield {**dict(zip(GROUPS, key, strict=True)), **_pair(olds.get(key, 0), news.get(key, 0))}
    yield {"month": "all", "component": "all", **_pair(costs[0].total, costs[1].total)}


def _pair(old: int, new: int) -> dict[str, str]:
    percent = percent_above(new, old)
    return {
        "old": format_pico(old),
        "new": format_pico(new),
        "difference": format_pico(new - old),
        "percent": "" if percent is None else format_percent(percent),
    }


def _effect_json(costs: Sequence[PlanCost]) -> dict[str, Any]:
    old, new = (tally_json(cost.tally) for cost in costs)
    return {
        "currency": costs[0].currency,
        "amounts": [row | {"percent": row["percent"] or None} for row in _effect(costs)],
        "old": old,
        "new": new,
    }


def _print_effect(costs: Sequence[PlanCost]) -> None:
    typer.echo("")
    print_rows(EFFECT, _effect(costs), as_json=False, numbers="old new difference percent")
    for cost in costs:
        for sentence in unpriced_sentences(cost.tally):
            say(f"{cost.plan.name}: {sentence}")
