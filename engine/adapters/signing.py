"""Signatures: which source a usage record comes from, where several gateways share the topic.

A gateway signs the whole record: header ``tollbook-signature`` is the HMAC-SHA256 of its value in
hex. The registration of a source names the digests of its keys; the keys themselves stay in a file
that workers and gateways read (`source_keys`) and no topic ever holds. A signed batch has events of
one source.
"""

import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256

from engine.ports import LogRecord
from engine.rating.authority import SourceRegistration
from engine.rating.errors import InvalidDocument, Refusal

HEADER = "tollbook-signature"
_LEAST_KEY_BYTES = 16


def sign(key: bytes, value: bytes) -> tuple[str, bytes]:
    """Return the header that signs a record's value."""
    return HEADER, hmac.new(key, value, "sha256").hexdigest().encode()


def key_digest(key: bytes) -> bytes:
    """Return what a registration names a key by."""
    return sha256(key).digest()


def checked_key(place: str, key: bytes) -> bytes:
    """Return a key that is long enough to sign with. InvalidDocument for another."""
    if len(key) < _LEAST_KEY_BYTES:
        raise InvalidDocument(place, "a key", f"a text of at least {_LEAST_KEY_BYTES} bytes")
    return key


class Signatures:
    """Checks records against the keys that this process was given, by source."""

    def __init__(self, keys: Mapping[str, Sequence[bytes]]) -> None:
        self._keys = {key_digest(key): key for of_source in keys.values() for key in of_source}

    def check(self, registration: SourceRegistration, record: LogRecord) -> Refusal | None:
        """Say why a record is not signed by its source, or None.

        InvalidDocument if a key is missing here: the record may well be right, so nothing may be
        decided about it.
        """
        if not registration.key_digests:
            return None
        given = dict(record.headers).get(HEADER)
        if given is None:
            return Refusal(
                "signature_missing",
                f"header {HEADER}: got none, expected one of source {registration.source!r}",
            )
        for digest in registration.key_digests:
            key = self._keys.get(digest)
            if key is None:
                raise InvalidDocument(
                    f"TOLLBOOK_SOURCE_KEYS, source {registration.source}",
                    "no key",
                    f"the one whose SHA-256 is {digest.hex()}",
                )
            if hmac.compare_digest(sign(key, record.value)[1], given):
                return None
        return Refusal(
            "signature_wrong",
            f"header {HEADER}: got {given[:16].decode(errors='replace')!r}..., expected the "
            f"HMAC-SHA256 of the value by a key of source {registration.source!r}",
        )
