"""`tollbook rejections redrive`: send the originals again, once what was wrong is mended."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from kafka.errors import KafkaError
from rich.markup import escape

from engine.adapters.kafka.partitioning import partition_of
from engine.adapters.kafka.publisher import KafkaPublisher, NotAcknowledged
from engine.adapters.source_keys import read_keys
from engine.adapters.tariff_log import TariffLog
from engine.entrypoints.cli.common import (
    EXIT_REJECTED,
    AsJson,
    Bootstrap,
    kafka,
    not_found,
    print_rows,
    progress_bar,
    say,
)
from engine.entrypoints.cli.evidence import Evidence, FromArchive, opened_evidence
from engine.entrypoints.cli.rejection_view import printable
from engine.rating.usage import Position
from engine.settings import KafkaSettings
from replay.redrive import NOT_SENT, SENT, Impossible, Outcome, Planner, Resend, Signer
from replay.redrive import redrive as redriven
from replay.rejections import OPEN, Found, Wanted, find_rejections, parse_rejection_id

_COLUMNS = ("id", "code", "account_id", "event_id", "outcome", "detail")
_WOULD_BE_SENT = "would be sent"

Send = Callable[[Resend], Impossible | None]


def redrive(
    rejection_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Rejections to send again.")
    ] = None,
    code: Annotated[
        list[str] | None, typer.Option(help="Without ids: all open ones of this code.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="With --code: only of this account.")] = None,
    source: Annotated[str | None, typer.Option(help="With --code: only of this source.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent, send nothing.")
    ] = False,
    key_file: Annotated[
        Path | None, typer.Option(help="Keys by source, for sources that sign their records.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --code: do not ask first.")] = False,
    archive: FromArchive = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Send rejected originals again: whole, from their topics, in the order of their positions.

    Safe to repeat: what was charged meanwhile is skipped or becomes a duplicate. An event is
    received anew, so its source's lateness counts from now. With --key-file you vouch for what is
    signed: look first at who sent a record that was rejected for its signature.

    Example: tollbook rejections redrive --code unregistered_source --source gateway-eu --dry-run

    Exit codes: 0 all sent, or resolved before; 1 you said no, or Kafka does not answer; 3 nothing
    found; 4 some could not be sent: each with the reason.
    """
    wanted, unknown = _wanted(rejection_ids or [], code or [], account, source)
    settings = kafka(bootstrap)
    keys = {} if key_file is None else read_keys(key_file)
    with opened_evidence(bootstrap, archive) as (log, partitions):
        found = _found(log, partitions, wanted, unknown)
        waiting = sum(entry.state == OPEN for entry in found)
        if waiting and not dry_run and not yes and not wanted.positions:
            typer.confirm(f"send {waiting} open rejections again?", abort=True, err=True)
        planner = _planner(log, partitions, keys)
        outcomes: list[Outcome] = []
        with (
            progress_bar("sending", len(found)) as progress,
            _no_sending() if dry_run else _sending(settings) as send,
        ):

            def rows() -> Iterator[dict[str, str]]:
                for told in redriven(log, found, planner.plan, send):
                    outcomes.append(told)
                    progress(1)
                    yield _row(told, dry_run=dry_run, as_json=as_json)

            print_rows(_COLUMNS, rows(), as_json=as_json)
    failed = len(unknown) + sum(told.outcome == NOT_SENT for told in outcomes)
    if failed:
        say(f"{failed} could not be sent again")
        raise typer.Exit(EXIT_REJECTED)


def _wanted(
    ids: list[str], codes: list[str], account: str | None, source: str | None
) -> tuple[Wanted, list[str]]:
    """Return which rejections are meant, and the ids that are none."""
    if not ids and not codes:
        raise typer.BadParameter("expected ids, or --code", param_hint="ID")
    if ids and (codes or account is not None or source is not None):
        raise typer.BadParameter("expected ids, or --code with its filters, not both")
    positions: dict[str, Position | None] = {text: parse_rejection_id(text) for text in ids}
    unknown = [text for text, position in positions.items() if position is None]
    known = frozenset(position for position in positions.values() if position is not None)
    return Wanted(known, frozenset(codes), account, source), unknown


def _found(log: Evidence, partitions: int, wanted: Wanted, unknown: list[str]) -> list[Found]:
    """Return the rejections; ids that the journal does not hold join the unknown ones."""
    found = []
    if wanted.positions or wanted.codes:
        with progress_bar("reading the journal", None) as progress:
            found = find_rejections(log, partitions, wanted, progress)
    held = {entry.rejection.position for entry in found}
    unknown += ["/".join(map(str, position)) for position in sorted(wanted.positions - held)]
    for text in unknown:
        say(f"rejection {printable(text)}: the journal does not hold it")
    if not found:
        raise not_found("nothing to send again")
    return found


def _planner(log: Evidence, partitions: int, keys: Mapping[str, Sequence[bytes]]) -> Planner:
    """Return what decides what goes out, by the registrations of now."""
    tariffs = TariffLog(log)
    tariffs.read_all()
    signer = Signer(tariffs.authority, keys)
    return Planner(lambda account_id: partition_of(account_id, partitions), signer)


@contextmanager
def _sending(settings: KafkaSettings) -> Iterator[Send]:
    with KafkaPublisher(settings, linger_ms=0) as publisher:

        def send(resend: Resend) -> Impossible | None:
            try:
                publisher.record(*resend)
            except (NotAcknowledged, KafkaError) as error:
                return Impossible(f"Kafka did not take it: {error}")
            return None

        yield send


@contextmanager
def _no_sending() -> Iterator[Send]:
    yield lambda _: None


def _row(told: Outcome, *, dry_run: bool, as_json: bool) -> dict[str, str]:
    rejection = told.found.rejection
    row = {
        "id": told.found.id,
        "code": rejection.refusal.code,
        "account_id": rejection.account_id,
        "event_id": rejection.event_id,
        "outcome": _WOULD_BE_SENT if dry_run and told.outcome == SENT else told.outcome,
        "detail": told.detail,
    }
    return row if as_json else {name: escape(printable(text)) for name, text in row.items()}
