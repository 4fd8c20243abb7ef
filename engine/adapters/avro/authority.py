"""Source registrations and rules revisions to bytes and back."""

from typing import Any

from engine.adapters.avro.wire import encode
from engine.rating.authority import SourceRegistration
from schemas.loader import latest

_REGISTRATION = latest("source_registration")
_REVISION = latest("rules_revision")
_SECOND = 1_000_000


def registration_fields(registration: SourceRegistration) -> dict[str, Any]:
    """Return a registration as the fields of its schema."""
    fields = registration._asdict()
    fields["max_lateness_seconds"] = fields.pop("lateness") // _SECOND
    return fields


def encode_registration(registration: SourceRegistration) -> bytes:
    """Return a source registration in single-object encoding."""
    return encode(_REGISTRATION, registration_fields(registration))


def registration_of(fields: dict[str, Any]) -> SourceRegistration:
    """Return the registration that decoded fields describe."""
    return SourceRegistration(
        fields["source"],
        tuple(fields["accounts"]),
        tuple(fields["actions"]),
        fields["max_lateness_seconds"] * _SECOND,
        tuple(fields["key_digests"]),
        fields["principal"],
    )


def encode_revision(revision: int, principal: str = "") -> bytes:
    """Return the adoption of a rules revision in single-object encoding."""
    return encode(_REVISION, {"revision": revision, "principal": principal})
