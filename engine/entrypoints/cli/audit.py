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
from engine.rating.charge import (
    ADJUSTMENT,
    CORRECTION,
    COVERED,
    EXPIRY,
    MONEY_CHARGES,
    SETTLEMENT,
    SUSPENSE,
    USAGE,
    Charge,
    Draw,
    Drawdown,
    Line,
)
from engine.rating.event import AlertRaised
from engine.rating.money import format_pico
from engine.rating.period import format_instant
from engine.rating.usage import identity_key
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
    """Explain a charge: its evidence, the arithmetic line by line, and its input decided again.

    Example: tollbook audit explain 538d551749c6dc9c5174911188cbddc9

    Exit codes: 0 everything holds; 3 there is no such charge; 4 something differs.
    """
    if charge_id.count(",") == 2:  # noqa: PLR2004 - ACCOUNT,SOURCE,EVENT
        charge_id = identity_key(*charge_id.split(","))
    with (
        opened_evidence(bootstrap, archive) as (log, partitions),
        progress_bar("folding the journal", None) as progress,
    ):
        found = explain_charge(log, partitions, charge_id, progress)
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
        "alerts": [alert._asdict() for alert in found.alerts],
        "findings": [finding._asdict() for finding in found.findings],
        "holds": found.holds,
    }


def explanation_lines(found: Explanation) -> list[str]:
    """Return an explanation as lines of text."""
    charge = found.charge
    place = charge.position
    caused = "read from" if charge.kind == USAGE else "caused by"
    lines = [
        f"charge {charge.charge_id}",
        f"  account {charge.account_id}, sequence {charge.sequence}, {charge.kind}",
        *_subject_lines(charge),
        f"  {caused} {place.topic}[{place.partition}] offset {place.offset} index {place.index}",
        f"  received {format_instant(charge.received_at)}",
    ]
    if charge.tariff is not None:
        tariff = charge.tariff
        lines.append(f"  tariff {tariff.tariff_id} version {tariff.version}, rules {charge.rules}")
    lines.append("")
    for line in charge.lines:
        lines += _line_lines(line, charge)
    lines += _bucket_lines(charge, dict(found.units))
    if charge.kind in MONEY_CHARGES:
        lines += ["", f"  amount {format_pico(charge.amount)} {charge.currency}"]
    lines += [
        f"  due after it {format_pico(charge.due)} {charge.currency}",
        *_supply_lines(charge),
        *_alert_lines(found),
        "",
    ]
    lines += [f"  {'ok ' if f.holds else 'NOT'} {f.statement}" for f in found.findings]
    return lines


def _subject_lines(charge: Charge) -> list[str]:
    """Return what a charge is about."""
    if charge.kind == SETTLEMENT:
        return [f"  up to the minimum of service period {charge.service_period}"]
    used = f"{format_instant(charge.occurred_at)}, service period {charge.service_period}"
    if charge.kind == ADJUSTMENT:
        good_for = [f"  makes good for charge {charge.corrects}"] if charge.corrects else []
        return [*good_for, f"  as of {used}"]
    if charge.kind not in MONEY_CHARGES:
        return [f"  as of {format_instant(charge.occurred_at)}"]
    lines = [f"  usage event {charge.event_id} of {charge.source}"]
    if charge.kind == CORRECTION:
        lines.append(f"  takes back charge {charge.corrects}")
    elif charge.corrects:
        lines.append(f"  stands in the place of charge {charge.corrects}")
    call = f"{charge.provider}/{charge.model} {charge.operation} {charge.service_tier}"
    return [*lines, f"  {call}", f"  used {used}"]


def _bucket_lines(charge: Charge, units: dict[str, str]) -> list[str]:
    """Return what a charge moves in each bucket."""
    return [
        f"  {_drawdown_text(charge.kind, d, units.get(d.bucket, 'units'))}"
        for d in charge.drawdowns
    ]


def _drawdown_text(kind: str, drawdown: Drawdown, unit: str) -> str:
    bucket, units, remaining, rolled, expired = drawdown
    if kind == EXPIRY:
        moved = "closed"
    elif kind in MONEY_CHARGES:
        moved = f"{format_pico(abs(units))} {unit} {'drawn' if units >= 0 else 'put back'}"
    else:
        moved = f"{format_pico(-units)} {unit} put in by a {kind}"
    parts = [moved]
    if rolled:
        parts.append(f"{format_pico(rolled)} {unit} roll over")
    if expired:
        parts.append(f"{format_pico(expired)} {unit} expire")
    return f"bucket {bucket}: {', '.join(parts)}; {format_pico(remaining)} {unit} remain"


def _alert_lines(found: Explanation) -> list[str]:
    return [
        f"  raises {alert.code}: {alert.explanation}"
        if isinstance(alert, AlertRaised)
        else f"  clears {alert.code} ({alert.key})"
        for alert in found.alerts
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
    draws = [f"    {_draw_text(draw, line, charge)}" for draw in line.draws]
    if line.status == SUSPENSE:
        covered = f"{line.covered:,} covered, the rest " if line.covered else ""
        return [f"  {line.kind} {line.quantity:,}: {covered}in suspense, {line.reason}", *draws]
    if line.status == COVERED:
        return [f"  {line.kind} {line.quantity:,}: covered by what is prepaid", *draws]
    text = _priced_lines(line, charge)
    text += [f"    {_slice_text(part)}" for part in line.slices]
    text += [
        f"    version {change.version}{_under(change.promotion)} moves up behind it: "
        f"{format_pico(change.amount)}"
        for change in line.repricings
    ]
    assert line.amount is not None  # noqa: S101 - only suspense has none
    return [*text, f"    = {format_pico(line.amount)} {charge.currency}", *draws]


def _priced_lines(line: Line, charge: Charge) -> list[str]:
    """Return what was counted, and where."""
    if charge.kind == ADJUSTMENT:
        return [f"  {line.kind}"]
    if charge.kind == SETTLEMENT:
        return [
            f"  {line.kind} of {line.component}",
            f"    counter {line.counter}",
            f"    {format_pico(line.before)} units stand",
        ]
    at = f" at {line.component}{_under(line.promotion)}" if line.component else ""
    covered = f", {abs(line.covered):,} of it covered by what is prepaid" if line.covered else ""
    was = f", {line.reason} until now" if line.reason else ""
    text = [f"  {line.kind} {line.quantity:,}{at}{covered}{was}"]
    if line.counter:
        more = f"{format_pico(abs(line.metered))} {'more' if line.metered >= 0 else 'less'}"
        text += [
            f"    counter {line.counter}",
            f"    {format_pico(line.before)} units before, {more}",
        ]
    return text


def _draw_text(draw: Draw, line: Line, charge: Charge) -> str:
    """Return what a bucket covers or pays of a line, or gets back."""
    units = format_pico(abs(draw.units))
    if draw.quantity:
        tokens = f"{abs(draw.quantity):,} {line.kind}"
        if draw.quantity > 0:
            return f"bucket {draw.bucket} covers {tokens} with {units} units"
        return f"bucket {draw.bucket} gets {units} units back for {tokens}"
    if draw.credited:
        back = f"{format_pico(draw.credited)} {charge.currency}"
        return f"{back} of bucket {draw.bucket}, which is closed, lower what is due"
    does = "pays" if draw.units >= 0 else "gets back"
    return f"bucket {draw.bucket} {does} {units} {charge.currency}"


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
