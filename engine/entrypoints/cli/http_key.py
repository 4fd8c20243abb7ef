"""`tollbook http-key`: who may send usage over HTTP, and ask for balances."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.entrypoints.cli.common import AsJson, not_found, now, print_json, print_rows, say
from engine.http.keys import EVENTS_PER_SECOND, ApiKey, changed_key_file, new_key, read_key_file
from engine.rating.errors import InvalidDocument
from engine.rating.period import format_instant
from engine.rating.usage import MAX_TEXT, UNPRINTABLE
from engine.settings import home

app = typer.Typer(help="API keys of the HTTP ingest.", no_args_is_help=True)
_COLUMNS = ("key_id", "source", "accounts", "events_per_second", "created_at", "note")

KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        envvar="TOLLBOOK_HTTP_KEYS",
        show_default="http-keys.json in TOLLBOOK_HOME",
        help="File with the keys' digests.",
    ),
]


def key_file(given: Path | None) -> Path:
    """Return the key file: the option, or the one in the home folder."""
    return given or home(os.environ) / "http-keys.json"


@app.callback()
def http_key() -> None:
    """Manage API keys of the HTTP ingest."""


@app.command()
def add(
    source: Annotated[str, typer.Argument(help="The source that the key reports usage as.")],
    accounts: Annotated[
        list[str], typer.Option("--accounts", help="Account id or glob; give it more than once.")
    ],
    events_per_second: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="On the average; twice as much at once.")
    ] = EVENTS_PER_SECOND,
    note: Annotated[str, typer.Option(help="Who has it, for people.")] = "",
    keys: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, once: only its digest is kept. It counts within a second.

    Register the source as well (`tollbook source register`): that is what workers obey.

    Example: tollbook http-key add gateway-eu --accounts 'acme*'

    Exit codes: 0 made; 1 a value is wrong, or the file can not be written.
    """
    for place, text in (
        ("source", source),
        ("--note", note),
        *(("--accounts", a) for a in accounts),
    ):
        if (not text and place != "--note") or len(text) > MAX_TEXT or UNPRINTABLE.search(text):
            raise InvalidDocument(place, text, f"1 to {MAX_TEXT} printable characters")
    text, kept = new_key(
        source,
        accounts,
        events_per_second=events_per_second,
        created_at=format_instant(now()),
        note=note,
    )
    with changed_key_file(key_file(keys)) as known:
        known[kept.key_id] = kept
    if as_json:
        print_json({"key": text, **_row(kept)})
        return
    say(f"key {kept.key_id} of source {source}; this is shown once, keep it safe:")
    typer.echo(text)


@app.command("list")
def list_keys(keys: KeyFile = None, as_json: AsJson = False) -> None:
    """List the keys: what they may do, never what they are.

    Example: tollbook http-key list

    Exit codes: 0 listed; 1 the file can not be read.
    """
    path = key_file(keys)
    known = read_key_file(path) if path.exists() else {}
    rows = [_row(key) for key in known.values()]
    print_rows(_COLUMNS, rows, as_json=as_json, numbers="events_per_second")


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as listed.")],
    keys: KeyFile = None,
) -> None:
    """Take a key away: servers refuse it within a second.

    Example: tollbook http-key revoke 5f0c9e1a77d2

    Exit codes: 0 revoked; 1 the file can not be read or written; 3 there is no such key.
    """
    path = key_file(keys)
    with changed_key_file(path) as known:
        if key_id not in known:
            raise not_found(f"key {key_id!r}: not in {path}")
        del known[key_id]


def _row(key: ApiKey) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "source": key.source,
        "accounts": " ".join(key.accounts),
        "events_per_second": key.events_per_second,
        "created_at": key.created_at,
        "note": key.note,
    }
