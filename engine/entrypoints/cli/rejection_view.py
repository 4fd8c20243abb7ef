"""A rejection as people and programs read it, whatever bytes it holds.

What was rejected was written by others: text is shown without control characters, and bytes that
nothing here can read are shown as hex.
"""

import json
from typing import Any

import typer

from engine.adapters.avro.journal import rejection_fields
from engine.adapters.avro.wire import Decoded, decode
from engine.adapters.documents.usage import read_json
from engine.ports import LogRecord
from engine.rating.errors import Refusal
from engine.rating.event import Rejection
from engine.rating.period import format_instant
from replay.redrive import Impossible
from replay.rejections import Found
from schemas.json_form import json_writer
from schemas.loader import latest

_PREVIEW_BYTES = 64
_rejection_json = json_writer(latest("rejection").declared)


def printable(text: str) -> str:
    """Return a text with what a terminal would obey, or not show, escaped."""
    return text if text.isprintable() else repr(text)[1:-1]


def print_rejection(
    found: Found, rejection: Rejection, original: LogRecord | Impossible, *, as_json: bool
) -> None:
    """Print a rejection. `original`: the record in its topic, or why it is gone."""
    form = _original(rejection, original)
    if as_json:
        fields = _rejection_json(rejection_fields(rejection))
        state = {"id": found.id, "state": found.state, "resolved_by": list(found.resolved_by)}
        journal = found.place._asdict()
        document = {**state, **fields, "journal": journal, "original": form}
        typer.echo(json.dumps(document))  # in ASCII: JSON can spell what no output can encode
        return
    lines = _lines(found, rejection)
    lines.append(f"  original     {form['state']}")
    if "json" in form:
        lines += ["", f"{form['form']}:", json.dumps(form["json"], indent=2)]
    else:
        more = " ..." if rejection.size > _PREVIEW_BYTES else ""
        lines += ["", f"{form['form']}:", f"{form['hex']}{more}"]
    typer.echo("\n".join(lines))


def _lines(found: Found, rejection: Rejection) -> list[str]:
    place, journal = rejection.position, found.place
    rows = [
        ("code", rejection.refusal.code),
        ("explanation", rejection.refusal.explanation),
        ("account", rejection.account_id or "not read"),
        ("source", rejection.source or "not read"),
        ("event id", rejection.event_id or "not read"),
        ("received", format_instant(rejection.received_at)),
        ("stands in", f"{place.topic}[{place.partition}] offset {place.offset}, {place.index}"),
        ("journal", f"partition {journal.partition}, commit {journal.commit}"),
        ("size", f"{rejection.size:,} bytes, {len(rejection.original):,} kept in the journal"),
        ("SHA-256", rejection.digest.hex()),
    ]
    if found.resolved_by:
        rows.append(("resolved by", " ".join(found.resolved_by)))
    head = f"rejection {found.id}: {found.state}"
    return [head, *(f"  {name:<12} {printable(text)}" for name, text in rows)]


def _original(rejection: Rejection, original: LogRecord | Impossible) -> dict[str, Any]:
    """Return what was sent: as JSON if it can be read, else its first bytes as hex."""
    value = rejection.original
    if isinstance(original, Impossible):
        state = original.sentence
    else:
        state = "whole, in its topic"
        value = original.value if len(value) < rejection.size else value
    form = {"in_topic": not isinstance(original, Impossible), "state": state}
    read = _read(value)
    if read is None:
        return {**form, "form": "bytes", "hex": value[:_PREVIEW_BYTES].hex()}
    return {**form, "form": read[0], "json": read[1]}


def _read(value: bytes) -> tuple[str, Any] | None:
    """Return what bytes are and their JSON form, or None."""
    decoded = decode(value)
    if isinstance(decoded, Decoded):
        try:
            return decoded.name, json_writer(latest(decoded.name).declared)(decoded.fields)
        except (ValueError, KeyError, TypeError):  # values that no schema foresees
            return None
    data = read_json(value)
    return None if isinstance(data, Refusal) else ("json", data)
