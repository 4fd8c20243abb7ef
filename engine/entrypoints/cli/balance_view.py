"""A balance as people read it: tables with bars; and, when it is watched, what goes on around it."""

from collections.abc import Iterator
from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from engine.entrypoints.watching import Spend, Spending, Watched
from engine.rating.balance import Balance, BucketState
from engine.rating.charge import MONEY_CHARGES, Drawdown
from engine.rating.grant import MONEY
from engine.rating.limit import SPEND
from engine.rating.money import PICO, format_pico
from engine.rating.period import format_instant
from engine.rating.prepaid import BURN_HOURS

_BAR_WIDTH = 16
_MINUTES = len("2026-11-24T09:15")


def balance_picture(found: Balance) -> RenderableType:
    """Return a balance: what is due by month, buckets, limits, and in what state it is."""
    parts: list[RenderableType] = [_months(found), Text(_caption(found)), *_states(found)]
    if found.buckets:
        parts.append(_buckets(found))
    if found.limits:
        parts.append(_limits(found))
    return Group(*parts)


def watched_picture(watched: Watched) -> RenderableType:
    """Return a balance, and beside it who has spent what, the last charges and alerts."""
    parts = [balance_picture(watched.balance)]
    if watched.period:
        parts.append(
            Columns(
                [
                    _spending(f"{watched.period} by subject", "subject", watched.by_subject),
                    _spending(f"{watched.period} by model", "model", watched.by_model),
                ]
            )
        )
    if watched.alerts:
        parts.append(_alerts(watched))
    if watched.charges:
        parts.append(_charges(watched))
    return Group(*parts)


def _table(title: str, *columns: str, right: str = "") -> Table:
    """Return a table without borders: several of them have to fit on one screen."""
    table = Table(
        title=f"\n{title}",
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=None,
        pad_edge=False,
    )
    for column in columns:
        justify: Any = "right" if column in right.split(",") else "left"
        table.add_column(column, justify=justify, overflow="fold")
    return table


def _months(found: Balance) -> Table:
    title = f"{found.account_id} ({found.currency or 'not open'})"
    table = Table(title=title, title_justify="left")
    table.add_column("month")
    table.add_column("charges", justify="right")
    table.add_column("amount", justify="right")
    for label, spend in found.periods:
        table.add_row(label, f"{spend.charges:,}", format_pico(spend.amount))
    table.add_section()
    table.add_row("due", f"{found.charges:,}", format_pico(found.due))
    return table


def _caption(found: Balance) -> str:
    parts = [f"as of {format_instant(found.as_of)}", f"sequence {found.sequence}"]
    if found.tariff_id:
        parts.append(f"tariff {found.tariff_id}")
    if found.suspended_lines:
        parts.append(f"{found.suspended_lines} lines in suspense")
    return ", ".join(parts)


def _states(found: Balance) -> Iterator[Text]:
    if found.exhausted:
        yield Text("exhausted: nothing remains in any open bucket", style="bold red")
    if found.limited:
        yield Text("limited: a limit of the account is reached", style="bold red")
    if found.limited_subjects:
        names = ", ".join(found.limited_subjects)
        yield Text(f"limited subjects: {names}", style="bold red")


def _buckets(found: Balance) -> Table:
    columns = ("bucket", "", "remains", "granted", "per hour", "runs out", "ends")
    table = _table("buckets", *columns, right="remains,granted,per hour")
    for bucket in found.buckets:
        unit = found.currency if bucket.unit == MONEY else bucket.unit
        table.add_row(
            Text(bucket.bucket_id),
            _bar(bucket.remaining, bucket.granted),
            f"{_number(bucket.remaining)} {unit}",
            _number(bucket.granted),
            _per_hour(bucket),
            _minute(bucket.runs_out_at),
            _minute(bucket.valid_to),
        )
    return table


def _per_hour(bucket: BucketState) -> str:
    """Return the pace, to a hundredth if it is above one."""
    pace = bucket.burn // BURN_HOURS
    if pace > PICO:
        pace -= pace % (PICO // 100)
    return _number(pace) if pace else ""


def _number(pico: int) -> str:
    """Return pico as a decimal whose thousands are set apart."""
    whole, point, fraction = format_pico(pico).partition(".")
    sign = "-" if whole.startswith("-") else ""
    return f"{sign}{int(whole.lstrip('-')):,}{point}{fraction}"


def _limits(found: Balance) -> Table:
    columns = ("limit", "whose", "period", "", "used", "of", "until")
    table = _table("limits", *columns, right="used,of")
    for limit in found.limits:
        unit = found.currency if limit.measure == SPEND else limit.measure
        table.add_row(
            Text(limit.limit_id, style="bold red" if limit.reached else ""),
            Text(limit.subject or "the account"),
            limit.period,
            _bar(limit.used, limit.amount),
            f"{_number(limit.used)} {unit}",
            _number(limit.amount),
            _minute(limit.resets_at),
        )
    if found.limits_left_out:
        table.caption = f"{found.limits_left_out:,} subjects that have used less are not shown"
    return table


def _bar(part: int, whole: int) -> ProgressBar:
    percent = max(0, min(100, part * 100 // whole)) if whole else 0
    return ProgressBar(total=100, completed=percent, width=_BAR_WIDTH)


def _minute(at: int | None) -> str:
    return "" if at is None else format_instant(at)[:_MINUTES] + "Z"


def _spending(title: str, name: str, spending: Spending) -> Table:
    table = _table(title, name, "charges", "tokens", "amount", right="charges,tokens,amount")
    for spend in spending.greatest:
        table.add_row(*_spend(spend._replace(name=spend.name or "(none)")))
    if spending.others is not None:
        table.add_row(*_spend(spending.others))
    return table


def _spend(spend: Spend) -> tuple[Text, str, str, str]:
    return Text(spend.name), f"{spend.charges:,}", f"{spend.tokens:,}", _number(spend.amount)


def _charges(watched: Watched) -> Table:
    columns = ("used at", "kind", "subject", "model", "amount", "moved")
    table = _table("last charges", *columns, right="amount")
    for charge in watched.charges:
        table.add_row(
            _minute(charge.occurred_at),
            charge.kind,
            Text(charge.subject),
            Text(charge.model),
            _number(charge.amount) if charge.kind in MONEY_CHARGES else "",
            Text(", ".join(map(_moved, charge.drawdowns))),
        )
    return table


def _moved(drawdown: Drawdown) -> str:
    """Return what becomes of a bucket: +100 filled or given back, -100 drawn."""
    if drawdown.units:
        return f"{'+' if drawdown.units < 0 else ''}{_number(-drawdown.units)} {drawdown.bucket}"
    gone = ((drawdown.expired, "expired"), (drawdown.rolled, "rolled over"))
    told = [f"{_number(units)} {word}" for units, word in gone if units]
    return f"{drawdown.bucket} closed{''.join(f', {text}' for text in told)}"


def _alerts(watched: Watched) -> Table:
    table = _table("alerts", "at", "code", "what")
    for alert in watched.alerts:
        table.add_row(_minute(alert.occurred_at), alert.code, Text(alert.explanation))
    return table
