"""`tollbook tariff compare`: the same usage on several plans, cheapest first."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.entrypoints.checking import read_version
from engine.entrypoints.cli.common import (
    EXIT_REJECTED,
    AsJson,
    Bootstrap,
    print_json,
    print_rows,
    progress_bar,
    read_lines,
    say,
)
from engine.entrypoints.cli.tariff_sources import (
    ExchangeRates,
    Supplier,
    TariffSource,
    read_exchange_rates,
)
from engine.entrypoints.comparing import (
    Extent,
    Lines,
    Plan,
    PlanCost,
    amounts_by,
    cheapest_first,
    check_comparable,
    cost_of,
    extent_of,
)
from engine.entrypoints.price_changes import format_percent, percent_above
from engine.entrypoints.tallying import OUTCOMES, Tally
from engine.rating.errors import InvalidDocument
from engine.rating.money import format_pico
from engine.settings import worker_settings

GROUPS = ("month", "component")


def compare(
    tariffs: Annotated[
        list[str],
        typer.Argument(
            metavar="TARIFF",
            help="Plans: a file, versions of one tariff as FILE,FILE, or a published tariff.",
        ),
    ],
    usage: Annotated[Path, typer.Option(help="Usage events, JSON lines; - is stdin.")],
    by: Annotated[
        str, typer.Option(help="Break each plan's total down by these: month, component.")
    ] = "month,component",
    supplier: Supplier = None,
    exchange_rates: ExchangeRates = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Rate the same usage on several plans, without charging anyone; cheapest first.

    Every account of the usage is on each plan from its first use on. A plan of one version is taken
    as if it had always been in force; several versions keep their dates. Minimums of every month up
    to the last use are included. A plan that leaves usage unpriced comes last: its total is not
    comparable.

    Example: tollbook tariff compare --usage october.jsonl business.yaml flat.yaml list-prices

    Exit codes: 0 compared; 1 a file breaks a rule, or plans are in different currencies; 4 some
    usage was rejected or left unpriced.
    """
    fields = _fields(by)
    source = TariffSource(bootstrap)
    suppliers = tuple(read_version(path) for path in supplier or ())
    rates = tuple(read_exchange_rates(exchange_rates))
    plans = [
        source.plan(name)._replace(suppliers=suppliers, exchange_rates=rates)
        for name in dict.fromkeys(tariffs)
    ]
    check_comparable(plans)
    lines = reader_of(usage)
    costs = cheapest_first(rate_on(plans, lines, usage_extent(lines, usage)))
    if as_json:
        print_json({"plans": [_plan_json(cost, costs[0], fields) for cost in costs]})
    else:
        _print_plans(costs, fields)
    if any(cost.tally.unpriced for cost in costs):
        raise typer.Exit(EXIT_REJECTED)


def _fields(by: str) -> tuple[str, ...]:
    fields = tuple(name.strip() for name in by.split(","))
    if not set(fields) <= set(GROUPS) or len(set(fields)) < len(fields):
        raise InvalidDocument("--by", by, f"some of {', '.join(GROUPS)}, separated by commas")
    return fields


def reader_of(usage: Path) -> Lines:
    """Return what reads usage as often as it is called; stdin is kept, because it comes once."""
    if str(usage) != "-":
        return lambda: read_lines(usage)
    kept = list(read_lines(usage))
    return lambda: kept


def usage_extent(lines: Lines, usage: Path) -> Extent:
    """Return the extent of usage; InvalidDocument if there is none."""
    extent = extent_of(lines)
    if not extent.first_uses:
        raise InvalidDocument(str(usage), f"{extent.lines} lines", "at least one usage event")
    return extent


def rate_on(plans: Sequence[Plan], lines: Lines, extent: Extent) -> list[PlanCost]:
    """Rate usage on each plan, with a progress bar."""
    allowed = worker_settings().allowed_attributes
    with progress_bar("rating", extent.lines * len(plans)) as progress:
        return [cost_of(plan, lines, extent, allowed, progress) for plan in plans]


def _plan_json(cost: PlanCost, cheapest: PlanCost, fields: Sequence[str]) -> dict[str, Any]:
    return {
        "plan": cost.plan.name,
        "tariff_id": cost.plan.versions[0].tariff_id,
        "versions": [version.version for version in cost.plan.versions],
        "currency": cost.currency,
        "total": format_pico(cost.total),
        "percent_above_cheapest": _above(cost, cheapest),
        "comparable": not cost.unpriced,
        **tally_json(cost.tally),
        "amounts": [
            dict(zip(fields, key, strict=True)) | {"amount": format_pico(amount)}
            for key, amount in amounts_by(cost.tally, fields)
        ],
    }


def tally_json(tally: Tally) -> dict[str, Any]:
    """Return the counts of a tally as JSON: events by outcome, lines in suspense, codes."""
    return {
        "events": {name: tally.events[name] for name in OUTCOMES},
        "suspense": [
            {**unpriced._asdict(), "lines": count}
            for unpriced, count in sorted(tally.suspense.items())
        ],
        "rejections": dict(sorted(tally.rejections.items())),
    }


def _above(cost: PlanCost, cheapest: PlanCost) -> str | None:
    if cost.unpriced or cheapest.unpriced:
        return None
    percent = percent_above(cost.total, cheapest.total)
    return None if percent is None else format_percent(percent)


def _print_plans(costs: Sequence[PlanCost], fields: Sequence[str]) -> None:
    rows = [
        {
            "plan": cost.plan.name,
            "currency": cost.currency,
            "total": format_pico(cost.total),
            "above the cheapest": "not comparable"
            if cost.unpriced
            else ""
            if cost is costs[0]
            else f"{_above(cost, costs[0]) or '-'} %",
            "events unpriced": cost.unpriced,
        }
        for cost in costs
    ]
    print_rows(tuple(rows[0]), rows, as_json=False, numbers="total")
    typer.echo("")
    print_rows(("plan", *fields, "amount"), _parts(costs, fields), as_json=False, numbers="amount")
    for cost in costs:
        for sentence in unpriced_sentences(cost.tally):
            say(f"{cost.plan.name}: {sentence}")


def _parts(costs: Sequence[PlanCost], fields: Sequence[str]) -> Iterator[dict[str, str]]:
    for cost in costs:
        for key, amount in amounts_by(cost.tally, fields):
            parts = dict(zip(fields, key, strict=True))
            yield {"plan": cost.plan.name, **parts, "amount": format_pico(amount)}


def unpriced_sentences(tally: Tally) -> Iterator[str]:
    """Yield a sentence for each thing that a tariff does not price, and each code of rejection."""
    for (reason, kind, model), count in sorted(tally.suspense.items()):
        yield f"in suspense, {reason}: {kind} of {model or 'no model'} (lines: {count})"
    for code, count in sorted(tally.rejections.items()):
        yield f"rejected, {code} (events: {count})"
