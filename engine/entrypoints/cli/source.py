"""`tollbook source`: which source may report usage of which accounts."""

from pathlib import Path
from typing import Annotated, Any

import typer

from engine.adapters.kafka.publisher import KafkaPublisher
from engine.adapters.signing import key_digest
from engine.adapters.source_keys import read_keys
from engine.adapters.tariff_log import TariffLog
from engine.entrypoints.cli.common import AsJson, Bootstrap, kafka, opened_log, print_rows
from engine.rating.authority import SourceRegistration
from engine.rating.errors import InvalidDocument
from engine.rating.rules import DEFAULT_LATENESS, REGISTERED_SOURCES
from engine.rating.usage import ACTIONS, MAX_TEXT

app = typer.Typer(
    help="Sources: who may report usage, and of which accounts.", no_args_is_help=True
)
_DAY = 24 * 3_600 * 1_000_000
_COLUMNS = ("source", "accounts", "actions", "max_lateness_days", "signed", "state")

Principal = Annotated[str, typer.Option(help="Who asks, for the record.")]


@app.command()
def register(
    source: Annotated[str, typer.Argument(help="The source; * for any that is not registered.")],
    accounts: Annotated[
        list[str], typer.Option("--accounts", help="Account id or glob; give it more than once.")
    ],
    actions: Annotated[
        list[str] | None, typer.Option("--action", show_default="record", help="What it may do.")
    ] = None,
    max_lateness_days: Annotated[
        int, typer.Option(min=0, max=18_262, help="Usage received later is in suspense.")
    ] = DEFAULT_LATENESS // _DAY,
    key_file: Annotated[
        Path | None, typer.Option(help="Keys by source; then its records must be signed.")
    ] = None,
    principal: Principal = "",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Register a source, or replace its registration. It counts for usage sent from now on.

    With --key-file (YAML or JSON: source to key, or a list of keys while one replaces another) only
    the keys' digests are published; workers need the file as TOLLBOOK_SOURCE_KEYS.

    Example: tollbook source register gateway-eu --accounts 'acme*' --action record --action void

    Exit codes: 0 written; 1 Kafka did not acknowledge, or a value is wrong.
    """
    chosen = tuple(actions or ("record",))
    for action in chosen:
        if action not in ACTIONS:
            raise InvalidDocument("--action", action, " or ".join(ACTIONS))
    digests: tuple[bytes, ...] = ()
    if key_file is not None:
        keys = read_keys(key_file).get(source, ())
        if not keys:
            raise InvalidDocument(f"--key-file {key_file}", "no key", f"one of source {source!r}")
        digests = tuple(map(key_digest, keys))
    registration = SourceRegistration(
        _checked("source", source),
        tuple(_checked("--accounts", entry) for entry in accounts),
        chosen,
        max_lateness_days * _DAY,
        digests,
        principal,
    )
    _publish(registration, bootstrap, as_json=as_json)


@app.command()
def revoke(
    source: Annotated[str, typer.Argument(help="The source.")],
    principal: Principal = "",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Take a source's authority away: its usage is rejected from now on.

    Example: tollbook source revoke gateway-eu

    Exit codes: 0 written; 1 Kafka did not acknowledge.
    """
    registration = SourceRegistration(source, (), (), DEFAULT_LATENESS, (), principal)
    _publish(registration, bootstrap, as_json=as_json)


@app.command("list")
def list_sources(bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """List what counts for each source. A * for all accounts makes the deployment open.

    Example: tollbook source list

    Exit codes: 0 listed; 1 Kafka does not answer.
    """
    with opened_log(kafka(bootstrap)) as log:
        tariffs = TariffLog(log)
        tariffs.read_all()
    authority = tariffs.authority
    rows = [_row(authority.sources[source]) for source in sorted(authority.sources)]
    if authority.is_open:
        why = "any source may report usage of any account"
        if authority.rules < REGISTERED_SOURCES:
            why += f" (rules revision {authority.rules} knows no registrations)"
        typer.echo(f"open: {why}", err=True)
    print_rows(_COLUMNS, rows, as_json=as_json, numbers="max_lateness_days")


def _publish(registration: SourceRegistration, bootstrap: str | None, *, as_json: bool) -> None:
    with KafkaPublisher(kafka(bootstrap)) as publisher:
        publisher.source(registration)
    print_rows(_COLUMNS, [_row(registration)], as_json=as_json, numbers="max_lateness_days")


def _row(registration: SourceRegistration) -> dict[str, Any]:
    return {
        "source": registration.source,
        "accounts": " ".join(registration.accounts),
        "actions": " ".join(registration.actions),
        "max_lateness_days": registration.lateness // _DAY,
        "signed": "yes" if registration.key_digests else "no",
        "state": "registered" if registration.accounts else "revoked",
    }


def _checked(place: str, text: str) -> str:
    if not text or len(text) > MAX_TEXT or not text.isprintable():
        raise InvalidDocument(place, text, f"1 to {MAX_TEXT} printable characters")
    return text
