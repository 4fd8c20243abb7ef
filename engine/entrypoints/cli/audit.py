"""`tollbook audit`: take one charge and derive it again from evidence."""

from typing import Annotated, Any

import typer

from engine.adapters.avro.charge import charge_fields
from engine.entrypoints.cli.common import (
    EXIT_REJECTED,
    AsJson,
    Bootstrap,
    not_found,
    print_json,
    progress_bar,
)
from engine.entrypoints.cli.evidence import FromArchive, opened_evidence
from engine.rating.amount import BOUND_TIER, Slice
from engine.rating.charge import SETTLEMENT, SUSPENSE, Charge, Line
from engine.rating.money import format_pico
from engine.rating.period import format_instant
from engine.rating.usage import identity_key
from engine.settings import worker_settings
from replay.explain import Explanation, explain_charge
from schemas.json_form import json_writer
from schemas.loader import latest

app = typer.Typer(help="Evidence for what was charged.", no_args_is_help=True)
_charge_json = json_writer(latest("charge_event").declared)


@app.callback()
def audit() -> None:
    """Evidence for what was charged."""


@app.command()
def explain(
    charge_id: Annotated[
        str, typer.Argument(help="The charge, or its usage event as ACCOUNT,SOURCE,EVENT.")
    ],
    archive: FromArchive = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Explain a charge: its evidence, the arithmetic line by line, and the event rated again.

    Example: tollbook audit explain 538d551749c6dc9c5174911188cbddc9

    Exit codes: 0 everything holds; 3 there is no such charge; 4 something differs.
    """
    if charge_id.count(",") == 2:  # noqa: PLR2004 - ACCOUNT,SOURCE,EVENT
        charge_id = identity_key(*charge_id.split(","))
    with (
        opened_evidence(bootstrap, archive) as (log, partitions),
        progress_bar("folding the journal", None) as progress,
    ):
        found = explain_charge(
            log, partitions, charge_id, worker_settings().allowed_attributes, progress
        )
    if found is None:
        raise not_found(f"charge {charge_id}: the journal does not hold it")
    if as_json:
        print_json(_json(found))
    else:
        typer.echo("\n".join(explanation_lines(found)))
    if not found.holds:
        raise typer.Exit(EXIT_REJECTED)


def _json(found: Explanation) -> dict[str, Any]:
    return {
        "charge": _charge_json(charge_fields(found.charge)),
        "journal": {
            "partition": found.partition,
            "commit": found.commit,
            "offset": found.journal_offset,
        },
        "findings": [finding._asdict() for finding in found.findings],
        "holds": found.holds,
    }


def explanation_lines(found: Explanation) -> list[str]:
    """Return an explanation as lines of text."""
    charge = found.charge
    place = charge.position
    caused = "caused by" if charge.kind == SETTLEMENT else "read from"
    lines = [
        f"charge {charge.charge_id}",
        f"  account {charge.account_id}, sequence {charge.sequence}, {charge.kind}",
        *_usage_lines(charge),
        f"  {caused} {place.topic}[{place.partition}] offset {place.offset} index {place.index}",
        f"  received {format_instant(charge.received_at)}",
    ]
    if charge.tariff is not None:
        tariff = charge.tariff
        lines.append(f"  tariff {tariff.tariff_id} version {tariff.version}, rules {charge.rules}")
    lines.append("")
    for line in charge.lines:
        lines += _line_lines(line, charge)
    lines += [
        "",
        f"  amount {format_pico(charge.amount)} {charge.currency}",
        f"  due after it {format_pico(charge.due)} {charge.currency}",
        *_supply_lines(charge),
        "",
    ]
    lines += [f"  {'ok ' if f.holds else 'NOT'} {f.statement}" for f in found.findings]
    return lines


def _usage_lines(charge: Charge) -> list[str]:
    if charge.kind == SETTLEMENT:
        return [f"  up to the minimum of service period {charge.service_period}"]
    return [
        f"  usage event {charge.event_id} of {charge.source}",
        f"  {charge.provider}/{charge.model} {charge.operation} {charge.service_tier}",
        f"  used {format_instant(charge.occurred_at)}, service period {charge.service_period}",
    ]


def _supply_lines(charge: Charge) -> list[str]:
    """Return how the supplier's cost came about, and what is left of the amount."""
    if charge.supplier is None:
        return []
    tariff, currency, cost, rate, rate_offset = charge.supplier
    name = f"tariff {tariff.tariff_id} version {tariff.version}"
    if cost is None:
        return [f"  supplier cost not known: {name} does not price every kind"]
    lines = [f"  supplier cost {format_pico(cost)} {currency} by {name}"]
    if charge.supplier_cost is None:
        return [*lines, f"    no exchange rate from {currency} to {charge.currency} was in force"]
    if rate:
        lines.append(
            f"    x {rate} (tariffs offset {rate_offset}) = {format_pico(charge.supplier_cost)} "
            f"{charge.currency}"
        )
    if charge.margin is not None:
        lines.append(f"  margin {format_pico(charge.margin)} {charge.currency}")
    return lines


def _line_lines(line: Line, charge: Charge) -> list[str]:
    if line.status == SUSPENSE:
        return [f"  {line.kind} {line.quantity:,}: in suspense, {line.reason}"]
    if charge.kind == SETTLEMENT:
        text = [
            f"  {line.kind} of {line.component}",
            f"    counter {line.counter}",
            f"    {format_pico(line.before)} units stand",
        ]
    else:
        text = [
            f"  {line.kind} {line.quantity:,} at {line.component}{_under(line.promotion)}",
            f"    counter {line.counter}",
            f"    {format_pico(line.before)} units before, {format_pico(line.metered)} more",
        ]
    text += [f"    {_slice_text(part)}" for part in line.slices]
    text += [
        f"    version {change.version}{_under(change.promotion)} moves up behind it: "
        f"{format_pico(change.amount)}"
        for change in line.repricings
    ]
    assert line.amount is not None  # noqa: S101 - only suspense has none
    return [*text, f"    = {format_pico(line.amount)} {charge.currency}"]


def _under(promotion: str) -> str:
    return f" under promotion {promotion}" if promotion else ""


def _slice_text(part: Slice) -> str:
    if part.tier == BOUND_TIER:
        if not part.flat_fee:
            return f"within minimum and maximum of the whole: {format_pico(part.amount)}"
        return f"at least {part.flat_fee} per event: {format_pico(part.amount)} more"
    per = f" / {part.per:,}" if part.per != 1 else ""
    fee = f" + {part.flat_fee} on entering the tier" if part.flat_fee else ""
    return (
        f"tier {part.tier}: {format_pico(part.quantity)} x {part.unit_price}{per}{fee} "
        f"= {format_pico(part.amount)}"
    )
