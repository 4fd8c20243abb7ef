"""`tollbook alerts`: what an operator should know, from the topic that the projector keeps."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape

from engine.adapters.avro.views import alert_fields
from engine.entrypoints.cli.common import (
    AsJson,
    Bootstrap,
    kafka,
    opened_log,
    partition_count,
    print_json,
    print_rows,
    say,
)
from engine.entrypoints.live import LiveAlerts
from engine.rating.alert import BUCKET_ALERT, LIMIT_ALERT, SUSPENSE_ALERT, Alert
from engine.rating.period import format_instant
from schemas.json_form import json_writer
from schemas.loader import latest

_POLL_SECONDS = 0.3
_COLUMNS = ("occurred_at", "account_id", "kind", "code", "explanation")
_alert_json = json_writer(latest("alert").declared)


class Kind(StrEnum):
    """What an alert is about."""

    BUCKET = BUCKET_ALERT
    LIMIT = LIMIT_ALERT
    SUSPENSE = SUSPENSE_ALERT


def alerts(
    account_id: Annotated[
        str | None, typer.Argument(help="Only of this account.", show_default="all")
    ] = None,
    kind: Annotated[Kind | None, typer.Option(help="Only of this kind.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show the newest only.")] = 100,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what is alerted from now on, until Ctrl-C.")
    ] = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show alerts, the oldest first: buckets, limits, and usage in suspense.

    What each code means is in docs/reference/alerts.md.

    Example: tollbook alerts acme --follow

    Exit codes: 0 shown, be it none; 1 Kafka does not answer.
    """
    with opened_log(kafka(bootstrap)) as log, suppress(KeyboardInterrupt):
        partition_count(log)
        live = LiveAlerts(log, account_id)
        found = sorted(_of_kind(live.refresh(), kind), key=_time)
        _print(found[-limit:], as_json=as_json)
        if len(found) > limit:
            say(f"the newest {limit} of {len(found)}; --limit shows more")
        while follow:
            sys.stdout.flush()
            time.sleep(_POLL_SECONDS)
            for alert in sorted(_of_kind(live.refresh(), kind), key=_time):
                _print_next(alert, as_json=as_json)


def _of_kind(found: Iterable[Alert], kind: Kind | None) -> Iterator[Alert]:
    return (alert for alert in found if kind in (None, alert.kind))


def _time(alert: Alert) -> tuple[int, str, int]:
    return alert.occurred_at, alert.account_id, alert.sequence


def _print(found: list[Alert], *, as_json: bool) -> None:
    if as_json:
        for alert in found:
            _print_next(alert, as_json=True)
    else:
        print_rows(_COLUMNS, map(_row, found), as_json=False)


def _print_next(alert: Alert, *, as_json: bool) -> None:
    """Print one alert on a line of its own."""
    if as_json:
        print_json(_alert_json(alert_fields(alert)))
    else:
        at = format_instant(alert.occurred_at)
        typer.echo(f"{at}  {alert.account_id}  {alert.kind}  {alert.code}  {alert.explanation}")


def _row(alert: Alert) -> dict[str, str]:
    texts = {**alert._asdict(), "occurred_at": format_instant(alert.occurred_at)}
    return {name: escape(str(texts[name])) for name in _COLUMNS}
